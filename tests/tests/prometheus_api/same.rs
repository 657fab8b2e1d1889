//! Who sees everything gets what Prometheus itself would answer, to good calls and to bad ones.

use e2e::http;
use e2e::stack::{Bus, Promcast, Stack};
use serde_json::Value;

use crate::rig::{ROOM, Rig, Way, ask, holding_all, sorted};

const T: &str = "1700000000";
const BEFORE: &str = "1699999700";

/// Calls with an answer, or with an error that has the same words.
const CALLS: &[(&str, &[(&str, &str)])] = &[
    ("query", &[("query", "up"), ("time", T)]),
    ("query", &[("query", "up"), ("time", "1699999999.9996")]),
    ("query", &[("query", "up"), ("time", "2023-11-14T22:13:20Z")]),
    ("query", &[("query", "up"), ("time", "2023-11-14T23:13:19.5+01:00")]),
    ("query", &[("query", "sum by (namespace) (container_memory_bytes)"), ("time", T)]),
    ("query", &[("query", "topk(2, DCGM_FI_DEV_GPU_UTIL)"), ("time", T)]),
    ("query", &[("query", "container_memory_bytes[2m]"), ("time", T)]),
    ("query", &[("query", "max_over_time(sum(up)[10m:1m])"), ("time", T)]),
    ("query", &[("query", "1 + 1"), ("time", T)]),
    ("query", &[("query", "1 / 0"), ("time", "1700000000.123")]),
    ("query", &[("query", "\"text\""), ("time", T)]),
    ("query", &[("query", "nothing_here"), ("time", T)]),
    ("query", &[("query", "up"), ("time", T), ("timeout", "5s"), ("unknown", "x"), ("limit", "0")]),
    ("query", &[("query", "up"), ("time", T), ("timeout", "2.5"), ("dedup", "true")]),
    ("query", &[("query", "up # a comment\n or node_load1"), ("time", T)]),
    ("query", &[("query", r#"label_replace(up, "a", "$1-ü", "job", "(.*)")"#), ("time", T)]),
    ("query", &[("query", r#"count({__name__=~"DCGM_.*"})"#), ("time", T)]),
    ("query", &[("query", "up"), ("query", "node_load1"), ("time", T)]),
    ("query", &[]),
    ("query", &[("query", "")]),
    ("query", &[("query", "up"), ("time", "abc")]),
    ("query", &[("query", "up"), ("time", "2023-11-14")]),
    ("query", &[("query", "up"), ("timeout", "x")]),
    ("query", &[("query", "up"), ("timeout", "1e30")]),
    ("query", &[("query", "up * on (namespace) kube_pod_info"), ("time", T)]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "15")]),
    ("query_range", &[("query", "rate(requests_total[5m])"), ("start", BEFORE), ("end", T), ("step", "1m")]),
    (
        "query_range",
        &[("query", "sum(up)"), ("start", "1699999700.5"), ("end", "1699999999.25"), ("step", "0.5")],
    ),
    ("query_range", &[("query", "up"), ("start", T), ("end", T), ("step", "1h30m")]),
    ("query_range", &[("query", "vector(1)"), ("start", "1699989000"), ("end", T), ("step", "1")]),
    ("query_range", &[("query", "1"), ("start", "2023-11-14T22:00:00Z"), ("end", T), ("step", "60")]),
    ("query_range", &[("query", "nothing_here"), ("start", BEFORE), ("end", T), ("step", "15")]),
    ("query_range", &[("query", "vector(1)"), ("start", "1699988999"), ("end", T), ("step", "1")]),
    ("query_range", &[("query", "up[5m]"), ("start", BEFORE), ("end", T), ("step", "15")]),
    ("query_range", &[("query", "up")]),
    ("query_range", &[("query", "up"), ("start", BEFORE)]),
    ("query_range", &[("query", "up"), ("start", T), ("end", BEFORE), ("step", "15")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T)]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "0")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "0s")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "-15")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "1s1m")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "300y")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "1e30")]),
    ("labels", &[]),
    ("labels", &[("start", BEFORE), ("end", T)]),
    ("labels", &[("match[]", "up")]),
    ("labels", &[("match[]", "up"), ("match[]", r#"{gpu="0"}"#), ("start", BEFORE), ("end", T)]),
    ("labels", &[("match[]", "nothing_here")]),
    ("labels", &[("start", "2500000000")]),
    ("labels", &[("start", "abc")]),
    ("labels", &[("end", "abc")]),
    ("labels", &[("match[]", "")]),
    ("labels", &[("match[]", "{}")]),
    ("labels", &[("match[]", "sum(up)")]),
    ("labels", &[("match[]", "up offset 5m")]),
    ("label/namespace/values", &[]),
    ("label/__name__/values", &[("start", BEFORE), ("end", T)]),
    ("label/gpu/values", &[("match[]", r#"DCGM_FI_DEV_GPU_UTIL{exported_namespace="team-a"}"#)]),
    ("label/no_such_label/values", &[]),
    ("label/a-b/values", &[]),
    ("label/1a/values", &[]),
    ("label/namespace/values", &[("match[]", "{a=~\".*\"}")]),
    ("label/namespace/values", &[("start", "x")]),
    ("series", &[("match[]", "up")]),
    (
        "series",
        &[
            ("match[]", "up"),
            ("match[]", r#"{__name__=~".*_info",namespace="team-b"}"#),
            ("start", BEFORE),
            ("end", T),
        ],
    ),
    ("series", &[("match[]", "nothing_here")]),
    ("series", &[("match[]", "up"), ("start", T), ("end", BEFORE)]),
    ("series", &[]),
    ("series", &[("match[]", "up"), ("end", "x")]),
    ("series", &[("match[]", "up{")]),
    ("metadata", &[]),
    ("metadata", &[("limit", "a")]),
    ("metadata", &[("limit", "-1"), ("metric", "up")]),
    ("status/buildinfo", &[]),
];

/// Calls whose error is of the same kind, in other words: those of another parser, or of whoever notices first.
const KINDS: &[(&str, &[(&str, &str)])] = &[
    ("query", &[("query", "sum(")]),
    ("query", &[("query", "up{a=}")]),
    ("query", &[("query", "up{a=~\"(\"}")]),
    ("query", &[("query", "foo bar")]),
    ("query", &[("query", "sum(\"a\")")]),
    ("query_range", &[("query", ""), ("start", BEFORE), ("end", T), ("step", "15")]),
    ("query", &[("query", "up"), ("time", T), ("timeout", "-5")]),
    ("query_range", &[("query", "up{"), ("start", BEFORE), ("end", T), ("step", "15")]),
];

#[tokio::test]
async fn who_sees_everything_gets_what_prometheus_answers() {
    let rig = Rig::start().await;
    let token = rig.admin();
    for &(path, parameters) in CALLS {
        for way in ways(path) {
            let (ours, theirs) =
                tokio::join!(rig.gateway(&token, way, path, parameters), rig.upstream(way, path, parameters));
            assert_eq!(
                (ours.status, sorted(&ours)),
                (theirs.status, sorted(&theirs)),
                "{path} {parameters:?}"
            );
            assert_eq!(ours.header("content-type"), theirs.header("content-type"), "{path} {parameters:?}");
            assert_eq!(ours.header("cache-control"), "no-store");
            if theirs.status == 200 && !theirs.body.contains("topk") {
                assert_eq!(ours.body.len(), theirs.body.trim_end().len(), "{path} {parameters:?}");
            }
        }
    }
    for &(path, parameters) in KINDS {
        let (ours, theirs) = tokio::join!(
            rig.gateway(&token, Way::Url, path, parameters),
            rig.upstream(Way::Url, path, parameters)
        );
        assert_eq!(ours.status, theirs.status, "{path} {parameters:?}");
        assert_eq!(ours.json()["errorType"], theirs.json()["errorType"], "{path} {parameters:?}");
        let error = ours.json()["error"].as_str().unwrap().to_owned();
        let of_query = error.starts_with(r#"invalid parameter "query": "#);
        assert!(of_query || ours.status == 503, "{error}");
    }
}

/// The bytes of the data are the upstream's own: nothing is decoded on the way and written again.
#[tokio::test]
async fn data_are_the_upstreams_own_bytes() {
    let rig = Rig::start().await;
    let parameters = [("query", r#"label_replace(up, "a", "<&>$1", "job", "(.*)") / 3"#), ("time", T)];
    let ours = rig.gateway(&rig.admin(), Way::Form, "query", &parameters).await;
    let theirs = rig.upstream(Way::Form, "query", &parameters).await;
    let cut = |body: &str| {
        let mut samples: Vec<_> = body.trim_end().split("{\"metric\"").map(str::to_owned).collect();
        samples.iter_mut().for_each(|sample| *sample = sample.trim_end_matches([',', ']', '}']).to_owned());
        samples.sort();
        samples
    };
    assert!(theirs.body.contains("\\u003c"), "{}", theirs.body);
    assert_eq!(cut(&ours.body), cut(&theirs.body));
}

#[tokio::test]
async fn it_is_the_same_with_pollers_apart() {
    let prometheus = holding_all().await;
    let promcast = Promcast::start(Bus::Nats, &prometheus.url(), &ROOM).await;
    let client = http::client();
    for &(path, parameters) in CALLS {
        let url = promcast.gateway().url(&format!("/api/v1/{path}"));
        let ours = http::send(client.get(url).query(parameters)).await;
        let theirs = ask(&client, &prometheus, Way::Url, path, parameters).await;
        assert_eq!((ours.status, sorted(&ours)), (theirs.status, sorted(&theirs)), "{path} {parameters:?}");
    }
}

/// A Prometheus that scrapes has metadata.
#[tokio::test]
async fn metadata_are_those_of_the_upstream() {
    let stack = Stack::start(Bus::Embedded, &ROOM).await;
    let client = http::client();
    for parameters in [&[][..], &[("metric", "DCGM_FI_DEV_GPU_UTIL")], &[("metric", "no_such_metric")]] {
        let url = stack.gateway().url("/api/v1/metadata");
        let ours = http::send(client.get(url).query(parameters)).await.json();
        let theirs = ask(&client, &stack.prometheus, Way::Url, "metadata", parameters).await.json();
        assert_eq!(ours, theirs, "{parameters:?}");
    }
    let one = http::send(client.get(stack.gateway().url("/api/v1/metadata?limit=1"))).await.json();
    assert_eq!(one["data"].as_object().map(serde_json::Map::len), Some(1));
}

/// Where Prometheus takes a form, both are tried.
fn ways(path: &str) -> Vec<Way> {
    let by_form = ["query", "query_range", "labels", "series"].contains(&path);
    if by_form { vec![Way::Url, Way::Form] } else { vec![Way::Url] }
}

#[tokio::test]
async fn a_tick_that_is_streamed_is_answered_in_the_same_words() {
    let stack = Stack::start(Bus::Embedded, &ROOM).await;
    let mut stream = e2e::stream::Stream::open(stack.gateway(), "DCGM_FI_DEV_GPU_UTIL", 5).await;
    // The first tick may be before the first scrape.
    let tick = loop {
        let update = stream.update().await;
        if update.data["data"]["result"].as_array().is_some_and(|result| !result.is_empty()) {
            break update.tick();
        }
    };
    let client = http::client();
    let time = tick.as_seconds();
    let url = stack.gateway().url("/api/v1/query");
    let at_tick = [("query", "DCGM_FI_DEV_GPU_UTIL"), ("time", time.as_str())];
    let ours = http::send(client.get(&url).query(&at_tick)).await;
    let theirs = ask(&client, &stack.prometheus, Way::Url, "query", &at_tick).await;
    assert_eq!(sorted(&ours), sorted(&theirs));
    assert_eq!(outcome(&stack, "live").await, 1);

    // Without a time it is the newest tick, which is at most five seconds old.
    let newest = http::send(client.get(&url).query(&[("query", "DCGM_FI_DEV_GPU_UTIL")])).await.json();
    let said = newest["data"]["result"][0]["value"][0].as_f64().unwrap();
    assert!(said >= time.parse::<f64>().unwrap(), "{newest}");
    assert_eq!(outcome(&stack, "live").await, 2);

    // A time between ticks is another evaluation.
    let between = tick.plus_millis(-1).as_seconds();
    let between = [("query", "DCGM_FI_DEV_GPU_UTIL"), ("time", between.as_str())];
    http::send(client.get(&url).query(&between)).await;
    assert_eq!((outcome(&stack, "live").await, outcome(&stack, "asked").await), (2, 1));
}

async fn outcome(stack: &Stack, outcome: &str) -> u64 {
    let metrics = http::get(&stack.gateway().admin("/metrics")).await.body;
    let name = format!(r#"promcast_gateway_reads_total{{endpoint="query",outcome="{outcome}"}} "#);
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_unavailable_and_not_an_empty_answer() {
    let mut prometheus = holding_all().await;
    let promcast = Promcast::start(Bus::Embedded, &prometheus.url(), &ROOM).await;
    prometheus.stop().await;
    let answer = http::get(&promcast.gateway().url("/api/v1/query?query=up")).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.json()["errorType"], Value::from("unavailable"));
    assert!(!answer.header("retry-after").is_empty());
}
