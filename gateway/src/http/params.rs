//! The parameters of a stream, from the query string and the headers.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use promcast_proto::control::Wanted;
use promcast_proto::cursor::{Cursor, SUBSCRIPTIONS_MAX};
use promcast_proto::problem::Type;
use promcast_proto::tick::{INTERVAL_SECONDS, Interval, Tick};
use promcast_proto::topic::Datasource;

use super::problem::Problem;
use crate::auth::{Namespace, Namespaces};
use crate::sse::Format;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Params {
    /// The subscriptions, in the order of the request.
    pub(super) wanted: Vec<Wanted>,
    /// The positions of the cursor that it sent back, in the order of its places.
    pub(super) positions: Vec<Option<Tick>>,
    /// The namespaces that it is narrowed to.
    pub(super) namespaces: Option<Namespaces>,
    /// What is shown in place of a token.
    pub(super) ticket: Option<String>,
    /// How much history it wants first.
    pub(super) backfill: Option<Duration>,
    /// In which form it wants updates.
    pub(super) format: Format,
    /// Whether updates shall name the span that sent them.
    pub(super) traced: bool,
}

/// What every stream of this gateway has in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    /// The interval where the client names none.
    pub(super) interval: Interval,
    /// The most ticks that one subscription gets as history.
    pub(super) backfill_points: u64,
    /// Now.
    pub(super) now: Tick,
}

/// What may be given once for each query, or once for all.
const EACH: [&str; 3] = ["query", "interval", "datasource"];

/// What may be given once.
const ONCE: [&str; 5] = ["last_event_id", "ticket", "backfill", "format", "trace"];

/// What may be given any number of times, for all queries together.
const NAMESPACE: &str = "namespace";

/// The most namespaces that a request may name.
const NAMESPACES_MAX: usize = 100;

/// Reads the parameters.
pub(super) fn read(query_string: &str, headers: &HeaderMap, defaults: Defaults) -> Result<Params, Problem> {
    let mut each: [Vec<String>; EACH.len()] = Default::default();
    let mut once: [Option<String>; ONCE.len()] = Default::default();
    let mut namespaces = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query_string.as_bytes()) {
        if let Some(list) = place(&EACH, &name).and_then(|at| each.get_mut(at)) {
            list.push(value.into_owned());
        } else if let Some(slot) = place(&ONCE, &name).and_then(|at| once.get_mut(at)) {
            if slot.replace(value.into_owned()).is_some() {
                return Err(parameter(format!("`{name}` is given more than once")));
            }
        } else if name == NAMESPACE {
            namespaces.push(value.into_owned());
        } else {
            let name: String = name.chars().take(40).collect();
            let known = [&EACH[..], &ONCE[..], &[NAMESPACE]].concat().join(", ");
            return Err(parameter(format!("there is no parameter `{name}`; there are {known}")));
        }
    }
    let [last_event_id, ticket, backfill, format, trace] = once;
    let wanted = read_wanted(each, defaults.interval)?;
    Ok(Params {
        positions: positions(last_event_id, headers, &wanted, defaults.now)?,
        namespaces: read_namespaces(&namespaces)?,
        ticket,
        backfill: backfill.map(|text| read_backfill(&text, &wanted, defaults)).transpose()?,
        format: format.map_or(Ok(Format::default()), |name| read_format(&name))?,
        traced: trace.map_or(Ok(false), |text| read_trace(&text))?,
        wanted,
    })
}

fn place(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

/// A problem with a parameter other than the query.
pub(super) fn parameter(detail: impl Into<String>) -> Problem {
    Problem::new(Type::InvalidParameter, detail)
}

fn read_wanted(each: [Vec<String>; EACH.len()], default: Interval) -> Result<Vec<Wanted>, Problem> {
    let [queries, intervals, datasources] = each;
    let intervals = for_each("interval", intervals, queries.len())?;
    let datasources = for_each("datasource", datasources, queries.len())?;
    let wanted: Vec<_> = queries
        .into_iter()
        .zip(intervals.zip(datasources))
        .enumerate()
        .map(|(place, (query, (interval, datasource)))| {
            Ok(Wanted {
                id: place.to_string(),
                query,
                interval: interval.map_or(Ok(default), |text| read_interval(&text))?,
                datasource: datasource
                    .map_or_else(|| Ok(Datasource::default()), |name| read_datasource(&name))?,
                after: None,
            })
        })
        .collect::<Result<_, Problem>>()?;
    check_count(wanted.len())?;
    Ok(wanted)
}

/// As many values as there are queries: one each, one for all, or none.
fn for_each(
    name: &str,
    values: Vec<String>,
    queries: usize,
) -> Result<impl Iterator<Item = Option<String>> + use<>, Problem> {
    if values.len() > 1 && values.len() != queries {
        let detail = format!(
            "`{name}` is given {} times for {queries} queries; give it once for all, or once for each in their order",
            values.len()
        );
        return Err(parameter(detail));
    }
    let for_all = if values.len() == 1 { values.first().cloned() } else { None };
    let mut values = values.into_iter();
    Ok(std::iter::repeat_with(move || for_all.clone().or_else(|| values.next())))
}

/// Whether so many subscriptions can be on one connection.
pub(super) fn check_count(count: usize) -> Result<(), Problem> {
    match count {
        0 => {
            let detail = "there is no `query`: give a PromQL expression, such as DCGM_FI_DEV_GPU_UTIL";
            Err(Problem::new(Type::InvalidQuery, detail))
        }
        1..=SUBSCRIPTIONS_MAX => Ok(()),
        _ => Err(parameter(format!(
            "{count} queries are too many for one stream; at most {SUBSCRIPTIONS_MAX}, and another stream for the rest"
        ))),
    }
}

fn read_interval(text: &str) -> Result<Interval, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| not_an_interval(text)).and_then(interval_of)
}

/// An interval of so many seconds.
pub(super) fn interval_of(seconds: u64) -> Result<Interval, Problem> {
    let interval = u16::try_from(seconds).ok().and_then(|seconds| Interval::from_secs(seconds).ok());
    interval.ok_or_else(|| not_an_interval(&seconds.to_string()))
}

fn not_an_interval(text: &str) -> Problem {
    let text: String = text.chars().take(40).collect();
    let (least, most) = INTERVAL_SECONDS.into_inner();
    parameter(format!("`interval` must be a whole number of seconds from {least} to {most}, not `{text}`"))
}

/// The namespaces of a request, unless it names none.
pub(super) fn read_namespaces(names: &[String]) -> Result<Option<Namespaces>, Problem> {
    if names.len() > NAMESPACES_MAX {
        return Err(parameter(format!("`{NAMESPACE}` is given more than {NAMESPACES_MAX} times")));
    }
    let read = |name: &String| {
        name.parse::<Namespace>().map_err(|error| parameter(format!("`{NAMESPACE}`: {error}")))
    };
    Ok(Namespaces::new(names.iter().map(read).collect::<Result<Vec<_>, _>>()?))
}

/// The name of a datasource.
pub(super) fn read_datasource(name: &str) -> Result<Datasource, Problem> {
    name.parse().map_err(|error| Problem::new(Type::UnknownDatasource, format!("{error}")))
}

/// The name of a format.
pub(super) fn read_format(name: &str) -> Result<Format, Problem> {
    name.parse().map_err(|error| parameter(format!("`format`: {error}")))
}

fn read_trace(text: &str) -> Result<bool, Problem> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(parameter("`trace` must be 1 or 0")),
    }
}

/// How much history is wanted: a duration in which the fastest subscription has no more ticks than are given.
pub(super) fn read_backfill(text: &str, wanted: &[Wanted], defaults: Defaults) -> Result<Duration, Problem> {
    let shown: String = text.chars().take(40).collect();
    let depth = humantime::parse_duration(text).map_err(|_| {
        parameter(format!("`backfill` must be a duration such as 15m or 1h30m, not `{shown}`"))
    })?;
    if depth.is_zero() {
        return Err(parameter(
            "`backfill` must be more than nothing, such as 15m; leave it out where no history is wanted",
        ));
    }
    let shortest = wanted.iter().map(|wanted| wanted.interval).min().unwrap_or(defaults.interval);
    let most = Duration::from_secs(u64::from(shortest.secs()).saturating_mul(defaults.backfill_points));
    if depth > most {
        let detail = format!(
            "`backfill` of {shown} is too much: at most {} points are given, so up to {} with an interval of {} s",
            defaults.backfill_points,
            humantime::format_duration(most),
            shortest.secs()
        );
        return Err(parameter(detail));
    }
    Ok(depth)
}

/// Where a client goes on. A browser that reconnects sends the header; a client that cannot set headers uses the parameter. The
/// header is the later word, since a browser repeats its first URL for ever.
pub(super) fn positions(
    parameter: Option<String>,
    headers: &HeaderMap,
    wanted: &[Wanted],
    now: Tick,
) -> Result<Vec<Option<Tick>>, Problem> {
    let invalid = |detail: String| Problem::new(Type::InvalidCursor, detail);
    let header = match headers.get("last-event-id").map(|value| value.to_str()) {
        Some(Ok(text)) if !text.is_empty() => Some(text.to_owned()),
        Some(Err(_)) => {
            return Err(invalid(
                "Last-Event-ID is not text: send back the id of an event as it came".to_owned(),
            ));
        }
        Some(Ok(_)) | None => None,
    };
    let Some(text) = header.or(parameter).filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let cursor = Cursor::decode(&text).map_err(|error| invalid(error.to_string()))?;
    let ahead =
        wanted.iter().zip(cursor.positions()).any(|(wanted, after)| is_ahead(*after, wanted.interval, now));
    if ahead {
        return Err(invalid(
            "the last event id lies in the future: send back the id of an event as it came".to_owned(),
        ));
    }
    Ok(cursor.positions().to_vec())
}

/// Another replica's clock may be ahead, but not by more than clocks are allowed to differ.
pub(super) fn is_ahead(after: Option<Tick>, interval: Interval, now: Tick) -> bool {
    after.is_some_and(|after| after > now.plus_millis(interval.millis()))
}

/// Whether a client takes an event stream (RFC 9110, 12.5.1). Without the header it takes anything.
pub(super) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let mut listed = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    listed.peek().is_none() || listed.any(is_event_stream)
}

fn is_event_stream(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused =
        parts.any(|part| matches!(part.strip_prefix("q=").map(str::parse::<f32>), Some(Ok(q)) if q <= 0.0));
    matches!(kind.as_str(), "text/event-stream" | "text/*" | "*/*") && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_764_000_000_000;

    fn params(query_string: &str, last_event_id: Option<&str>) -> Result<Params, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(id) = last_event_id {
            headers.insert("last-event-id", id.parse().unwrap());
        }
        let interval = Interval::from_secs(15).unwrap();
        read(query_string, &headers, Defaults { interval, backfill_points: 100, now: Tick::from_millis(NOW) })
    }

    #[test]
    fn defaults_fill_in() {
        let params = params("query=sum%28up%29", None).unwrap();
        let [wanted] = params.wanted.as_slice() else { panic!("{params:?}") };
        assert_eq!((wanted.id.as_str(), wanted.query.as_str(), wanted.interval.secs()), ("0", "sum(up)", 15));
        assert_eq!((wanted.datasource.as_str(), params.positions.len()), ("default", 0));
    }

    #[test]
    fn what_is_given_once_is_for_all_queries_and_else_for_each_in_order() {
        let intervals = |text: &str| {
            let params = params(text, None).unwrap();
            params.wanted.iter().map(|wanted| wanted.interval.secs()).collect::<Vec<_>>()
        };
        assert_eq!(intervals("query=a&query=b&interval=5"), [5, 5]);
        assert_eq!(intervals("interval=5&query=a&interval=300&query=b"), [5, 300]);
        assert_eq!(intervals("query=a&query=b"), [15, 15]);
        for text in ["query=a&query=b&query=c&interval=5&interval=5", "query=a&datasource=x&datasource=y", ""]
        {
            assert!(params(text, None).is_err(), "{text}");
        }
        let many = |count| vec!["query=a"; count].join("&");
        assert!(params(&many(32), None).is_ok() && params(&many(33), None).is_err());
    }

    #[test]
    fn history_is_bounded_by_its_points() {
        let backfill = |text: &str| params(text, None).map(|params| params.backfill);
        assert_eq!(backfill("query=a&interval=5&backfill=500s").unwrap(), Some(Duration::from_secs(500)));
        assert_eq!(backfill("query=a&backfill=25m").unwrap(), Some(Duration::from_secs(1500)));
        for text in [
            "query=a&interval=5&backfill=501s",
            "query=a&query=b&interval=300&interval=5&backfill=9m",
            "query=a&backfill=0s",
            "query=a&backfill=soon",
            "query=a&backfill=99999999999999999999y",
        ] {
            assert!(backfill(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_header_is_stronger_than_the_parameter() {
        let both = params("query=up&last_event_id=1763999990007", Some("1763999995007")).unwrap();
        assert_eq!(both.positions, [Some(Tick::from_millis(1_763_999_995_007))]);
        let parameter = params("query=up&last_event_id=1763999990007", Some("")).unwrap();
        assert_eq!(parameter.positions, [Some(Tick::from_millis(1_763_999_990_007))]);
    }

    #[test]
    fn the_future_starts_one_interval_from_now() {
        assert!(params("query=up", Some(&(NOW + 15_000).to_string())).is_ok());
        assert!(params("query=up", Some(&(NOW + 15_001).to_string())).is_err());
    }

    #[test]
    fn accept_is_read_as_it_is_meant() {
        let accepts = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            accepts_event_stream(&headers)
        };
        assert!(accepts_event_stream(&HeaderMap::new()));
        for value in ["text/event-stream", "*/*", "text/html, */*;q=0.8", "TEXT/event-stream; charset=utf-8"]
        {
            assert!(accepts(value), "{value}");
        }
        for value in ["application/json", "text/html", "text/event-stream;q=0"] {
            assert!(!accepts(value), "{value}");
        }
    }
}
