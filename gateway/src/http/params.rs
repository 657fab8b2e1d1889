//! The parameters of a stream, from the query string and the headers.

use axum::http::{HeaderMap, header};
use promcast_proto::cursor::Cursor;
use promcast_proto::problem::Type;
use promcast_proto::tick::{INTERVAL_SECONDS, Interval, Tick};
use promcast_proto::topic::Datasource;

use super::problem::Problem;
use crate::auth::{Namespace, Namespaces};

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Params {
    /// The query as it was given.
    pub(super) query: String,
    /// How often.
    pub(super) interval: Interval,
    /// Of which upstream.
    pub(super) datasource: Datasource,
    /// The last tick that the client has seen.
    pub(super) after: Option<Tick>,
    /// The namespaces that it is narrowed to.
    pub(super) namespaces: Option<Namespaces>,
    /// What is shown in place of a token.
    pub(super) ticket: Option<String>,
}

/// What a stream can be asked for by.
const KNOWN: [&str; 5] = ["query", "interval", "datasource", "last_event_id", "ticket"];

/// The one parameter that may be given more than once.
const NAMESPACE: &str = "namespace";

/// The most namespaces that a request may name.
const NAMESPACES_MAX: usize = 100;

/// Reads the parameters. Each may be given once, but for `namespace`.
pub(super) fn read(
    query_string: &str,
    headers: &HeaderMap,
    default: Interval,
    now: Tick,
) -> Result<Params, Problem> {
    let mut values: [Option<String>; KNOWN.len()] = Default::default();
    let mut namespaces = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query_string.as_bytes()) {
        if name == NAMESPACE {
            namespaces.push(read_namespace(&value)?);
            continue;
        }
        let Some(slot) = KNOWN.iter().position(|known| *known == name).and_then(|at| values.get_mut(at))
        else {
            let name: String = name.chars().take(40).collect();
            let detail =
                format!("there is no parameter `{name}`; there are {}, {NAMESPACE}", KNOWN.join(", "));
            return Err(Problem::new(Type::InvalidParameter, detail));
        };
        if slot.replace(value.into_owned()).is_some() {
            let detail = format!("`{name}` is given more than once; open one stream for each query");
            return Err(Problem::new(Type::InvalidParameter, detail));
        }
    }
    if namespaces.len() > NAMESPACES_MAX {
        let detail = format!("`{NAMESPACE}` is given more than {NAMESPACES_MAX} times");
        return Err(Problem::new(Type::InvalidParameter, detail));
    }
    let [query, interval, datasource, last_event_id, ticket] = values;
    let missing = || {
        Problem::new(
            Type::InvalidQuery,
            "`query` is missing: give a PromQL expression, such as ?query=DCGM_FI_DEV_GPU_UTIL",
        )
    };
    let interval = interval.map_or(Ok(default), |text| read_interval(&text))?;
    Ok(Params {
        query: query.ok_or_else(missing)?,
        interval,
        datasource: datasource.map_or_else(|| Ok(Datasource::default()), |name| read_datasource(&name))?,
        after: after(last_event_id, headers, interval, now)?,
        namespaces: Namespaces::new(namespaces),
        ticket,
    })
}

fn read_interval(text: &str) -> Result<Interval, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok()).flatten();
    seconds.and_then(|seconds| Interval::from_secs(seconds).ok()).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        let (least, most) = INTERVAL_SECONDS.into_inner();
        let detail =
            format!("`interval` must be a whole number of seconds from {least} to {most}, not `{text}`");
        Problem::new(Type::InvalidParameter, detail)
    })
}

fn read_namespace(name: &str) -> Result<Namespace, Problem> {
    name.parse().map_err(|error| Problem::new(Type::InvalidParameter, format!("`{NAMESPACE}`: {error}")))
}

fn read_datasource(name: &str) -> Result<Datasource, Problem> {
    name.parse().map_err(|error| Problem::new(Type::UnknownDatasource, format!("{error}")))
}

/// A browser that reconnects sends the header; a client that cannot set headers uses the parameter. The header is
/// the later word, since a browser repeats its first URL for ever.
fn after(
    parameter: Option<String>,
    headers: &HeaderMap,
    interval: Interval,
    now: Tick,
) -> Result<Option<Tick>, Problem> {
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
    let Some(text) = header.or(parameter).filter(|text| !text.is_empty()) else { return Ok(None) };
    let cursor = Cursor::decode(&text).map_err(|error| invalid(error.to_string()))?;
    let &[Some(after)] = cursor.positions() else {
        return Err(invalid(
            "the last event id is of a stream with several queries; this one has one".to_owned(),
        ));
    };
    // Another replica's clock may be ahead, but not by more than clocks are allowed to differ.
    if after > now.plus_millis(interval.millis()) {
        return Err(invalid(
            "the last event id lies in the future: send back the id of an event as it came".to_owned(),
        ));
    }
    Ok(Some(after))
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
        read(query_string, &headers, Interval::from_secs(15).unwrap(), Tick::from_millis(NOW))
    }

    #[test]
    fn defaults_fill_in() {
        let params = params("query=sum%28up%29", None).unwrap();
        assert_eq!((params.query.as_str(), params.interval.secs(), params.after), ("sum(up)", 15, None));
        assert_eq!(params.datasource.as_str(), "default");
    }

    #[test]
    fn the_header_is_stronger_than_the_parameter() {
        let both = params("query=up&last_event_id=1763999990007", Some("1763999995007")).unwrap();
        assert_eq!(both.after, Some(Tick::from_millis(1_763_999_995_007)));
        let parameter = params("query=up&last_event_id=1763999990007", Some("")).unwrap();
        assert_eq!(parameter.after, Some(Tick::from_millis(1_763_999_990_007)));
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
