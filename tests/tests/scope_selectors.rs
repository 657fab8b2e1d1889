//! What restricted selectors give on a Prometheus that holds everything is what the selectors as they were typed give on one that
//! holds the caller's namespaces and nothing else: the names of labels, their values, and whole series.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use e2e::http;
use e2e::prometheus::Prometheus;
use e2e::tenants::{self, TIME};
use promcast_gateway::auth::{Namespaces, Sight};
use promcast_gateway::scope::{Invalid, Labels, Refusal, selected};

/// What selectors begin with: a metric, or what leaves it open.
const NAMES: &[&str] = &[
    "",
    "up",
    "container_memory_bytes",
    "only_in_victim",
    "node_load1",
    "DCGM_FI_DEV_GPU_UTIL",
    "accelerator_gpu_utilization",
    r#"__name__="DCGM_FI_DEV_FB_USED""#,
    r#"__name__=~"DCGM_.*|up""#,
    r#"__name__!~"DCGM_.*""#,
    r#"__name__=~".*_(info|utilization)""#,
];

/// What they go on with, alone and by twos.
const MATCHERS: &[&str] = &[
    "",
    r#"namespace!="""#,
    r#"namespace=~"team-.*""#,
    r#"namespace="nvidia-gpu-operator""#,
    r#"namespace!~"team-b|victim""#,
    r#"exported_namespace=~".+""#,
    r#"exported_namespace="""#,
    r#"exported_namespace!="team-c""#,
    r#"pod=~".*-[01]""#,
    r#"pod!="victim-pod-0""#,
    r#"exported_pod!="""#,
    r#"gpu=~"[089]""#,
    r#"job=~"app|forged-job""#,
    r#"node="node-0""#,
];

/// Those of them that a series without the label fits.
const FOR_NONE: &[&str] = &[
    r#"__name__!~"DCGM_.*""#,
    r#"namespace!~"team-b|victim""#,
    r#"exported_namespace="""#,
    r#"exported_namespace!="team-c""#,
    r#"pod!="victim-pod-0""#,
];

/// Labels whose values are looked at.
const VALUES: [&str; 8] =
    ["__name__", "namespace", "exported_namespace", "pod", "exported_pod", "gpu", "job", "node"];

#[tokio::test]
async fn for_a_caller_with_one_namespace() {
    lookups_are_as_if_nothing_else_were_there(&["team-a"]).await;
}

#[tokio::test]
async fn for_a_caller_with_several_namespaces() {
    lookups_are_as_if_nothing_else_were_there(&["team-a", "team-b"]).await;
}

/// Series that a team passes off as another's are nobody's, not even its own.
#[tokio::test]
async fn for_a_caller_who_passes_series_off_as_those_of_others() {
    lookups_are_as_if_nothing_else_were_there(&["victim", "team-c"]).await;
}

async fn lookups_are_as_if_nothing_else_were_there(names: &[&str]) {
    let series = tenants::all();
    let everything = Prometheus::holding(&tenants::openmetrics(&series)).await;
    let own: Vec<_> = series.iter().filter(|series| series.belongs_to(names)).collect();
    let only_own = Prometheus::holding(&tenants::openmetrics(own)).await;
    let sight = Sight::Only(Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap());
    let (client, mut compared, mut with_data) = (http::client(), 0, 0);
    for given in selections() {
        let selectors = match selected(&given, &sight, &Labels::default()) {
            Ok(selectors) => selectors,
            Err(Invalid::Refused(Refusal::Forbidden))
                if given.iter().any(|text| text.contains("namespace")) =>
            {
                continue;
            }
            Err(error) => panic!("{given:?}: {error}"),
        };
        let label = VALUES[compared % VALUES.len()];
        for path in ["labels", &format!("label/{label}/values"), "series"] {
            if path == "series" && given.is_empty() {
                continue;
            }
            let (restricted, typed) = tokio::join!(
                lookup(&client, &everything, path, &selectors),
                lookup(&client, &only_own, path, &given)
            );
            assert_eq!(restricted, typed, "{path} of {given:?}\nas {selectors:?}");
            with_data += usize::from(!restricted.is_empty());
        }
        compared += 1;
    }
    assert!(compared > 700, "{compared} selections compared");
    assert!(with_data > compared, "{with_data} of {compared} selections have something");
}

/// None at all, each name with each two matchers, and some together.
fn selections() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut before = String::new();
    for name in NAMES {
        for (at, one) in MATCHERS.iter().enumerate() {
            for other in &MATCHERS[at..] {
                let Some(selector) = selector(name, one, other) else { continue };
                if all.len() % 5 == 0 {
                    all.push(vec![before, selector.clone()]);
                } else {
                    all.push(vec![selector.clone()]);
                }
                before = selector;
            }
        }
    }
    all
}

/// Nothing where every matcher lets the empty value pass: Prometheus takes no such selector.
fn selector(name: &str, one: &str, other: &str) -> Option<String> {
    let (metric, named) = if name.starts_with("__name__") { ("", name) } else { (name, "") };
    let parts = [named, one, if one == other { "" } else { other }];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let narrow = !metric.is_empty() || parts.iter().any(|part| !FOR_NONE.contains(part));
    narrow.then(|| format!("{metric}{{{}}}", parts.join(",")))
}

/// The entries of an answer, whatever their order.
async fn lookup(
    client: &reqwest::Client,
    prometheus: &Prometheus,
    path: &str,
    selectors: &[String],
) -> BTreeSet<String> {
    let (start, end) = ((TIME - 3_600).to_string(), TIME.to_string());
    let mut parameters = vec![("start", start.as_str()), ("end", end.as_str())];
    parameters.extend(selectors.iter().map(|selector| ("match[]", selector.as_str())));
    let url = format!("{}/api/v1/{path}", prometheus.url());
    let answer = http::send(client.get(url).query(&parameters)).await;
    assert_eq!(answer.status, 200, "{path} {parameters:?}: {}", answer.body);
    answer.json()["data"].as_array().unwrap().iter().map(ToString::to_string).collect()
}
