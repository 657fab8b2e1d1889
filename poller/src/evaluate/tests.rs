//! Jobs and what becomes of them, against a real server.

use ::prometheus::Registry;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::update::Failure;

use super::*;
use crate::config::Datasource;
use crate::metrics::Metrics;
use crate::stub::{Stub, UP, say};

fn source(stub: &Stub, settings: Datasource) -> (Source, Registry) {
    let registry = Registry::new();
    let upstream = stub.upstream(settings);
    let metrics = Metrics::register(&registry).unwrap().of(&upstream.name);
    (Source::new(&upstream, metrics).unwrap(), registry)
}

fn job(tick: i64) -> Job {
    let datasource = Name::default();
    Job { datasource, query: "up".to_owned(), tick: Tick::from_millis(tick), timeout_ms: 60_000 }
}

fn failure(update: &Update) -> &Failure {
    match &update.outcome {
        Outcome::Failure(failure) => failure,
        Outcome::Result(_) => panic!("a result: {update:?}"),
    }
}

fn exposed(registry: &Registry) -> String {
    ::prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[tokio::test]
async fn a_job_becomes_the_event_of_its_topic_and_tick() {
    let stub = Stub::saying(200, UP).await;
    let (source, registry) = source(&stub, Datasource::default());
    let update = source.evaluate(&job(1_764_000_003_007), &Span::none()).await;
    assert_eq!((update.key, update.tick.millis()), (job(0).topic().key(), 1_764_000_003_007));
    let Outcome::Result(body) = update.outcome else { panic!("{update:?}") };
    let event: serde_json::Value = serde_json::from_slice(&body.unpack(1 << 20).unwrap()).unwrap();
    assert_eq!(event["topic"], update.key.to_string());
    assert_eq!(event["took_ms"], update.took_ms);
    assert_eq!(event["data"]["result"][0]["value"][1], "1");
    // The datasource's own timeout is shorter than the job's.
    assert_eq!(stub.asked()[0].form[2].1, "10.000");
    let metrics = exposed(&registry);
    assert!(
        metrics.contains(r#"promcast_poller_queries_total{datasource="default",outcome="success"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"promcast_poller_queries_in_flight{datasource="default"} 0"#), "{metrics}");
    let read = format!(r#"promcast_poller_response_bytes_sum{{datasource="default"}} {}"#, UP.len());
    assert!(metrics.contains(&read), "{metrics}");
}

#[tokio::test]
async fn a_result_over_the_event_limit_is_a_failure() {
    let stub = Stub::saying(200, UP).await;
    let small = std::num::NonZeroUsize::new(100).unwrap();
    let (source, _) = source(&stub, Datasource { max_encoded_bytes: small, ..Datasource::default() });
    assert_eq!(failure(&source.evaluate(&job(0), &Span::none()).await).code, ErrorCode::TooLarge);
}

#[tokio::test]
async fn a_dead_upstream_is_asked_less_and_every_job_is_still_answered() {
    let stub =
        Stub::playing(|nth| Box::pin(async move { if nth < 3 { say(503, "") } else { say(200, UP) } })).await;
    let (source, registry) = source(&stub, Datasource::default());
    for tick in 0..10 {
        let update = source.evaluate(&job(tick), &Span::none()).await;
        assert_eq!(failure(&update).code, ErrorCode::Overloaded);
        assert_eq!(update.tick.millis(), tick);
    }
    assert_eq!(stub.asked().len(), 3);
    let metrics = exposed(&registry);
    for line in [
        r#"promcast_poller_queries_total{datasource="default",outcome="upstream_overloaded"} 3"#,
        r#"promcast_poller_spared_queries_total{datasource="default"} 7"#,
        r#"promcast_poller_backoff{datasource="default"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(500)).await;
    tokio::time::resume();
    for _ in 0..2 {
        assert!(matches!(source.evaluate(&job(11), &Span::none()).await.outcome, Outcome::Result(_)));
    }
    assert!(exposed(&registry).contains(r#"promcast_poller_backoff{datasource="default"} 0"#));
}

#[tokio::test]
async fn failures_of_queries_spare_nothing() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    let stub = Stub::saying(400, bad).await;
    let (source, _) = source(&stub, Datasource::default());
    for tick in 0..10 {
        assert_eq!(failure(&source.evaluate(&job(tick), &Span::none()).await).message, "no");
    }
    assert_eq!(stub.asked().len(), 10);
}
