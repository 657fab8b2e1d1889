//! Queries made to see what is another's: each is refused, or gives what it would give were nothing of another's there.

use std::collections::BTreeSet;

use e2e::prometheus::Prometheus;
use e2e::tenants::{self, Series, TIME};
use promcast_gateway::auth::{Namespaces, Sight};
use promcast_gateway::scope::{Labels, scoped};
use promcast_proto::tick::Tick;
use serde_json::Value;

/// Selectors that aim at the series of others.
const AIMS: &[&str] = &[
    "only_in_victim",
    "node_load1",
    "DCGM_FI_DEV_GPU_UTIL",
    "accelerator_gpu_utilization",
    "container_memory_bytes",
    r#"container_memory_bytes{namespace="victim"}"#,
    r#"container_memory_bytes{namespace='victim'}"#,
    "container_memory_bytes{namespace=`victim`}",
    r#"container_memory_bytes{"namespace"="victim"}"#,
    r#"container_memory_bytes{namespace="vic\x74im"}"#,
    r#"container_memory_bytes{namespace="\166ictim"}"#,
    "container_memory_bytes{namespace=\"\u{ff56}ictim\"}",
    r#"container_memory_bytes{namespace=~"victim|team-a"}"#,
    r#"container_memory_bytes{namespace=~"^(?:victim)$|^team-a$"}"#,
    r#"container_memory_bytes{namespace=~"team-a)|(victim"}"#,
    r#"container_memory_bytes{namespace=~"|.*"}"#,
    r#"container_memory_bytes{namespace=~"(?i)VICTIM|TEAM-A"}"#,
    r#"container_memory_bytes{namespace=~"(?x) team-a # )"}"#,
    r#"container_memory_bytes{namespace!="team-a"}"#,
    r#"container_memory_bytes{namespace!="nobody"}"#,
    r#"container_memory_bytes{namespace!~"nobody"}"#,
    r#"container_memory_bytes{namespace=""}"#,
    r#"container_memory_bytes{namespace="team-a",namespace="victim"}"#,
    r#"container_memory_bytes{namespace="team-a" or namespace="victim"}"#,
    r#"{__name__="container_memory_bytes" or __name__="only_in_victim"}"#,
    r#"{__name__="only_in_victim"}"#,
    r#"{__name__="only_in_victim",__name__=~".+"}"#,
    r#"{"__name__"="only_in_victim"}"#,
    r#"{"only_in_victim"}"#,
    r#"{__name__=~"only_in_.+"}"#,
    r#"{__name__!="",pod="victim-pod-0"}"#,
    r#"container_memory_bytes{pod="victim-pod-0"}"#,
    r#"container_memory_bytes{pod="\"} or only_in_victim{pod=\""}"#,
    "container_memory_bytes{ # }\n pod=~\"victim.*\" # }\r}",
    r#"up{exported_namespace="team-a"}"#,
    r#"up{job="forged-job"}"#,
    r#"DCGM_FI_DEV_GPU_UTIL{exported_namespace=~".+"}"#,
    r#"DCGM_FI_DEV_GPU_UTIL{exported_namespace=""}"#,
    r#"DCGM_FI_DEV_GPU_UTIL{namespace="victim"}"#,
    r#"DCGM_FI_DEV_GPU_UTIL{gpu="9"}"#,
    r#"{__name__="DCGM_FI_DEV_GPU_UTIL",namespace="victim",exported_namespace="team-a"}"#,
];

/// What is built around them: `%` stands for a selector.
const WAYS: &[&str] = &[
    "%",
    "((%))",
    "-%",
    "% # comment",
    "sum(%)",
    "count(%) by (namespace, pod)",
    "sort_desc(%)",
    "% > bool 0",
    "topk(scalar(%), up)",
    "topk(scalar(sum(%)), container_memory_bytes)",
    "bottomk(scalar(count(%)), container_memory_bytes)",
    "quantile(scalar(avg(%)) / 1e9, container_memory_bytes)",
    "limitk(scalar(%), up)",
    "count_values(\"v\", %)",
    "absent(%)",
    "absent_over_time(%[5m])",
    "up or %",
    "up unless on () %",
    "% unless on () up",
    "up and on () %",
    "up * on () group_left (pod) %",
    "% * on () group_right (namespace) up",
    "up + ignoring (namespace, job) group_left () %",
    "label_replace(%, \"namespace\", \"team-a\", \"\", \"\")",
    "label_replace(%, \"seen\", \"$1\", \"pod\", \"(.*)\")",
    "label_join(%, \"seen\", \",\", \"namespace\", \"exported_namespace\", \"pod\")",
    "max_over_time(%[10m:1m])",
    "max_over_time((%)[10m:1m] @ end() offset 1m)",
    "% offset 5m",
    "% offset -5m",
    "% @ 1699999500",
    "% @ start()",
    "%[5m]",
    "rate(%[5m])",
    "vector(scalar(%))",
    "scalar(%)",
    "clamp(up, scalar(%), scalar(%))",
    "histogram_quantile(scalar(%), latency_seconds_bucket)",
    "predict_linear(container_memory_bytes[5m], scalar(%))",
    "time() - timestamp(%)",
    "info(%)",
    "info(up, %)",
    "sum by (\"a) or only_in_victim{b\") (%)",
];

#[tokio::test]
async fn nobody_learns_what_is_anothers() {
    let series = tenants::all();
    let everything = Prometheus::holding(&tenants::openmetrics(&series)).await;
    for names in [&["team-a"][..], &["team-a", "team-b"]] {
        let own: Vec<_> = series.iter().filter(|series| series.belongs_to(names)).collect();
        let only_own = Prometheus::holding(&tenants::openmetrics(own.iter().copied())).await;
        let marks = Marks::of(&series, names);
        let sight = Sight::Only(Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap());
        let (mut granted, mut refused, mut seen) = (0, 0, 0);
        for query in WAYS.iter().flat_map(|way| AIMS.iter().map(|aim| way.replace('%', aim))) {
            let Ok(text) = scoped(&query, &sight, &Labels::default()) else {
                refused += 1;
                continue;
            };
            granted += 1;
            let tick = Tick::from_millis(TIME * 1000);
            let (here, there) = tokio::join!(everything.query(&text, tick), only_own.query(&text, tick));
            // Errors name what they stumbled over: they count as results.
            assert_eq!(elements(&here), elements(&there), "{query}\nas {text}");
            let found = marks.found_in(&here, &query);
            assert_eq!(found, None, "{query}\nas {text}\ngives {here}");
            seen += usize::from(!elements(&here).is_empty());
        }
        println!("{granted} queries granted, {seen} of them with a result; {refused} refused");
        assert!(granted + refused >= 500 && granted >= 300 && seen >= 100, "{granted} {refused} {seen}");
    }
}

/// What only others have.
struct Marks {
    values: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Marks {
    fn of(series: &[Series], names: &[&str]) -> Self {
        let (own, foreign): (Vec<_>, Vec<_>) = series.iter().partition(|series| series.belongs_to(names));
        // Small numbers come about by counting.
        let values = |of: &[&Series]| -> BTreeSet<String> {
            let values = of.iter().flat_map(|series| series.samples().map(|(value, _)| value));
            values.filter(|value| *value > 100_000).map(|value| value.to_string()).collect()
        };
        let labels = |of: &[&Series]| -> BTreeSet<String> {
            of.iter()
                .flat_map(|series| series.values_of_labels().map(str::to_owned))
                .filter(|label| label.len() > 1)
                .collect()
        };
        Self {
            values: values(&foreign).difference(&values(&own)).cloned().collect(),
            labels: labels(&foreign).difference(&labels(&own)).cloned().collect(),
        }
    }

    /// A mark in an answer, unless whoever asked wrote it into the query.
    fn found_in(&self, answer: &Value, query: &str) -> Option<&String> {
        let text = answer.to_string();
        let values = self.values.iter().filter(|value| text.contains(&format!("\"{value}\"")));
        let labels = self.labels.iter().filter(|label| text.contains(label.as_str()));
        values.chain(labels).find(|mark| !query.contains(mark.as_str()))
    }
}

/// The elements of an answer as a set; that of an error is all that it says.
fn elements(answer: &Value) -> BTreeSet<String> {
    match answer["data"]["result"].as_array() {
        Some(elements) => elements.iter().map(Value::to_string).collect(),
        None => BTreeSet::from([answer.to_string()]),
    }
}
