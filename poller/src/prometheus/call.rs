//! What is called for a question: which resource of the Prometheus HTTP API, by which method, with which parameters.

use std::time::Duration;

use promcast_proto::ask::Question;
use promcast_proto::tick::Tick;

/// What a form is for: queries and selectors may be longer than a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Parameters stand in the URL.
    Get,
    /// Parameters stand in a form.
    Post,
}

/// A call of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// How it is made.
    pub method: Method,
    /// Where to, below the configured address.
    pub path: String,
    /// With what, in order.
    pub parameters: Vec<(&'static str, String)>,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Call {
    /// Runs `query` at `time`. The upstream is told of `timeout`.
    pub fn instant(query: &str, time: Tick, timeout: Duration) -> Self {
        let parameters =
            vec![("query", query.to_owned()), ("time", time.as_seconds()), ("timeout", seconds(timeout))];
        Self { method: Method::Post, path: "api/v1/query".to_owned(), parameters, timeout }
    }

    /// The call that answers `question`. The API takes a form where it may be long: for queries, labels and series.
    pub fn of(question: &Question, timeout: Duration) -> Self {
        let (method, path, parameters) = match question {
            Question::Instant { query, time } => return Self::instant(query, *time, timeout),
            Question::Range { query, start, end, step_ms } => (Method::Post, "query_range".to_owned(), {
                let step = Duration::from_millis(*step_ms);
                vec![
                    ("query", query.clone()),
                    ("start", start.as_seconds()),
                    ("end", end.as_seconds()),
                    ("step", seconds(step)),
                    ("timeout", seconds(timeout)),
                ]
            }),
            Question::Labels { matchers, start, end, limit } => {
                (Method::Post, "labels".to_owned(), selection(matchers, *start, *end, *limit))
            }
            Question::Series { matchers, start, end, limit } => {
                (Method::Post, "series".to_owned(), selection(matchers, *start, *end, *limit))
            }
            Question::LabelValues { name, matchers, start, end, limit } => {
                let path = format!("label/{}/values", escaped(name));
                (Method::Get, path, selection(matchers, *start, *end, *limit))
            }
            Question::Metadata { metric, limit, limit_per_metric } => {
                let metric = metric.iter().map(|metric| ("metric", metric.clone()));
                let limits = number("limit", *limit).chain(number("limit_per_metric", *limit_per_metric));
                (Method::Get, "metadata".to_owned(), metric.chain(limits).collect())
            }
            Question::BuildInfo => (Method::Get, "status/buildinfo".to_owned(), Vec::new()),
        };
        Self { method, path: format!("api/v1/{path}"), parameters, timeout }
    }
}

fn selection(
    matchers: &[String],
    start: Option<Tick>,
    end: Option<Tick>,
    limit: Option<u32>,
) -> Vec<(&'static str, String)> {
    let matchers = matchers.iter().map(|matcher| ("match[]", matcher.clone()));
    let start = start.map(|start| ("start", start.as_seconds()));
    let end = end.map(|end| ("end", end.as_seconds()));
    matchers.chain(start).chain(end).chain(number("limit", limit)).collect()
}

fn number(name: &'static str, value: Option<u32>) -> impl Iterator<Item = (&'static str, String)> {
    value.into_iter().map(move |value| (name, value.to_string()))
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

/// A label's name as a part of a path. Names beyond `[a-zA-Z_][a-zA-Z0-9_]*` are written as Prometheus 3 reads them there:
/// `U__`, underscores doubled, other characters as `_<hex>_` ("values escaping" of its escaping schemes).
fn escaped(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.to_owned();
    }
    let mut text = "U__".to_owned();
    for c in name.chars() {
        match c {
            '_' => text.push_str("__"),
            c if c.is_ascii_alphanumeric() => text.push(c),
            c => text.push_str(&format!("_{:x}_", u32::from(c))),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(2_500);

    fn shown(question: &Question) -> String {
        let call = Call::of(question, TIMEOUT);
        let parameters: Vec<_> =
            call.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{:?} {} {}", call.method, call.path, parameters.join(" "))
    }

    #[test]
    fn every_question_has_its_resource() {
        let (from, to) = (Tick::from_millis(1_764_000_003_007), Tick::from_millis(1_764_000_063_007));
        let matchers = vec!["a{b=\"c\"}".to_owned(), "d".to_owned()];
        let (start, end, limit) = (Some(from), Some(to), Some(7));
        for (question, expected) in [
            (
                Question::Instant { query: "up".to_owned(), time: from },
                "Post api/v1/query query=up time=1764000003.007 timeout=2.500",
            ),
            (
                Question::Range { query: "up".to_owned(), start: from, end: to, step_ms: 15_000 },
                "Post api/v1/query_range query=up start=1764000003.007 end=1764000063.007 step=15.000 timeout=2.500",
            ),
            (
                Question::Labels { matchers: Vec::new(), start: None, end: None, limit: None },
                "Post api/v1/labels ",
            ),
            (
                Question::Series { matchers: matchers.clone(), start, end, limit },
                "Post api/v1/series match[]=a{b=\"c\"} match[]=d start=1764000003.007 end=1764000063.007 limit=7",
            ),
            (
                Question::LabelValues { name: "gpu".to_owned(), matchers, start: None, end, limit: None },
                "Get api/v1/label/gpu/values match[]=a{b=\"c\"} match[]=d end=1764000063.007",
            ),
            (
                Question::Metadata { metric: Some("up".to_owned()), limit, limit_per_metric: Some(1) },
                "Get api/v1/metadata metric=up limit=7 limit_per_metric=1",
            ),
            (Question::BuildInfo, "Get api/v1/status/buildinfo "),
        ] {
            assert_eq!(shown(&question), expected);
        }
    }

    #[test]
    fn no_name_of_a_label_leads_to_another_resource() {
        for (name, expected) in [
            ("__name__", "__name__"),
            ("a/b", "U__a_2f_b"),
            ("..", "U___2e__2e_"),
            ("1", "U__1"),
            ("", "U__"),
            ("k8s.pod_é", "U__k8s_2e_pod___e9_"),
        ] {
            assert_eq!(escaped(name), expected);
        }
    }
}
