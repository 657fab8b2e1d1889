//! Readers that stall or lag cost nobody else anything: not in time, not in memory, and they are told what they lost.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::programs::Gateway;
use e2e::raw::Raw;
use e2e::stream::Stream;
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now, until, within};
use promcast_proto::tick::Tick;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Readers that read nothing.
const STALLED: usize = 200;

/// Readers beside them that read at once.
const HEALTHY: usize = 50;

/// Ticks that the healthy ones are watched for.
const TICKS: usize = 9;

/// Bytes of a result: near the limit of 1 MiB, so that kernel buffers are full soon.
const RESULT_BYTES: usize = 900 * 1024;

/// The gateway may grow by this much under so many stalled readers of so much. A copy of one update for each of them
/// would be 180 MB.
const GROWTH_BYTES: u64 = 64 * 1024 * 1024;

/// Bounds of how late a healthy reader gets a tick: the typical one, and the last of all. Each tick is 45 MB over
/// loopback for them, on the same processors as the gateway.
const TYPICAL: Duration = Duration::from_millis(1000);
const WORST: Duration = Duration::from_millis(2500);

const FLAGS: &[&str] = &[
    "--stream-max-connections",
    "300",
    "--stream-open-rate",
    "10000",
    "--stream-open-burst",
    "10000",
    "--stream-write-stall",
    "5s",
    "--stream-lag",
    "2",
];

#[tokio::test]
async fn a_client_that_does_not_finish_its_request_is_closed() {
    let upstream = Upstream::of_one_sample().await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let mut sockets = Vec::new();
    for begin in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut socket = TcpStream::connect(gateway.address()).await.expect("a connection");
        socket.write_all(begin.as_bytes()).await.expect("bytes can be sent");
        sockets.push((begin, socket));
    }
    for (begin, mut socket) in sockets {
        let mut answer = Vec::new();
        let what = format!("the end of a connection after {begin:?}");
        // Closed or reset: both are an end.
        within(&what, PATIENCE, socket.read_to_end(&mut answer)).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_do_not_notice() {
    let upstream = Upstream::start(|_| large()).await;
    let gateway = start(&upstream).await;
    let mut healthy = Vec::new();
    for _ in 0..HEALTHY {
        healthy.push(Stream::open(&gateway, "large", 5).await);
    }
    for stream in &mut healthy {
        stream.updates(2).await;
    }
    let before = gateway.process.resident_bytes();
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(Raw::stream(&gateway, 4096, "large", 5).await);
    }
    let mut most = before;
    let mut delays = Vec::new();
    for _ in 0..TICKS {
        for stream in &mut healthy {
            delays.push(stream.update().await.delay());
        }
        most = most.max(gateway.process.resident_bytes());
    }
    delays.sort_unstable();
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    assert!(median < TYPICAL, "half of the updates came later than {median:?}");
    assert!(worst < WORST, "an update came {worst:?} late");
    assert!(most - before < GROWTH_BYTES, "the gateway grew from {before} to {most} bytes");
    until("the stalled readers are closed", Duration::from_secs(60), || async {
        (e2e::programs::sum(&metrics(&gateway).await, "sse_active_connections") == f64_of(HEALTHY))
            .then_some(())
    })
    .await;
    let end = stalled[0].read_to_end(Duration::from_secs(10)).await;
    assert!(end.starts_with(b"HTTP/1.1 200"), "a stalled reader had a stream");
    for stream in &mut healthy {
        stream.update().await;
    }
}

#[tokio::test]
async fn a_slow_one_is_told_what_it_lost() {
    let upstream = Upstream::start(|_| large()).await;
    let gateway = start(&upstream).await;
    let mut witness = Stream::open(&gateway, "large", 5).await;
    let mut slow = Raw::stream(&gateway, 64 * 1024, "large", 5).await;
    // About 50 KB/s: a third of what comes, and never silent for as long as a stalled one.
    let mut received = Vec::new();
    let until_lagging = now().plus_millis(60_000);
    while now() < until_lagging {
        received.extend(slow.read(50 * 1024).await);
        tokio::time::sleep(Duration::from_millis(1000)).await;
    }
    let gap = loop {
        let bytes = slow.read(1024 * 1024).await;
        assert!(!bytes.is_empty(), "the slow reader was closed");
        received.extend(bytes);
        if let Some(gap) = event(&received, "gap") {
            break gap;
        }
    };
    assert_eq!(gap["reason"], "slow_consumer", "{gap}");
    let grid = ticks::grid(gap["topic"].as_str().expect("a topic"), 5);
    let tick = |name: &str| Tick::from_millis(gap[name].as_i64().expect("a tick"));
    let (from, to) = (tick("from"), tick("to"));
    assert!(grid.contains(from) && grid.contains(to) && from <= to, "{gap}");
    assert_eq!(gap["missed"].as_u64(), Some(grid.count(grid.step(from, -1), to)), "{gap}");
    let witnessed = ticks::of(&witness.waiting());
    ticks::assert_unbroken(grid, &witnessed);
    assert!(witnessed.contains(&from) && witnessed.contains(&to), "{gap} speaks of ticks that others saw");
}

/// The data of the first whole event of this kind in an HTTP/1.1 stream, wherever its chunks are cut: the one line of
/// its data has no chunk boundary in it where events are framed one to a chunk.
fn event(received: &[u8], kind: &str) -> Option<Value> {
    let text = String::from_utf8_lossy(received);
    let data = text.split_once(&format!("event: {kind}\n"))?.1.split_once("data: ")?.1.split_once('\n')?.0;
    serde_json::from_str(data).ok()
}

fn large() -> Reply {
    let series = |number: usize| format!(r#"{{"metric":{{"gpu":"{number:08}"}},"value":[0,"1"]}}"#);
    let count = RESULT_BYTES / (series(0).len() + 1);
    let result: Vec<_> = (0..count.min(9_000)).map(series).collect();
    let padding = "x".repeat(RESULT_BYTES.saturating_sub(result.iter().map(|one| one.len() + 1).sum()));
    let padded = format!(r#"{{"metric":{{"padding":"{padding}"}},"value":[0,"1"]}}"#);
    Reply::data(&format!(r#"{{"resultType":"vector","result":[{},{padded}]}}"#, result.join(",")))
}

async fn start(upstream: &Upstream) -> Gateway {
    Gateway::start(&[&["--prometheus-url", &upstream.url()], FLAGS].concat()).await
}

async fn metrics(gateway: &Gateway) -> String {
    e2e::http::get(&gateway.admin("/metrics")).await.body
}

fn f64_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}
