//! Asks through a real bus to a real server and back.

use std::num::NonZeroUsize;

use promcast_proto::ask::{Ask, Question};
use promcast_proto::body::PACKED_MAX;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource as Name;
use promcast_runtime::bus::Limits;
use promcast_runtime::bus::embedded::Embedded;
use prometheus::Registry;
use tokio::sync::watch;

use super::*;
use crate::config::Datasource;
use crate::metrics::Metrics;
use crate::stub::{Stub, UP, say};

const MATRIX: &str = "{\"status\":\"success\",\n\"data\":{\"resultType\":\"matrix\",\"result\":[]}}\r\n";

struct Rig {
    bus: Arc<dyn Bus>,
    registry: Registry,
    tasks: Tasks,
}

fn start(stub: &Stub, settings: Datasource) -> Rig {
    let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
    let (registry, tasks) = (Registry::new(), Tasks::default());
    let places = settings.max_asks.get();
    let upstream = stub.upstream(settings);
    let metrics = Metrics::register(&registry).unwrap().of(&upstream.name);
    let source = Arc::new(Source::new(&upstream, metrics).unwrap());
    tasks.spawn("asks", Desk::new(source, Arc::clone(&bus), tasks.clone(), places).run());
    Rig { bus, registry, tasks }
}

fn range() -> Question {
    let (start, end) = (Tick::MIN, Tick::from_millis(60_000));
    Question::Range { query: "up".to_owned(), start, end, step_ms: 5_000 }
}

fn labels() -> Question {
    Question::Labels { matchers: Vec::new(), start: None, end: None, limit: None }
}

impl Rig {
    async fn consult(&self, question: Question) -> Result<Answer, bus::Error> {
        let ask = Ask { datasource: Name::default(), timeout_ms: 20_000, question };
        // The desk has to come to its place first.
        loop {
            match self.bus.consult(&ask).await {
                Err(bus::Error::Unanswered) if !self.tasks.soft().is_cancelled() => {
                    tokio::task::yield_now().await;
                }
                answer => return answer,
            }
        }
    }

    async fn result(&self, question: Question) -> String {
        match self.consult(question).await.unwrap() {
            Answer::Result(body) => String::from_utf8(body.unpack(1 << 24).unwrap()).unwrap(),
            Answer::Failure(failure) => panic!("{failure:?}"),
        }
    }

    async fn failure(&self, question: Question) -> Failure {
        match self.consult(question).await.unwrap() {
            Answer::Failure(failure) => failure,
            Answer::Result(_) => panic!("a result"),
        }
    }

    fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

#[tokio::test]
async fn the_answer_is_the_upstreams_document_in_one_line() {
    let stub = Stub::saying(200, MATRIX).await;
    let rig = start(&stub, Datasource::default());
    let expected = MATRIX.replace(['\n', '\r'], " ");
    assert_eq!(rig.result(range()).await, expected);
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /api/v1/query_range");
    let expected = [
        ("query", "up"),
        ("start", "0.000"),
        ("end", "60.000"),
        ("step", "5.000"),
        // The datasource's own timeout is shorter than the ask's.
        ("timeout", "10.000"),
    ];
    assert_eq!(asked.form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let metrics = rig.metrics();
    for line in [
        r#"promcast_poller_asks_total{datasource="default",kind="range",outcome="success"} 1"#,
        r#"promcast_poller_asks_in_flight{datasource="default"} 0"#,
        r#"promcast_poller_ask_duration_seconds_count{datasource="default"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
}

#[tokio::test]
async fn data_of_any_shape_answers_what_is_no_query_and_no_query() {
    let list = r#"{"status":"success","data":["__name__","gpu"]}"#;
    let stub = Stub::saying(200, list).await;
    let rig = start(&stub, Datasource::default());
    assert_eq!(rig.result(labels()).await, list);
    assert_eq!(stub.asked()[0].line, "POST /api/v1/labels");
    let matchers = vec!["up{a=\"b&c\"}".to_owned()];
    let values =
        Question::LabelValues { name: "gpu".to_owned(), matchers, start: None, end: None, limit: Some(3) };
    assert_eq!(rig.result(values).await, list);
    let asked = &stub.asked()[1];
    assert_eq!(asked.line, "GET /api/v1/label/gpu/values");
    assert_eq!(
        asked.form,
        [("match[]", "up{a=\"b&c\"}"), ("limit", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(rig.failure(range()).await.code, ErrorCode::Malformed);
}

#[tokio::test]
async fn failures_are_told_apart_and_count_for_the_gate_as_those_of_jobs_do() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    let stub = Stub::playing(move |nth| {
        Box::pin(async move { if nth == 0 { say(400, bad) } else { say(503, "") } })
    })
    .await;
    let rig = start(&stub, Datasource::default());
    let failure = rig.failure(range()).await;
    assert_eq!((failure.code, failure.message.as_str()), (ErrorCode::BadData, "no"));
    for _ in 0..5 {
        assert_eq!(rig.failure(labels()).await.code, ErrorCode::Overloaded);
    }
    assert_eq!(stub.asked().len(), 4, "an upstream that is down is spared");
    let metrics = rig.metrics();
    let line = r#"promcast_poller_spared_queries_total{datasource="default"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn an_answer_over_a_limit_is_too_large() {
    let stub = Stub::saying(200, MATRIX).await;
    let rig = start(&stub, Datasource { max_range_bytes: count(MATRIX.len() - 1), ..Datasource::default() });
    assert_eq!(rig.failure(range()).await.code, ErrorCode::TooLarge);
    let rig = start(&stub, Datasource { max_range_bytes: count(MATRIX.len()), ..Datasource::default() });
    rig.result(range()).await;

    let mut state = 1u32;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'#' + u8::try_from((state >> 16) % 57).unwrap())
    })
    .take(PACKED_MAX * 2)
    .collect();
    let incompressible = format!(r#"{{"status":"success","data":["{noise}"]}}"#);
    let stub = Stub::playing(move |_| Box::pin(std::future::ready(say(200, incompressible.clone())))).await;
    let rig = start(&stub, Datasource::default());
    let failure = rig.failure(labels()).await;
    assert_eq!(failure.code, ErrorCode::TooLarge);
    assert!(failure.message.contains("compressed"), "{}", failure.message);
}

/// A server whose answers wait for the gate, and how many of them wait.
async fn gated(gate: &Arc<Semaphore>) -> (Stub, watch::Receiver<usize>) {
    let (count, waiting) = watch::channel(0);
    let (gate, count) = (Arc::clone(gate), Arc::new(count));
    let stub = Stub::playing(move |_| {
        let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
        Box::pin(async move {
            count.send_modify(|count| *count += 1);
            gate.acquire().await.unwrap().forget();
            say(200, UP)
        })
    })
    .await;
    (stub, waiting)
}

#[tokio::test]
async fn what_finds_no_place_is_turned_away_at_once() {
    let gate = Arc::new(Semaphore::new(0));
    let (stub, mut waiting) = gated(&gate).await;
    let rig = start(&stub, Datasource { max_asks: count(2), ..Datasource::default() });
    let beyond = async {
        waiting.wait_for(|waiting| *waiting == 2).await.unwrap();
        let failure = rig.failure(labels()).await;
        assert_eq!(failure.code, ErrorCode::Overloaded);
        let line = r#"promcast_poller_turned_away_asks_total{datasource="default",kind="labels"} 1"#;
        assert!(rig.metrics().contains(line), "{}", rig.metrics());
        gate.add_permits(2);
    };
    tokio::join!(rig.result(range()), rig.result(range()), beyond);
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn on_the_soft_token_what_runs_is_answered_and_nothing_more_is_taken() {
    let gate = Arc::new(Semaphore::new(0));
    let (stub, mut waiting) = gated(&gate).await;
    let rig = start(&stub, Datasource::default());
    let end = async {
        waiting.wait_for(|waiting| *waiting == 1).await.unwrap();
        rig.tasks.soft().cancel();
        // The desk must have seen the token before the next ask comes.
        tokio::task::yield_now().await;
        while !matches!(rig.consult(labels()).await, Err(bus::Error::Unanswered)) {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
    };
    let (result, ()) = tokio::join!(rig.result(range()), end);
    assert_eq!(result, UP);
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_any_more_is_dropped() {
    let gate = Arc::new(Semaphore::new(0));
    let (stub, mut waiting) = gated(&gate).await;
    let rig = start(&stub, Datasource { max_asks: count(1), ..Datasource::default() });
    tokio::select! {
        answer = rig.consult(range()) => panic!("{answer:?}"),
        _ = waiting.wait_for(|waiting| *waiting == 1) => {}
    }
    gate.add_permits(2);
    // Its place is free again, as soon as its task has noticed.
    while !matches!(rig.consult(range()).await.unwrap(), Answer::Result(_)) {
        tokio::task::yield_now().await;
    }
}
