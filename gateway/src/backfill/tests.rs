//! Backfills over the embedded bus, in paused time.

use futures_util::future::join_all;
use promcast_proto::ask::Answer;
use promcast_proto::body::Body;
use promcast_proto::topic::Datasource;
use promcast_runtime::bus::embedded::Embedded;
use promcast_runtime::bus::{Asked, Limits};
use tokio::sync::mpsc;
use tokio::time::{advance, timeout};

use super::*;
use crate::sse::Format;

const MATRIX: &str =
    r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}"#;

const SETTINGS: Settings =
    Settings { query_timeout: Duration::from_secs(10), points: 100, bytes: 1 << 20, cache_bytes: 1 << 20 };

struct Rig {
    bus: Arc<dyn Bus>,
    backfill: Backfill,
    asks: mpsc::Receiver<Asked>,
    registry: Registry,
}

async fn rig(settings: Settings) -> Rig {
    let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
    let asks = bus.asks(&Datasource::default()).await.unwrap();
    let registry = Registry::new();
    let backfill = Backfill::new(Arc::clone(&bus), settings, &registry, &Tasks::default()).unwrap();
    Rig { bus, backfill, asks, registry }
}

fn topic() -> Topic {
    Topic::new(Datasource::default(), "up".to_owned())
}

fn interval() -> Interval {
    Interval::from_secs(5).unwrap()
}

fn tick(number: i64) -> Tick {
    Tick::from_millis(1_764_000_003_007 + number * 5_000)
}

fn document(text: &str) -> Answer {
    Answer::Result(Body::pack(text.as_bytes().to_vec()).unwrap())
}

fn failure() -> Failure {
    Failure { code: ErrorCode::Execution, message: "on purpose".to_owned() }
}

impl Rig {
    fn fetch(&self, from: i64, to: i64) -> impl Future<Output = Fetched> + use<> {
        self.backfill.fetch(&topic(), interval(), tick(from), tick(to))
    }

    /// The next ask, answered so.
    async fn answer(&mut self, answer: Answer) -> Ask {
        let Asked { ask, reply } = self.asks.recv().await.unwrap();
        reply.send(answer).unwrap();
        ask
    }

    fn count(&self, outcome: &str) -> u64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let name = format!("promcast_gateway_backfills_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_want_the_same_make_one_ask() {
    let mut rig = rig(SETTINGS).await;
    let all = join_all((0..50).map(|_| rig.fetch(0, 3)).collect::<Vec<_>>());
    let (spans, ask) = tokio::join!(all, rig.answer(document(MATRIX)));
    let question = Question::Range { query: "up".to_owned(), start: tick(0), end: tick(3), step_ms: 5_000 };
    assert_eq!(ask, Ask { datasource: Datasource::default(), timeout_ms: 10_000, question });
    let first = spans[0].clone().unwrap();
    assert!(spans.iter().all(|span| Arc::ptr_eq(span.as_ref().unwrap(), &first)));
    let head = String::from_utf8(first.head(Format::Prometheus).to_vec()).unwrap();
    let expected = format!(
        "event: backfill\ndata: {{\"topic\":\"{}\",\"interval\":5,\"from\":{},\"to\":{},\"data\":",
        topic().key(),
        tick(0),
        tick(3)
    );
    assert!(head.starts_with(&expected), "{head}");
    assert!(rig.asks.try_recv().is_err(), "asked twice");
    assert_eq!((rig.count("fetched"), rig.count("shared")), (1, 49));
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_is_kept_for_a_moment() {
    let mut rig = rig(SETTINGS).await;
    let first = rig.fetch(0, 3);
    let (first, _) = tokio::join!(first, rig.answer(document(MATRIX)));
    advance(Duration::from_secs(9)).await;
    let kept = rig.fetch(0, 3).await.unwrap();
    assert!(Arc::ptr_eq(&kept, &first.unwrap()));
    assert_eq!(rig.count("cached"), 1);
    advance(Duration::from_secs(1)).await;
    let again = rig.fetch(0, 3);
    let (again, _) = tokio::join!(again, rig.answer(document(MATRIX)));
    assert!(!Arc::ptr_eq(&kept, &again.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn other_ticks_intervals_and_topics_are_asked_for_by_themselves() {
    let mut rig = rig(SETTINGS).await;
    let (other, slow) =
        (Topic::new(Datasource::default(), "down".to_owned()), Interval::from_secs(10).unwrap());
    let all = [
        rig.backfill.fetch(&topic(), interval(), tick(0), tick(4)),
        rig.backfill.fetch(&topic(), interval(), tick(1), tick(4)),
        rig.backfill.fetch(&topic(), interval(), tick(0), tick(2)),
        rig.backfill.fetch(&topic(), slow, tick(0), tick(4)),
        rig.backfill.fetch(&other, interval(), tick(0), tick(4)),
    ];
    for _ in &all {
        rig.answer(document(MATRIX)).await;
    }
    assert!(join_all(all).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_wait_and_the_next_one_asks_again() {
    let mut rig = rig(SETTINGS).await;
    let all = join_all((0..50).map(|_| rig.fetch(0, 3)).collect::<Vec<_>>());
    let (failed, _) = tokio::join!(all, rig.answer(Answer::Failure(failure())));
    assert!(failed.into_iter().all(|failed| failed.unwrap_err() == failure()));
    let again = rig.fetch(0, 3);
    let (again, _) = tokio::join!(again, rig.answer(document(MATRIX)));
    again.unwrap();
    assert_eq!((rig.count("failed"), rig.count("fetched")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_who_goes_away_does_not_lose_the_answer_of_the_others() {
    let mut rig = rig(SETTINGS).await;
    let (first, second) = (rig.fetch(0, 3), rig.fetch(0, 3));
    assert!(timeout(Duration::from_millis(100), first).await.is_err());
    let (second, _) = tokio::join!(second, rig.answer(document(MATRIX)));
    second.unwrap();
    // Nor does it lose it for those who come later, where all have gone.
    drop(rig.fetch(4, 5));
    rig.answer(document(MATRIX)).await;
    tokio::task::yield_now().await;
    rig.fetch(4, 5).await.unwrap();
    assert_eq!(rig.count("cached"), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_poller_the_failure_is_one_that_can_be_tried_again() {
    let mut rig = rig(SETTINGS).await;
    rig.asks.close();
    let failure = rig.fetch(0, 3).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unanswered);
    assert!(failure.code.retryable());
    assert_eq!(failure.message, "no poller of the datasource answered");
}

#[tokio::test(start_paused = true)]
async fn pollers_that_are_coming_back_are_waited_for() {
    let mut rig = rig(SETTINGS).await;
    rig.asks.close();
    let wanted = rig.fetch(0, 3);
    let poller = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        rig.asks = rig.bus.asks(&Datasource::default()).await.unwrap();
        rig.answer(document(MATRIX)).await;
    };
    let (fetched, ()) = tokio::join!(wanted, poller);
    fetched.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_over_a_limit_is_refused() {
    let mut rig = rig(Settings { bytes: MATRIX.len() - 1, ..SETTINGS }).await;
    assert_eq!(rig.backfill.points(), 100);
    let failure = rig.fetch(0, 100).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::TooLarge);
    assert_eq!(failure.message, "the backfill has 101 ticks, over the limit of 100; ask for less time");
    assert_eq!(rig.fetch(1, 0).await.unwrap_err().code, ErrorCode::BadData);
    assert_eq!(rig.count("refused"), 2);
    assert!(rig.asks.try_recv().is_err());

    let large = rig.fetch(0, 99);
    let (large, _) = tokio::join!(large, rig.answer(document(MATRIX)));
    assert_eq!(large.unwrap_err().code, ErrorCode::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_to_a_range_query_is_malformed() {
    let mut rig = rig(SETTINGS).await;
    for text in [r#"{"status":"success","data":[]}"#, "hello", "{\"a\":\n1}"] {
        let fetched = rig.fetch(0, 3);
        let (fetched, _) = tokio::join!(fetched, rig.answer(document(text)));
        assert_eq!(fetched.unwrap_err().code, ErrorCode::Malformed, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn some_are_asked_for_at_once_and_the_others_wait_for_their_turn_but_not_for_ever() {
    let mut rig = rig(SETTINGS).await;
    let mut wanted: Vec<_> = (0..20).map(|to| rig.fetch(0, to)).collect();
    let mut held = Vec::new();
    for _ in 0..crate::line::AT_ONCE {
        held.push(rig.asks.recv().await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(rig.asks.try_recv().is_err(), "more are asked for at once");
    held.remove(0).reply.send(document(MATRIX)).unwrap();
    held.push(rig.asks.recv().await.unwrap());
    // Those whose turn never comes are told.
    let last = wanted.pop().unwrap().await;
    assert_eq!(last.unwrap_err().code, ErrorCode::Overloaded);
    for asked in held {
        asked.reply.send(document(MATRIX)).unwrap();
    }
    wanted.remove(0).await.unwrap();
}
