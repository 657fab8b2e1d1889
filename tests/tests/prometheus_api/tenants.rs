//! Who sees some namespaces gets what a Prometheus would answer that holds nothing else, and learns of nobody else.

use e2e::http;
use e2e::programs::Gateway;
use e2e::prometheus::Prometheus;
use e2e::stack::{Bus, Stack};
use e2e::tenants::{self, TEAMS};

use crate::rig::{Parameters, Rig, Way, ask, sorted};

const T: &str = "1700000000";
const BEFORE: &str = "1699999700";

const CALLS: &[(&str, Parameters<'_>)] = &[
    ("query", &[("query", "up"), ("time", T)]),
    ("query", &[("query", "sum by (namespace) (container_memory_bytes)"), ("time", T)]),
    ("query", &[("query", "avg by (exported_pod) (DCGM_FI_DEV_GPU_UTIL)"), ("time", T)]),
    ("query", &[("query", "only_in_victim"), ("time", T)]),
    ("query", &[("query", "node_load1"), ("time", T)]),
    ("query", &[("query", "count_values(\"v\", container_memory_bytes)"), ("time", T)]),
    ("query_range", &[("query", "DCGM_FI_DEV_FB_USED"), ("start", BEFORE), ("end", T), ("step", "60")]),
    (
        "query_range",
        &[("query", "sum(rate(requests_total[5m]))"), ("start", BEFORE), ("end", T), ("step", "60")],
    ),
    ("labels", &[]),
    ("labels", &[("match[]", "up")]),
    ("labels", &[("match[]", r#"{gpu!=""}"#)]),
    ("label/__name__/values", &[]),
    ("label/namespace/values", &[]),
    ("label/exported_namespace/values", &[("match[]", r#"{__name__=~"DCGM_.*"}"#)]),
    ("label/pod/values", &[("match[]", "kube_pod_info"), ("start", BEFORE), ("end", T)]),
    ("label/exported_pod/values", &[]),
    ("label/gpu/values", &[]),
    ("label/node/values", &[]),
    ("series", &[("match[]", r#"{__name__=~".+"}"#)]),
    ("series", &[("match[]", "DCGM_FI_DEV_GPU_UTIL"), ("match[]", "up")]),
    ("series", &[("match[]", "only_in_victim")]),
    ("metadata", &[]),
];

/// Calls that fail in the parser, which has words of its own.
const MISREAD: &[(&str, Parameters<'_>)] = &[
    ("query", &[("query", "sum("), ("time", T)]),
    ("query_range", &[("query", "up{"), ("start", BEFORE), ("end", T), ("step", "15")]),
    ("labels", &[("match[]", "sum(up)")]),
    ("labels", &[("match[]", "{}")]),
    ("label/gpu/values", &[("match[]", "up offset 5m")]),
    ("series", &[("match[]", "up{")]),
];

/// Calls that fail otherwise: at their parameters, and while the query runs.
const FAILING: &[(&str, Parameters<'_>)] = &[
    ("query", &[]),
    ("query", &[("query", "up"), ("time", "abc")]),
    ("query", &[("query", "up"), ("timeout", "x")]),
    ("query", &[("query", "up * on (namespace) kube_pod_info"), ("time", T)]),
    ("query", &[("query", r#"label_replace(kube_pod_info, "pod", "one", "", "")"#), ("time", T)]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T)]),
    ("query_range", &[("query", "up"), ("start", T), ("end", BEFORE), ("step", "15")]),
    ("query_range", &[("query", "up"), ("start", BEFORE), ("end", T), ("step", "0")]),
    ("query_range", &[("query", "up"), ("start", "1699988999"), ("end", T), ("step", "1")]),
    ("query_range", &[("query", "up[5m]"), ("start", BEFORE), ("end", T), ("step", "15")]),
    (
        "query_range",
        &[("query", "up * on (namespace) kube_pod_info"), ("start", BEFORE), ("end", T), ("step", "60")],
    ),
    ("labels", &[("start", "abc")]),
    ("label/a-b/values", &[]),
    ("series", &[]),
    ("series", &[("match[]", "up"), ("start", T), ("end", BEFORE)]),
    ("metadata", &[("limit", "a")]),
];

#[tokio::test]
async fn a_tenants_mistakes_are_told_as_if_nothing_else_were_there() {
    let rig = Rig::start().await;
    let series = tenants::all();
    let own = series.iter().filter(|series| series.belongs_to(&["team-a", "team-b"]));
    let only_own = Prometheus::holding(&tenants::openmetrics(own)).await;
    let (client, token) = (http::client(), rig.issuer.token("ann", &["team-a", "team-b"]));
    for &(path, parameters) in FAILING.iter().chain(MISREAD) {
        for way in [Way::Url, Way::Form] {
            if way == Way::Form && (path.starts_with("label/") || path == "metadata") {
                continue;
            }
            let ours = rig.gateway(&token, way, path, parameters).await;
            let theirs = ask(&client, &only_own, way, path, parameters).await;
            let kind = |answer: &http::Answer| (answer.status, answer.json()["errorType"].clone());
            assert_eq!(kind(&ours), kind(&theirs), "{path} {parameters:?}: {}", ours.body);
            if !MISREAD.contains(&(path, parameters)) {
                assert_eq!(ours.json(), theirs.json(), "{path} {parameters:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_reads_as_if_nothing_else_were_there() {
    let rig = Rig::start().await;
    let series = tenants::all();
    let client = http::client();
    for names in [&["team-a"][..], &["team-a", "team-b"]] {
        let own = series.iter().filter(|series| series.belongs_to(names));
        let only_own = Prometheus::holding(&tenants::openmetrics(own)).await;
        let token = rig.issuer.token("ann", names);
        for &(path, parameters) in CALLS {
            for way in [Way::Url, Way::Form] {
                if way == Way::Form && (path.starts_with("label/") || path == "metadata") {
                    continue;
                }
                let ours = rig.gateway(&token, way, path, parameters).await;
                let theirs = ask(&client, &only_own, way, path, parameters).await;
                assert_eq!(ours.status, 200, "{path} {parameters:?}: {}", ours.body);
                assert_eq!(sorted(&ours), sorted(&theirs), "{names:?} {path} {parameters:?}");
                for other in TEAMS.iter().filter(|team| !names.contains(team)) {
                    assert!(!ours.body.contains(other), "{names:?} {path} {parameters:?}: {}", ours.body);
                }
            }
        }
    }
}

/// In the URL or in the form, each namespace that is named must be theirs, and narrows.
#[tokio::test]
async fn a_namespace_narrows_and_never_widens() {
    let rig = Rig::start().await;
    let token = rig.issuer.token("ann", &["team-a", "team-b"]);
    let values = async |way, parameters: Parameters<'_>| {
        let parameters = [&[("match[]", "up")], parameters].concat();
        let answer = rig.gateway(&token, way, "series", &parameters).await;
        (answer.status, answer.body)
    };
    for way in [Way::Url, Way::Form] {
        let (status, body) = values(way, &[("namespace", "team-b")]).await;
        assert!(status == 200 && body.contains("team-b") && !body.contains("team-a"), "{body}");
        let (status, body) = values(way, &[("namespace", "team-b"), ("namespace", "team-a")]).await;
        assert!(status == 200 && body.contains("team-b") && body.contains("team-a"), "{body}");
        for named in [&[("namespace", "victim")][..], &[("namespace", "team-a"), ("namespace", "victim")]] {
            let refused = values(way, named).await;
            let unknown = values(way, &[("namespace", "no-such")]).await;
            assert_eq!(refused.0, 403, "{}", refused.1);
            assert_eq!(refused, unknown);
            assert!(refused.1.starts_with(r#"{"status":"error","errorType":"forbidden","#), "{}", refused.1);
        }
        assert_eq!(values(way, &[("namespace", "TEAM")]).await.0, 400);
    }
    // One in the URL and another in the form are both named.
    let url = rig.gateway.url("/api/v1/series?match[]=up&namespace=team-a");
    let request = rig.gateway.http.post(url).form(&[("namespace", "victim")]).bearer_auth(&token);
    assert_eq!(http::send(request).await.status, 403);
}

#[tokio::test]
async fn who_asks_for_another_namespace_by_name_is_refused() {
    let rig = Rig::start().await;
    let token = rig.issuer.token("ann", &["team-a"]);
    for (path, name, text) in [
        ("query", "query", r#"up{namespace="victim"}"#),
        ("query", "query", r#"DCGM_FI_DEV_GPU_UTIL{exported_namespace="victim"}"#),
        ("labels", "match[]", r#"{namespace="victim"}"#),
        ("label/pod/values", "match[]", r#"{namespace=~"victim|team-b"}"#),
        ("series", "match[]", r#"up{namespace="no-such"}"#),
    ] {
        let answer = rig.gateway(&token, Way::Url, path, &[(name, text)]).await;
        assert_eq!(answer.status, 403, "{path} {text}: {}", answer.body);
        let nobody = rig.gateway(&token, Way::Url, path, &[("namespace", "no-such"), (name, text)]).await;
        assert_eq!(answer.body, nobody.body);
    }
}

/// Over a Prometheus that scrapes, and so has metadata.
#[tokio::test]
async fn metadata_are_told_of_metrics_that_the_caller_has_series_of() {
    let stack = Stack::start(
        Bus::Embedded,
        &["--scope-labels", "DCGM_FI_DEV_GPU_UTIL=gpu", "--scope-labels", "*=job"],
    )
    .await;
    let names = async |query_string: &str| {
        let answer = http::get(&stack.gateway().url(&format!("/api/v1/metadata{query_string}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["data"].as_object().unwrap().clone()
    };
    let all = names("").await;
    assert!(all.len() > 5, "{all:?}");
    // The rules of this gateway say that GPU 0 is a namespace, and that the job `gpu` is one.
    let util = "DCGM_FI_DEV_GPU_UTIL";
    assert_eq!(names("?namespace=0").await.keys().collect::<Vec<_>>(), [util]);
    assert_eq!(names("?namespace=0").await[util], all[util]);
    let of_job = names("?namespace=gpu").await;
    assert!(
        !of_job.contains_key(util) && of_job.len() + 1 == all.len(),
        "{:?} of {:?}",
        of_job.keys(),
        all.keys()
    );
    assert_eq!(names("?namespace=gpu&limit=2").await.len(), 2);
    assert!(names("?namespace=0&metric=DCGM_FI_DEV_GPU_TEMP").await.is_empty());
    assert!(names("?namespace=nobody").await.is_empty());
}

/// An upstream of before the time when selectors counted in lookups of labels.
#[tokio::test]
async fn an_upstream_that_passes_over_selectors_is_not_believed() {
    let all = r#"{"status":"success","data":["only_in_victim","up"]}"#;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(async move || ([("content-type", "application/json")], all));
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let gateway = Gateway::start(&["--prometheus-url", &upstream]).await;
    for path in ["labels", "label/__name__/values", "metadata"] {
        let answer = http::get(&gateway.url(&format!("/api/v1/{path}?namespace=team-a"))).await;
        assert_eq!(answer.status, 422, "{path}: {}", answer.body);
        assert!(answer.body.contains("2.24") && !answer.body.contains("victim"), "{}", answer.body);
    }
    assert_eq!(http::get(&gateway.url("/api/v1/labels")).await.status, 200, "for who sees everything");
}

/// Each call is answered from the caller's own, however many ask the same in other people's names.
#[tokio::test]
async fn answers_are_not_shared_by_those_who_see_other_things() {
    let rig = Rig::start().await;
    let tokens: Vec<_> = TEAMS.iter().map(|team| rig.issuer.token(team, &[team])).collect();
    let path = "label/pod/values";
    let calls = (0..40).map(|at| {
        let (rig, tokens) = (&rig, &tokens);
        async move { (at % TEAMS.len(), rig.gateway(&tokens[at % TEAMS.len()], Way::Url, path, &[]).await) }
    });
    for (team, answer) in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let pods = answer.json()["data"].as_array().unwrap().clone();
        assert_eq!(pods.len(), 3, "{}", answer.body);
        assert!(pods.iter().all(|pod| pod.as_str().unwrap().starts_with(TEAMS[team])), "{}", answer.body);
    }
}
