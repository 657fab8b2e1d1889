//! The promises about asks, as functions that hold for any kind of bus, and what only a server can have: a poller that froze.

use std::sync::Arc;
use std::time::Duration;

use e2e::nats::Nats as Server;
use e2e::wait::{PATIENCE, within};
use promcast_proto::ask::{Answer, Ask, Question};
use promcast_proto::body::Body;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use promcast_proto::update::Failure;
use promcast_runtime::bus::{Asked, Bus, Error, Limits};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::rig::{Kind, connect, init, is_up, options, other_datasource, passed};

/// After so long without a sign of life another poller is asked.
const SILENCE: Duration = Duration::from_secs(1);

fn ask() -> Ask {
    let tick = Tick::from_millis(1_764_000_003_007);
    let question = Question::Range { query: "up".to_owned(), start: tick, end: tick, step_ms: 5_000 };
    Ask { datasource: Datasource::default(), timeout_ms: 20_000, question }
}

fn result(json: &str) -> Answer {
    Answer::Result(Body::pack(json.as_bytes().to_vec()).unwrap())
}

async fn poller(bus: &Arc<dyn Bus>) -> mpsc::Receiver<Asked> {
    let asks = bus.asks(&Datasource::default()).await.unwrap();
    passed(bus).await;
    asks
}

async fn consult(bus: &Arc<dyn Bus>) -> Result<Answer, Error> {
    bus.consult(&ask()).await
}

/// Answers one ask after another with `json`, until the bus is gone; the number of them is in the channel.
fn answering(mut asks: mpsc::Receiver<Asked>, json: &'static str) -> mpsc::Receiver<()> {
    let (count, counted) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Some(asked) = asks.recv().await {
            // Who asked may have heard another's answer.
            drop(asked.reply.send(result(json)));
            count.try_send(()).unwrap();
        }
    });
    counted
}

pub(crate) async fn an_ask_and_its_answer_arrive_as_they_were_sent<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut asks = poller(&rig.other).await;
    let failure = Failure { code: ErrorCode::BadData, message: "on purpose".to_owned() };
    for answer in [result(r#"{"status":"success","data":[]}"#), Answer::Failure(failure)] {
        let (given, ()) = tokio::join!(consult(&rig.bus), async {
            let asked = within("an ask", PATIENCE, asks.recv()).await.unwrap();
            assert_eq!(asked.ask, ask());
            asked.reply.send(answer.clone()).unwrap();
        });
        assert_eq!(given.unwrap(), answer);
    }
}

pub(crate) async fn of_two_pollers_one_answers<K: Kind>() {
    const ASKS: usize = 40;
    let rig = K::start(Limits::default()).await;
    let one = answering(poller(&rig.bus).await, "1");
    let two = answering(poller(&rig.other).await, "2");
    for _ in 0..ASKS {
        consult(&rig.bus).await.unwrap();
    }
    assert_eq!(one.len() + two.len(), ASKS, "an ask goes to one poller");
    assert!(!one.is_empty() && !two.is_empty(), "{} and {}: one has all the work", one.len(), two.len());
}

pub(crate) async fn where_no_poller_is_there_that_is_said_at_once<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let _other = rig.other.asks(&other_datasource()).await.unwrap();
    let asks = poller(&rig.other).await;
    drop(asks);
    let started = Instant::now();
    // That a poller went away reaches the server a moment later.
    let answer = consult(&rig.bus).await;
    assert!(matches!(answer, Err(Error::Unanswered)), "{answer:?}");
    assert!(started.elapsed() < SILENCE * 2, "{:?}", started.elapsed());
    let started = Instant::now();
    let answer = consult(&rig.bus).await;
    assert!(matches!(answer, Err(Error::Unanswered)), "{answer:?}");
    assert!(started.elapsed() < SILENCE / 2, "{:?}", started.elapsed());
}

pub(crate) async fn a_poller_that_declines_is_followed_by_another_try<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let (mut one, mut two) = (poller(&rig.bus).await, poller(&rig.other).await);
    let started = Instant::now();
    let (given, ()) = tokio::join!(consult(&rig.bus), async {
        for nth in 0..3 {
            let asked = tokio::select! {
                asked = one.recv() => asked.unwrap(),
                asked = two.recv() => asked.unwrap(),
            };
            if nth < 2 {
                drop(asked.reply);
            } else {
                asked.reply.send(result("3")).unwrap();
            }
        }
    });
    assert_eq!(given.unwrap(), result("3"));
    assert!(started.elapsed() < SILENCE, "it waited: {:?}", started.elapsed());
}

pub(crate) async fn where_all_decline_nobody_answers<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut asks = poller(&rig.other).await;
    let started = Instant::now();
    let answer = tokio::select! {
        answer = consult(&rig.bus) => answer,
        () = async { while asks.recv().await.is_some() {} } => panic!("no more asks"),
    };
    assert!(matches!(answer, Err(Error::Unanswered)), "{answer:?}");
    assert!(started.elapsed() < SILENCE, "it waited: {:?}", started.elapsed());
}

pub(crate) async fn a_large_answer_comes_whole<K: Kind>() {
    const SIZE: usize = 700_000;
    let rig = K::start(Limits::default()).await;
    let mut asks = poller(&rig.other).await;
    // Random digits, so that they stay large when they are packed.
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(SIZE)
    .collect();
    let body = Body::pack(noise.clone()).unwrap();
    assert!(body.packed_len() > SIZE * 9 / 10);
    let (given, ()) = tokio::join!(consult(&rig.bus), async {
        let asked = within("an ask", PATIENCE, asks.recv()).await.unwrap();
        asked.reply.send(Answer::Result(body)).unwrap();
    });
    let Answer::Result(body) = given.unwrap() else { panic!("a failure") };
    assert_eq!(body.unpack(SIZE).unwrap(), noise);
}

pub(crate) async fn a_slow_answer_is_waited_for_and_asked_for_once<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut asks = poller(&rig.other).await;
    let (given, ()) = tokio::join!(consult(&rig.bus), async {
        let asked = within("an ask", PATIENCE, asks.recv()).await.unwrap();
        sleep(SILENCE * 3).await;
        asked.reply.send(result("slow")).unwrap();
    });
    assert_eq!(given.unwrap(), result("slow"));
    assert!(asks.try_recv().is_err(), "asked twice");
}

pub(crate) async fn a_poller_that_leaves_asks_lying_is_passed_over<K: Kind>() {
    const ASKS: usize = 20;
    let rig = K::start(Limits::default()).await;
    let mut idle = poller(&rig.bus).await;
    let _count = answering(poller(&rig.other).await, "there");
    let mut given = JoinSet::new();
    for _ in 0..ASKS {
        let bus = Arc::clone(&rig.bus);
        given.spawn(async move { consult(&bus).await });
    }
    for answer in given.join_all().await {
        assert_eq!(answer.unwrap(), result("there"));
    }
    assert!(idle.try_recv().is_ok(), "the idle one was never asked");
}

pub(crate) async fn an_answer_that_never_comes_costs_a_bounded_wait<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let mut asks = poller(&rig.other).await;
    let started = Instant::now();
    let ask = Ask { timeout_ms: 1_000, ..ask() };
    let mut held = Vec::new();
    let answer = tokio::select! {
        answer = rig.bus.consult(&ask) => answer,
        () = async { while let Some(asked) = asks.recv().await { held.push(asked); } } => panic!("no more asks"),
    };
    assert!(matches!(answer, Err(Error::Unanswered)), "{answer:?}");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_secs(8), "{waited:?}");
    assert_eq!(held.len(), 1);
}

/// As much of a poller as the server sees of one that froze: it is subscribed, and takes what it is sent.
async fn frozen(server: &Server) -> BufReader<TcpStream> {
    let address = server.url().strip_prefix("nats://").unwrap();
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB ask.default pollers 1\r\nPING\r\n").await.unwrap();
    let mut line = String::new();
    while !line.starts_with("PONG") {
        line.clear();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the server hung up");
    }
    stream
}

#[tokio::test]
async fn a_frozen_poller_costs_a_second_and_no_answer() {
    const ASKS: usize = 20;
    let server = Server::start().await;
    init(&server, &Limits::default()).await;
    let (gateway, other) = (connect(&options(&server)).await, connect(&options(&server)).await);
    is_up(&gateway).await;
    is_up(&other).await;
    let mut frozen = frozen(&server).await;
    let _count = answering(poller(&other).await, "there");
    let mut given = JoinSet::new();
    for _ in 0..ASKS {
        let bus = Arc::clone(&gateway);
        given.spawn(async move { consult(&bus).await });
    }
    for answer in given.join_all().await {
        assert_eq!(answer.unwrap(), result("there"));
    }
    let mut line = String::new();
    within("an ask at the frozen one", PATIENCE, frozen.read_line(&mut line)).await.unwrap();
    assert!(line.starts_with("MSG ask.default"), "{line}");
}

#[tokio::test]
async fn where_the_server_is_away_asks_fail_at_once() {
    let mut server = Server::start().await;
    init(&server, &Limits::default()).await;
    let gateway = connect(&options(&server)).await;
    is_up(&gateway).await;
    server.kill().await;
    let mut state = gateway.state();
    within("trouble", PATIENCE, state.wait_for(|state| !state.is_up())).await.unwrap();
    let started = Instant::now();
    let answer = consult(&gateway).await;
    assert!(matches!(answer, Err(Error::Disconnected)), "{answer:?}");
    assert!(started.elapsed() < SILENCE);
}
