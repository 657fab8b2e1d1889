//! A result of Prometheus as columns: for each series its labels, and values at times.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;

/// The values of one series.
pub(super) struct Column<'a> {
    /// Its labels, a JSON object; nothing for a scalar or a string.
    pub(super) labels: Option<&'a RawValue>,
    /// What its values are.
    pub(super) kind: Kind,
    /// Unix milliseconds and value, as Prometheus writes it: a string, or an object for a histogram. In order.
    pub(super) points: Vec<(i64, &'a RawValue)>,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers, and what is said by `entities`.
    Number,
    /// Native histograms: objects as Prometheus writes them.
    Histogram,
    /// Text.
    Text,
}

/// The part of `data` that says what it is.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    result_type: ResultType,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ResultType {
    Vector,
    Matrix,
    Scalar,
    String,
}

/// Time in seconds, and value.
type Point<'a> = (f64, &'a RawValue);

/// A series of a vector, which has one of the first two, or of a matrix, which has the others.
#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: &'a RawValue,
    #[serde(borrow)]
    value: Option<Point<'a>>,
    #[serde(borrow)]
    histogram: Option<Point<'a>>,
    #[serde(borrow, default)]
    values: Vec<Point<'a>>,
    #[serde(borrow, default)]
    histograms: Vec<Point<'a>>,
}

/// The columns of a result, by their labels: so the order of the fields does not change with that of the result, as it
/// would for `topk` at each tick.
pub(super) fn of_data(data: &RawValue) -> Result<Vec<Column<'_>>, Error> {
    let Data { result_type, result } = serde_json::from_str(data.get())?;
    let single = |kind| -> Result<_, Error> {
        let point: Point<'_> = serde_json::from_str(result.get())?;
        Ok(vec![Column { labels: None, kind, points: points([point]) }])
    };
    match result_type {
        ResultType::Scalar => single(Kind::Number),
        ResultType::String => single(Kind::Text),
        ResultType::Vector | ResultType::Matrix => {
            let mut series: Vec<Series<'_>> = serde_json::from_str(result.get())?;
            series.sort_by(|one, other| one.metric.get().cmp(other.metric.get()));
            Ok(series.into_iter().flat_map(of_series).collect())
        }
    }
}

/// A column of samples and one of histograms, where there are any.
fn of_series(series: Series<'_>) -> impl Iterator<Item = Column<'_>> {
    let Series { metric, value, histogram, values, histograms } = series;
    let samples = (Kind::Number, points(value.into_iter().chain(values)));
    let histograms = (Kind::Histogram, points(histogram.into_iter().chain(histograms)));
    let columns = [samples, histograms].into_iter().filter(|(_, points)| !points.is_empty());
    columns.map(move |(kind, points)| Column { labels: Some(metric), kind, points })
}

fn points<'a>(points: impl IntoIterator<Item = Point<'a>>) -> Vec<(i64, &'a RawValue)> {
    let mut points: Vec<_> = points.into_iter().map(|(time, value)| (millis(time), value)).collect();
    points.sort_by_key(|(time, _)| *time);
    points
}

/// Prometheus's timestamps are whole milliseconds, written as seconds.
#[expect(clippy::cast_possible_truncation, reason = "a cast of f64 to i64 stops at the ends")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
