//! Columns as data frames: one wide frame where the series have their times in common, else one for each.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Error;
use super::columns::{self, Column, Kind};
use super::legend;
use crate::sse::format::name;

/// What a result is told as: one frame, whose `schema` and `data` are members of the event, or a list `frames`.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::sse) enum Frames<'a> {
    /// All series in one frame.
    Wide(Frame<'a>),
    /// A frame for each series.
    Multi { frames: Vec<Frame<'a>> },
}

/// One data frame.
#[derive(Serialize)]
pub(in crate::sse) struct Frame<'a> {
    schema: Schema<'a>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Schema<'a> {
    meta: Meta,
    fields: Vec<Field<'a>>,
}

/// The kind of the frame in Grafana's data plane.
#[derive(Serialize)]
struct Meta {
    r#type: &'static str,
    #[serde(rename = "typeVersion")]
    version: [u8; 2],
}

#[derive(Serialize)]
struct Field<'a> {
    name: String,
    r#type: &'static str,
    #[serde(rename = "typeInfo")]
    info: Info,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
}

/// The type in Go, which backends of Grafana read a column as.
#[derive(Serialize)]
struct Info {
    frame: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    nullable: bool,
}

#[derive(Serialize)]
struct Config {
    #[serde(rename = "displayNameFromDS")]
    display: String,
}

#[derive(Serialize)]
struct Data<'a> {
    values: Vec<Values<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entities: Vec<Option<Entities>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a> {
    Times(Vec<i64>),
    Cells(Vec<Option<&'a RawValue>>),
}

/// Rows whose `null` stands for a number that JSON has not.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Entities {
    #[serde(rename = "NaN", skip_serializing_if = "Vec::is_empty")]
    nan: Vec<usize>,
    #[serde(rename = "Inf", skip_serializing_if = "Vec::is_empty")]
    inf: Vec<usize>,
    #[serde(rename = "NegInf", skip_serializing_if = "Vec::is_empty")]
    neg_inf: Vec<usize>,
}

impl<'a> Frames<'a> {
    /// The frames of `data` of the Prometheus HTTP API.
    ///
    /// They are one unless more than half of its cells would be empty: so the frames of series with times of their own
    /// have at most twice as many cells as there are samples.
    pub(in crate::sse) fn of_data(data: &'a RawValue) -> Result<Self, Error> {
        let columns = columns::of_data(data)?;
        let filled: usize = columns.iter().map(|column| column.points.len()).sum();
        let times = times(&columns);
        if times.len() * columns.len() <= filled * 2 {
            return Ok(Self::Wide(Frame::new("timeseries-wide", times, &columns)?));
        }
        let frame = |column: Column<'a>| {
            let columns = [column];
            Frame::new("timeseries-multi", self::times(&columns), &columns)
        };
        Ok(Self::Multi { frames: columns.into_iter().map(frame).collect::<Result<_, _>>()? })
    }
}

/// All times of the columns, in order.
fn times(columns: &[Column<'_>]) -> Vec<i64> {
    let mut times: Vec<_> =
        columns.iter().flat_map(|column| column.points.iter().map(|(time, _)| *time)).collect();
    times.sort_unstable();
    times.dedup();
    times
}

impl<'a> Frame<'a> {
    fn new(kind: &'static str, times: Vec<i64>, columns: &[Column<'a>]) -> Result<Self, Error> {
        let mut fields = Vec::with_capacity(columns.len() + 1);
        let mut values = Vec::with_capacity(columns.len() + 1);
        let mut entities = vec![None];
        let mut read = Vec::with_capacity(columns.len());
        for column in columns {
            let (cells, special) = cells(column, &times)?;
            fields.push(Field::new(column, column.points.len() < times.len())?);
            read.push(Values::Cells(cells));
            entities.push(Some(special).filter(|special| *special != Entities::default()));
        }
        if entities.iter().all(Option::is_none) {
            entities.clear();
        }
        fields.insert(0, Field::time());
        values.push(Values::Times(times));
        values.extend(read);
        let meta = Meta { r#type: kind, version: [0, 1] };
        Ok(Self { schema: Schema { meta, fields }, data: Data { values, entities } })
    }
}

/// The column's value at each of the times.
fn cells<'a>(column: &Column<'a>, times: &[i64]) -> Result<(Vec<Option<&'a RawValue>>, Entities), Error> {
    let mut special = Entities::default();
    let mut cells = Vec::with_capacity(times.len());
    let mut points = column.points.iter().peekable();
    for (row, time) in times.iter().enumerate() {
        let mut cell = None;
        while let Some((_, value)) = points.next_if(|(at, _)| at <= time) {
            cell = match column.kind {
                Kind::Number => number(value, row, &mut special)?,
                Kind::Histogram | Kind::Text => Some(*value),
            };
        }
        cells.push(cell);
    }
    Ok((cells, special))
}

/// A sample's value, which Prometheus writes as a string, as the number that it says, digit for digit.
fn number<'a>(
    value: &'a RawValue,
    row: usize,
    special: &mut Entities,
) -> Result<Option<&'a RawValue>, Error> {
    let text = value.get().trim_matches('"');
    match text {
        "NaN" => special.nan.push(row),
        "+Inf" | "Inf" => special.inf.push(row),
        "-Inf" => special.neg_inf.push(row),
        _ => {
            let number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
            let number = Some(text).filter(|_| number).and_then(|text| serde_json::from_str(text).ok());
            return number.map(Some).ok_or_else(|| Error::NotNumber(value.get().chars().take(64).collect()));
        }
    }
    Ok(None)
}

impl<'a> Field<'a> {
    fn time() -> Self {
        let info = Info { frame: "time.Time", nullable: false };
        Self { name: "Time".to_owned(), r#type: "time", info, labels: None, config: None }
    }

    fn new(column: &Column<'a>, nullable: bool) -> Result<Self, Error> {
        let (r#type, frame) = match column.kind {
            Kind::Number => ("number", "float64"),
            Kind::Histogram => ("other", "json.RawMessage"),
            Kind::Text => ("string", "string"),
        };
        // Grafana tells the columns of successive frames apart by name and type alone, so that each series needs a name
        // of its own; what people read is the display name.
        let (name, config) = match column.labels {
            Some(labels) => (name(&[labels.get()]), Some(Config { display: legend::of(labels)? })),
            None => ("Value".to_owned(), None),
        };
        Ok(Self { name, r#type, info: Info { frame, nullable }, labels: column.labels, config })
    }
}
