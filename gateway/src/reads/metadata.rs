//! What is known of metrics, for callers who see some of them only.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Error, Read, Reads, Source, Window};
use crate::scope::Selection;

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this metric alone.
    pub metric: Option<String>,
    /// Of so many metrics.
    pub limit: Option<u32>,
    /// So many entries of each.
    pub limit_per_metric: Option<u32>,
}

#[derive(Deserialize)]
struct Entry {
    r#type: String,
}

#[derive(Deserialize, Serialize)]
struct Document<'a> {
    status: &'a str,
    #[serde(borrow)]
    data: BTreeMap<String, Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Names {
    data: HashSet<String>,
}

/// What the upstream says of metrics: of all of them to whoever sees everything, and to others of those alone that have a series
/// of theirs. An upstream does not know whose metadata are; their words go by the name of the metric.
pub async fn answer(
    reads: &Reads,
    selection: &Selection,
    wanted: &Wanted,
    timeout: Duration,
) -> Result<(Bytes, Source), Arc<Error>> {
    let Wanted { metric, limit, limit_per_metric } = wanted.clone();
    let of = selection.datasource();
    if selection.is_all() {
        return reads.answer(&Read::metadata(of, metric, limit, limit_per_metric, timeout)).await;
    }
    let names = Read::label_values(selection, "__name__", Window::default(), timeout);
    let all = Read::metadata(of, metric, None, limit_per_metric, timeout);
    let (names, all) = tokio::try_join!(reads.answer(&names), reads.answer(&all))?;
    let only = only(&all.0, &names.0, limit).map_err(Error::Unreadable)?;
    Ok((only, all.1))
}

/// The first `limit` metrics of a document that are among `names`, which is an answer too.
fn only(all: &[u8], names: &[u8], limit: Option<u32>) -> Result<Bytes, serde_json::Error> {
    let names: Names = serde_json::from_slice(names)?;
    let mut document: Document<'_> = serde_json::from_slice(all)?;
    document.data.retain(|metric, entries| {
        entries.retain(|entry| is_among(&names.data, metric, entry));
        !entries.is_empty()
    });
    if let Some(limit) = limit {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        document.data = document.data.into_iter().take(limit).collect();
    }
    serde_json::to_vec(&document).map(Bytes::from)
}

/// Whether a metric has a series among `names`. A family's series are named after it, with an end that its type gives
/// (OpenMetrics, "Metric Types"; in the older text format a summary and a histogram have the same ends).
fn is_among(names: &HashSet<String>, metric: &str, entry: &RawValue) -> bool {
    let Ok(Entry { r#type }) = serde_json::from_str(entry.get()) else { return false };
    let ends: &[&str] = match r#type.as_str() {
        "counter" => &["", "_total"],
        "histogram" => &["", "_bucket", "_count", "_sum"],
        "gaugehistogram" => &["", "_bucket", "_gcount", "_gsum"],
        "summary" => &["", "_count", "_sum"],
        "info" => &["", "_info"],
        _ => &[""],
    };
    ends.iter().any(|end| names.contains(&format!("{metric}{end}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{"status":"success","data":{
        "b":[{"type":"gauge","help":"mine","unit":""},{"type":"counter","help":"too","unit":""}],
        "a":[{"type":"histogram","help":"mine","unit":""}],
        "secret":[{"type":"gauge","help":"not mine","unit":""}]}}"#;

    fn told(names: &str, limit: Option<u32>) -> String {
        let names = format!(r#"{{"status":"success","data":{names}}}"#);
        String::from_utf8(only(ALL.as_bytes(), names.as_bytes(), limit).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn only_what_has_a_series_among_the_names_is_told() {
        let told = |names| told(names, None);
        let a = r#""a":[{"type":"histogram","help":"mine","unit":""}]"#;
        let b = r#""b":[{"type":"gauge","help":"mine","unit":""},{"type":"counter","help":"too","unit":""}]"#;
        assert_eq!(told(r#"["a_bucket","b"]"#), format!(r#"{{"status":"success","data":{{{a},{b}}}}}"#));
        let counter = r#""b":[{"type":"counter","help":"too","unit":""}]"#;
        assert_eq!(
            told(r#"["b_total","secret_total"]"#),
            format!(r#"{{"status":"success","data":{{{counter}}}}}"#)
        );
        assert_eq!(told("[]"), r#"{"status":"success","data":{}}"#);
    }

    #[test]
    fn the_limit_counts_what_is_told() {
        assert!(told(r#"["a","b"]"#, Some(1)).starts_with(r#"{"status":"success","data":{"a":"#));
        assert!(!told(r#"["a","b"]"#, Some(1)).contains("\"b\""));
    }
}
