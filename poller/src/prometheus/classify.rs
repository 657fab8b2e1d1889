//! What an answer of the upstream, or the lack of one, means: a result, or one of the closed list of failures.

use std::net::{IpAddr, SocketAddr};

use promcast_proto::code::ErrorCode;
use promcast_proto::update::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most characters of an upstream's own words that are passed on.
const WORDS_MAX: usize = 500;

/// A successful answer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// What was asked for, in the upstream's own bytes; of a query the object with `resultType` and `result`.
    pub data: &'a RawValue,
    /// What Prometheus warns of.
    pub warnings: Vec<String>,
    /// What Prometheus remarks.
    pub infos: Vec<String>,
}

/// A failed evaluation, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What the viewer is told.
    pub failure: Failure,
    /// Whether any other query would have failed as well.
    pub scope: Scope,
    /// More for the operator's log. It may name the upstream, so it is not for viewers.
    pub cause: Option<String>,
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The upstream is there; it is about this query.
    Query,
    /// The upstream cannot be used for now, whatever is asked.
    Upstream,
}

impl Failed {
    /// A failure of this one query.
    pub fn query(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { failure: Failure { code, message: message.into() }, scope: Scope::Query, cause: None }
    }

    /// A failure that any query would meet.
    pub fn upstream(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { scope: Scope::Upstream, ..Self::query(code, message) }
    }

    /// The same, with what the operator should know.
    #[must_use]
    pub fn because(self, cause: String) -> Self {
        Self { cause: Some(cause), ..self }
    }
}

/// Why there is no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No connection could be made, or it broke before an answer began.
    Unreachable,
    /// No complete answer came in time.
    Timeout,
    /// The connection broke in the middle of the answer.
    CutShort,
}

/// What it means that no answer came.
pub fn lost(how: Lost) -> Failed {
    match how {
        Lost::Unreachable => Failed::upstream(ErrorCode::Unreachable, "the datasource cannot be reached"),
        Lost::Timeout => Failed::upstream(ErrorCode::Timeout, "the datasource did not answer in time"),
        Lost::CutShort => Failed::query(ErrorCode::Malformed, "the datasource's answer was cut short"),
    }
}

/// What is read of an answer. Fields that are not named here are passed over.
#[derive(Deserialize)]
struct Document<'a> {
    status: Status,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    infos: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

/// What the `data` of a query must be.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    _result_type: ResultType,
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

/// What an answer to a query with this HTTP status and body means.
pub fn answer(status: u16, body: &[u8]) -> Result<Answer<'_>, Failed> {
    read(status, body, is_result)
}

/// What an answer to any other question means: its `data` may be of any shape, such as a list of labels.
pub fn any(status: u16, body: &[u8]) -> Result<Answer<'_>, Failed> {
    read(status, body, |_| true)
}

fn read(status: u16, body: &[u8], fits: fn(&RawValue) -> bool) -> Result<Answer<'_>, Failed> {
    match serde_json::from_slice::<Document<'_>>(body) {
        Ok(Document { status: Status::Error, error_type, error, .. }) => {
            Err(refused(status, error_type.as_deref(), error.as_deref().unwrap_or_default()))
        }
        Ok(Document { data: Some(data), warnings, infos, .. })
            if (200..300).contains(&status) && fits(data) =>
        {
            Ok(Answer { data, warnings: warnings.unwrap_or_default(), infos: infos.unwrap_or_default() })
        }
        Err(error) if status == 200 && error.is_eof() && !body.is_empty() => Err(lost(Lost::CutShort)),
        Ok(_) | Err(_) => Err(by_status(status)),
    }
}

fn is_result(data: &RawValue) -> bool {
    let read = || serde_json::from_str::<Data<'_>>(data.get());
    is_plainly_result(data.get()) || read().is_ok_and(|data| data.result.get().starts_with('['))
}

/// Whether some JSON begins as Prometheus itself writes results. To see that is enough, and to read a large one once more would
/// cost as much as all else that is done with it.
fn is_plainly_result(json: &str) -> bool {
    let kind = json.strip_prefix(r#"{"resultType":""#).and_then(|rest| rest.split_once('"'));
    kind.is_some_and(|(kind, rest)| {
        matches!(kind, "vector" | "matrix" | "scalar" | "string") && rest.starts_with(r#","result":["#)
    })
}

/// An error in the upstream's own words. The error types are those of Prometheus's `web/api/v1/api.go`; it is they
/// that count, because the status of one type differs between Prometheus, its releases and Thanos.
fn refused(status: u16, error_type: Option<&str>, error: &str) -> Failed {
    let own_words = |code: ErrorCode| {
        let said = words(error);
        Failed::query(code, if said.is_empty() { "the datasource gave no reason".to_owned() } else { said })
    };
    match error_type {
        Some("bad_data" | "not_acceptable") => own_words(ErrorCode::BadData),
        Some("execution") => own_words(ErrorCode::Execution),
        Some("timeout") => own_words(ErrorCode::Timeout),
        Some("canceled") => own_words(ErrorCode::Canceled),
        Some("internal") => {
            Failed::query(ErrorCode::Internal, "the datasource failed inside").because(words(error))
        }
        Some("unavailable") => overloaded(status).because(words(error)),
        Some("not_found") => not_the_api(status).because(words(error)),
        Some(_) | None => by_status(status).because(words(error)),
    }
}

/// All that can be said where the body says nothing.
fn by_status(status: u16) -> Failed {
    match status {
        300..=399 => Failed::query(
            ErrorCode::Malformed,
            format!(
                "the datasource redirects (HTTP {status}); its configured address must be where that leads"
            ),
        ),
        401 | 403 => Failed::upstream(
            ErrorCode::Unauthorized,
            format!("the datasource refused the configured credentials (HTTP {status})"),
        ),
        429 | 503 => overloaded(status),
        504 => Failed::query(ErrorCode::Timeout, "a proxy gave up waiting for the datasource (HTTP 504)"),
        500.. => Failed::query(ErrorCode::Internal, format!("the datasource failed (HTTP {status})")),
        _ => not_the_api(status),
    }
}

fn overloaded(status: u16) -> Failed {
    Failed::upstream(
        ErrorCode::Overloaded,
        format!("the datasource asks for fewer queries for now (HTTP {status})"),
    )
}

fn not_the_api(status: u16) -> Failed {
    Failed::query(
        ErrorCode::Malformed,
        format!(
            "the answer is not one of the Prometheus HTTP API (HTTP {status}); the configured address may be wrong"
        ),
    )
}

/// The upstream's words for a viewer: one line, not too long, and without the addresses that Thanos likes to name.
fn words(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(if is_address(word) { "[address]" } else { word });
    }
    match words.char_indices().nth(WORDS_MAX) {
        None => words,
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
    }
}

/// Whether a word is a URL, an IP address, or a host with a port.
fn is_address(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '[' && c != ']');
    bare.contains("://")
        || bare.parse::<SocketAddr>().is_ok()
        || bare.parse::<IpAddr>().is_ok()
        || bare.split_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok()
                && host.contains(|c: char| c.is_ascii_alphabetic())
                && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        })
}

#[cfg(test)]
mod tests;
