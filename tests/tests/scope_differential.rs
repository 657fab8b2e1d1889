//! What a restricted query gives on a Prometheus that holds everything is what the query as it was typed gives on one
//! that holds the caller's namespaces and nothing else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use e2e::prometheus::Prometheus;
use e2e::promql::Queries;
use e2e::tenants::{self, TIME};
use promcast_gateway::auth::{Namespaces, Sight};
use promcast_gateway::scope::{Error, Invalid, Labels, scoped};
use promcast_proto::tick::Tick;
use serde_json::Value;

/// Generated queries for each caller, of which some are refused because they ask for other namespaces.
const GENERATED: usize = 1_200;

/// Queries that are compared for each caller at least.
const COMPARED_MIN: usize = 1_000;

/// How often both are asked again where they differ. Which of several equal elements `topk` takes is left to chance, in one
/// and the same Prometheus; what belongs to others never comes up, however often.
const CHANCES: usize = 30;

/// Besides those that are generated: what dashboards ask.
const WRITTEN: &[&str] = &[
    "sum by (namespace) (container_memory_bytes)",
    "avg(DCGM_FI_DEV_GPU_UTIL)",
    "topk(2, sum by (exported_pod) (DCGM_FI_DEV_GPU_UTIL))",
    "topk(scalar(count(kube_pod_info)) - 1, container_memory_bytes)",
    "count(DCGM_FI_DEV_GPU_UTIL{exported_namespace!=\"\"}) or vector(0)",
    "sum(rate(requests_total{code=~\"5..\"}[5m])) / sum(rate(requests_total[5m]))",
    "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[10m])))",
    "container_memory_bytes * on (pod) group_left (node) kube_pod_info",
    "DCGM_FI_DEV_GPU_UTIL * on (pod) group_left (node) label_replace(kube_pod_info, \"exported_pod\", \"$1\", \"pod\", \"(.*)\")",
    "label_replace(DCGM_FI_DEV_GPU_UTIL, \"pod\", \"$1\", \"exported_pod\", \"(.*)\") * on (pod) group_left (node) kube_pod_info",
    "max_over_time(sum(rate(requests_total[2m]))[10m:1m])",
    "min_over_time(max_over_time(container_memory_bytes[2m])[10m:2m])",
    "sum(node_load1)",
    "node_load1 or up",
    "up unless on (namespace) kube_pod_info",
    "up and on () vector(1)",
    "sum(absent(only_in_victim))",
    "sum(absent(node_load1))",
    "count(count by (namespace) (up))",
    "count_values(\"v\", container_memory_bytes)",
    "quantile(scalar(secret_ratio / 10), container_memory_bytes)",
    "clamp_max(container_memory_bytes, scalar(sum(up)))",
    "container_memory_bytes @ end() offset 10m",
    "accelerator_gpu_utilization / ignoring (__name__) DCGM_FI_DEV_FB_USED",
    "vector(scalar(only_in_victim))",
    "\"text\"",
    "1 + 1",
    "up{namespace=~\"team-a|victim\"}",
    "up{namespace!=\"victim\"}",
    "DCGM_FI_DEV_GPU_UTIL{namespace=\"nvidia-gpu-operator\"}",
    "DCGM_FI_DEV_GPU_UTIL{namespace=\"victim\"}",
    "sum without (gpu) (DCGM_FI_DEV_GPU_UTIL)",
    "{__name__=\"up\",job=\"app\"}",
    "sort_desc(container_memory_bytes)",
    "-container_memory_bytes ^ 2",
    "requests_total[5m]",
    "deriv(container_memory_bytes[10m]) > 0",
    "predict_linear(container_memory_bytes[10m], 3600)",
    "label_join(up, \"all\", \"-\", \"namespace\", \"job\")",
    "kube_pod_info == bool 1",
    "hour(vector(1700000000)) + on () group_right () up",
];

#[tokio::test]
async fn for_a_caller_with_one_namespace() {
    restricted_is_as_if_nothing_else_were_there(&["team-a"], 0x5eed).await;
}

#[tokio::test]
async fn for_a_caller_with_several_namespaces() {
    restricted_is_as_if_nothing_else_were_there(&["team-a", "team-b"], 0xfeed).await;
}

async fn restricted_is_as_if_nothing_else_were_there(names: &[&str], seed: u64) {
    let series = tenants::all();
    let own = series.iter().filter(|series| series.belongs_to(names));
    let everything = Prometheus::holding(&tenants::openmetrics(&series)).await;
    let only_own = Prometheus::holding(&tenants::openmetrics(own)).await;
    let sight = Sight::Only(Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap());
    let labels = Labels::default();
    let mut queries = Queries::of(seed);
    let generated: Vec<_> = (0..GENERATED).map(|_| queries.draw()).collect();
    let (mut compared, mut with_data) = (0, 0);
    for query in WRITTEN.iter().copied().chain(generated.iter().map(String::as_str)) {
        let text = match scoped(query, &sight, &labels) {
            Ok(text) => text,
            Err(Error::Forbidden) if query.contains("namespace") => continue,
            // The generator knows no limits.
            Err(Error::Query(Invalid::Costly(_) | Invalid::Excessive(_))) => continue,
            Err(error) => panic!("{query}: {error}"),
        };
        let mut answers = both(&everything, &text, &only_own, query).await;
        for _ in 0..CHANCES {
            if answers.0 == answers.1 {
                break;
            }
            answers = both(&everything, &text, &only_own, query).await;
        }
        let (restricted, typed) = answers;
        assert_eq!(restricted, typed, "{query}\nas {text}");
        compared += 1;
        with_data += usize::from(!restricted.1.is_empty());
    }
    assert!(compared >= COMPARED_MIN, "{compared} queries compared");
    assert!(with_data * 5 > compared * 2, "{with_data} of {compared} queries have a result");
}

async fn both(
    everything: &Prometheus,
    text: &str,
    only_own: &Prometheus,
    query: &str,
) -> ((String, BTreeSet<String>), (String, BTreeSet<String>)) {
    let tick = Tick::from_millis(TIME * 1000);
    let (restricted, typed) = tokio::join!(everything.query(text, tick), only_own.query(query, tick));
    (outcome(&restricted), outcome(&typed))
}

/// The kind of a result, or of an error, and its elements as a set: their order says nothing but after `sort`.
fn outcome(answer: &Value) -> (String, BTreeSet<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if answer["status"] != "success" {
        return (text(&answer["errorType"]), BTreeSet::new());
    }
    let data = &answer["data"];
    let elements = match data["resultType"].as_str() {
        Some("vector" | "matrix") => {
            data["result"].as_array().unwrap().iter().map(Value::to_string).collect()
        }
        _ => BTreeSet::from([data["result"].to_string()]),
    };
    (text(&data["resultType"]), elements)
}
