//! What is streamed is what the same Prometheus answers to the same query at the same tick, whatever kind it is of.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use e2e::prometheus::{Prometheus, canonical};
use e2e::stack::{Bus, Stack};
use e2e::stream::{Event, Stream};
use e2e::ticks;
use e2e::wait::now;
use serde_json::Value;

/// Queries whose answer at a tick is the same whenever it is asked: over samples written beforehand into the future,
/// or over scrapes of some seconds ago, so that none can come in between.
const RESULTS: &[(&str, &str)] = &[
    ("scalar", "scalar(e2e_seconds)"),
    ("scalar", "1 + 1"),
    ("scalar", "0 / 0"),
    ("scalar", "1 / 0"),
    ("scalar", "-1 / 0"),
    ("string", r#""plain""#),
    ("string", r#""a \"quoted\" <b> \\ ünïcode 🦀 \n""#),
    ("vector", "e2e_seconds"),
    ("vector", "e2e_seconds / 0"),
    ("vector", "(e2e_seconds - e2e_seconds) / 0"),
    ("vector", "nothing_has_this_name"),
    ("vector", "DCGM_FI_DEV_GPU_UTIL offset 10s"),
    ("vector", "avg by (gpu) (avg_over_time(DCGM_FI_DEV_GPU_TEMP[10s] offset 10s))"),
    ("vector", "topk(1, DCGM_FI_DEV_FB_USED offset 10s)"),
    ("vector", "e2e_latency"),
    ("vector", "histogram_quantile(0.9, e2e_latency)"),
    ("matrix", "e2e_seconds[1m]"),
    ("matrix", "up[1m] offset 10s"),
    ("matrix", "e2e_latency[20s]"),
    ("matrix", "max_over_time(e2e_seconds[10s])[30s:5s]"),
    ("matrix", "nothing_has_this_name[1m]"),
];

/// Queries that Prometheus takes and cannot carry out.
const FAILURES: &[(&str, &str)] = &[
    ("e2e_seconds * on (gpu) e2e_seconds", "upstream_execution"),
    (r#"label_replace(e2e_seconds, "host", "same", "gpu", ".*")"#, "upstream_execution"),
];

/// Updates compared for each query.
const UPDATES: usize = 3;

#[tokio::test]
async fn with_the_embedded_bus() {
    streams_equal_queries(Bus::Embedded).await;
}

#[tokio::test]
async fn over_nats() {
    streams_equal_queries(Bus::Nats).await;
}

async fn streams_equal_queries(bus: Bus) {
    let stack = Stack::start(bus, &[]).await;
    let (from, to) = (now().plus_millis(-120_000), now().plus_millis(300_000));
    for host in ["a", "b"] {
        stack.prometheus.write("e2e_seconds", &[("gpu", "0"), ("host", host)], from, to).await;
    }
    stack.prometheus.write_histogram("e2e_latency", from, to).await;
    stack.prometheus.has("DCGM_FI_DEV_GPU_UTIL offset 10s").await;
    let gateway = stack.gateway();
    let mut results = Vec::new();
    for (kind, query) in RESULTS {
        results.push((kind, query, Stream::open(gateway, query, 5).await));
    }
    let mut failures = Vec::new();
    for (query, code) in FAILURES {
        failures.push((query, code, Stream::open(gateway, query, 5).await));
    }
    for (kind, query, mut stream) in results {
        let updates = stream.updates(UPDATES).await;
        ticks::assert_unbroken(ticks::grid(stream.topic(), 5), &ticks::of(&updates));
        for update in updates {
            assert_result(&stack.prometheus, kind, query, &update).await;
        }
    }
    for (query, code, mut stream) in failures {
        for _ in 0..UPDATES {
            assert_failure(&stack.prometheus, query, code, &stream.next("error").await).await;
        }
    }
}

async fn assert_result(prometheus: &Prometheus, kind: &str, query: &str, update: &Event) {
    assert_eq!(update.id.as_deref(), Some(update.tick().to_string().as_str()), "{query}");
    assert_eq!(update.data["data"]["resultType"], kind, "{query}: {}", update.text);
    let answer = prometheus.query(query, update.tick()).await;
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    assert_eq!(canonical(&update.data["data"]), canonical(&answer["data"]), "{query} at {}", update.tick());
}

async fn assert_failure(prometheus: &Prometheus, query: &str, code: &str, error: &Event) {
    assert_eq!(error.id.as_deref(), Some(error.tick().to_string().as_str()), "{query}");
    assert_eq!(error.code(), code, "{query}: {}", error.text);
    assert_eq!(error.data["retryable"], false, "{query}: {}", error.text);
    let answer = prometheus.query(query, error.tick()).await;
    assert_eq!(answer["errorType"], "execution", "{query}: {answer}");
    // The order in which Prometheus names two offending series is its own each time: compare up to the first.
    let says = answer["error"].as_str().expect("an error has a text");
    let says = says.split(['{', ';']).next().unwrap_or(says);
    let message = error.data["message"].as_str().unwrap_or_default();
    assert!(message.contains(says), "{query}: {message:?} does not say {says:?}");
}
