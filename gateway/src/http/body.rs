//! Subscriptions in the body of a request: JSON, for clients that can send one.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use promcast_proto::control::Wanted;
use promcast_proto::problem::Type;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::params::{self, Defaults, Params, parameter};
use super::problem::Problem;
use crate::sse::Format;

/// The largest body, in bytes: more than 32 queries of 1000 characters that all have to be escaped.
const BODY_MAX: usize = 256 * 1024;

/// The longest name that a client may give a subscription, in characters.
const ID_CHARS_MAX: usize = 64;

/// The most names that a change may remove.
const REMOVED_MAX: usize = 100;

/// What a stream is opened with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a list `subscriptions`")]
struct Opening {
    subscriptions: Vec<Subscription>,
    #[serde(default)]
    namespaces: Vec<String>,
    backfill: Option<String>,
    format: Option<String>,
    #[serde(default)]
    trace: bool,
    last_event_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a `query`")]
struct Subscription {
    id: Option<String>,
    query: String,
    interval: Option<u64>,
    datasource: Option<String>,
    after: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `add`, `remove` or both")]
struct Changing {
    #[serde(default)]
    add: Vec<Subscription>,
    #[serde(default)]
    remove: Vec<String>,
}

/// What a connection should stream otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// From now on.
    pub(super) add: Vec<Wanted>,
    /// No more.
    pub(super) remove: Vec<String>,
}

/// Reads what a stream is opened with.
pub(super) async fn opening(headers: &HeaderMap, body: Body, defaults: Defaults) -> Result<Params, Problem> {
    read_opening(headers, &bytes(headers, body).await?, defaults)
}

/// Reads what is to be changed.
pub(super) async fn change(headers: &HeaderMap, body: Body, defaults: Defaults) -> Result<Change, Problem> {
    read_change(&bytes(headers, body).await?, defaults)
}

/// Whether a body is one of these.
pub(super) fn is_readable(body: &[u8], defaults: Defaults) -> bool {
    read_opening(&HeaderMap::new(), body, defaults).is_ok() || read_change(body, defaults).is_ok()
}

fn read_opening(headers: &HeaderMap, body: &[u8], defaults: Defaults) -> Result<Params, Problem> {
    let Opening { subscriptions, namespaces, backfill, format, trace, last_event_id } = json(body)?;
    params::check_count(subscriptions.len())?;
    let wanted = wanted(subscriptions, defaults, |place| place.to_string())?;
    Ok(Params {
        positions: params::positions(last_event_id, headers, &wanted, defaults.now)?,
        namespaces: params::read_namespaces(&namespaces)?,
        ticket: None,
        backfill: backfill.map(|text| params::read_backfill(&text, &wanted, defaults)).transpose()?,
        format: format.map_or(Ok(Format::default()), |name| params::read_format(&name))?,
        traced: trace,
        wanted,
    })
}

fn read_change(body: &[u8], defaults: Defaults) -> Result<Change, Problem> {
    let Changing { add, remove } = json(body)?;
    if add.is_empty() && remove.is_empty() {
        return Err(parameter("there is nothing to change: give `add`, `remove`, or both"));
    }
    if !add.is_empty() {
        params::check_count(add.len())?;
    }
    if remove.len() > REMOVED_MAX {
        return Err(parameter(format!("`remove` names more than {REMOVED_MAX} subscriptions")));
    }
    if add.iter().any(|subscription| subscription.id.is_none()) {
        return Err(parameter("each subscription in `add` needs an `id`, by which it can be removed again"));
    }
    Ok(Change { add: wanted(add, defaults, |_| String::new())?, remove })
}

async fn bytes(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let detail = "send JSON, and say so: `Content-Type: application/json`";
        return Err(Problem::new(Type::UnsupportedMediaType, detail));
    }
    let bytes = to_bytes(body, BODY_MAX).await.map_err(|_| {
        let detail = format!("the body cannot be read to its end; at most {BODY_MAX} bytes are");
        Problem::new(Type::BodyTooLarge, detail)
    })?;
    Ok(bytes.into())
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| parameter(format!("the body: {error}")))
}

fn wanted(
    subscriptions: Vec<Subscription>,
    defaults: Defaults,
    name: impl Fn(usize) -> String,
) -> Result<Vec<Wanted>, Problem> {
    let read = |(place, subscription): (usize, Subscription)| {
        let Subscription { id, query, interval, datasource, after } = subscription;
        let id = id.unwrap_or_else(|| name(place));
        check_id(&id)?;
        let interval = interval.map_or(Ok(defaults.interval), params::interval_of)?;
        let after = after.map(|millis| read_after(millis, &id)).transpose()?;
        if params::is_ahead(after, interval, defaults.now) {
            return Err(Problem::new(
                Type::InvalidCursor,
                format!("`after` of subscription `{id}` lies in the future"),
            ));
        }
        let datasource =
            datasource.map_or_else(|| Ok(Datasource::default()), |name| params::read_datasource(&name))?;
        Ok(Wanted { id, query, interval, datasource, after })
    };
    subscriptions.into_iter().enumerate().map(read).collect()
}

fn check_id(id: &str) -> Result<(), Problem> {
    let chars = id.chars().count();
    if (1..=ID_CHARS_MAX).contains(&chars) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(parameter(format!(
        "the `id` of a subscription has 1 to {ID_CHARS_MAX} characters and no control characters"
    )))
}

fn read_after(millis: i64, id: &str) -> Result<Tick, Problem> {
    let tick = Tick::from_millis(millis);
    if tick.millis() == millis {
        return Ok(tick);
    }
    Err(Problem::new(
        Type::InvalidCursor,
        format!("`after` of subscription `{id}` is no tick: Unix milliseconds are expected"),
    ))
}

#[cfg(test)]
mod tests {
    use promcast_proto::tick::Interval;

    use super::*;

    const NOW: i64 = 1_764_000_000_000;

    fn defaults() -> Defaults {
        let interval = Interval::from_secs(15).unwrap();
        Defaults { interval, backfill_points: 100, now: Tick::from_millis(NOW) }
    }

    fn opened(body: &str) -> Result<Params, Problem> {
        read_opening(&HeaderMap::new(), body.as_bytes(), defaults())
    }

    #[test]
    fn subscriptions_have_names_and_defaults() {
        let params = opened(
            r#"{"subscriptions":[{"query":"a"},{"id":"x","query":"b","interval":5,"after":1763999999000}],"format":"compact"}"#,
        )
        .unwrap();
        let [first, second] = params.wanted.as_slice() else { panic!("{params:?}") };
        assert_eq!((first.id.as_str(), first.interval.secs(), first.after), ("0", 15, None));
        assert_eq!((second.id.as_str(), second.interval.secs()), ("x", 5));
        assert_eq!(second.after.unwrap().millis(), NOW - 1000);
        assert_eq!(params.format, Format::Compact);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"subscriptions":[]}"#,
            r#"{"subscriptions":[{"query":"a","intervall":5}]}"#,
            r#"{"subscriptions":[{"query":"a","interval":4}]}"#,
            r#"{"subscriptions":[{"query":"a","interval":"5"}]}"#,
            r#"{"subscriptions":[{"query":"a","id":""}]}"#,
            r#"{"subscriptions":[{"query":"a","id":"a\nb"}]}"#,
            r#"{"subscriptions":[{"query":"a","after":-1}]}"#,
            r#"{"subscriptions":[{"query":"a","after":1764000015001}]}"#,
            r#"{"subscriptions":[{"query":"a"}],"format":"xml"}"#,
            r#"{"subscriptions":[{"query":"a"}],"namespaces":["A"]}"#,
            r#"{"subscriptions":[{"query":"a"}],"last_event_id":"x"}"#,
        ] {
            assert!(opened(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_change_names_what_it_adds() {
        let change = |body: &str| read_change(body.as_bytes(), defaults());
        assert_eq!(change(r#"{"remove":["a"]}"#).unwrap().remove, ["a"]);
        assert_eq!(change(r#"{"add":[{"id":"b","query":"x"}]}"#).unwrap().add.len(), 1);
        for body in ["{}", r#"{"add":[{"query":"x"}]}"#, r#"{"add":[],"remove":[]}"#, r#"{"removed":["a"]}"#]
        {
            assert!(change(body).is_err(), "{body}");
        }
    }
}
