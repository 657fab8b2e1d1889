//! The parts of a benchmark that run as processes of their own (`bench-part`), so that their cost is told apart: an
//! upstream that answers at once, and clients that read. Each tells of itself over HTTP.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;

use crate::http;
use crate::measure;
use crate::process::Process;
use crate::programs::binary;
use crate::stream::PATH;

mod clients;
mod upstream;

pub use clients::clients;
pub use upstream::upstream;

/// What an upstream has seen since it was last reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Asked {
    /// Queries answered.
    pub queries: u64,
    /// From each tick until its query was here, in milliseconds, sorted.
    pub lateness: Vec<f64>,
    /// From the moment at which a query was read until its answer was written, in microseconds, sorted.
    pub answering: Vec<f64>,
}

/// What clients have seen since they were last reset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Read {
    /// Connections that are open.
    pub open: usize,
    /// Bytes read, all that HTTP puts around them included.
    pub bytes: u64,
    /// Updates read.
    pub updates: Vec<Seen>,
}

/// An update as a client read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The topic's key.
    pub topic: String,
    /// The tick, in milliseconds.
    pub tick: i64,
    /// When it was read, in microseconds since the epoch.
    pub at: i64,
}

impl Seen {
    /// From the tick until it was read, in milliseconds.
    pub fn delay(&self) -> f64 {
        millis(self.at - 1_000 * self.tick)
    }
}

/// Which connections there are, and what each reads.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many.
    pub connections: usize,
    /// Topics of each.
    pub topics: usize,
    /// Topics of all together: one goes on where the one before stopped, and after the last comes the first.
    pub of: usize,
    /// Seconds from tick to tick.
    pub interval: u16,
}

impl Crowd {
    /// The request of one of them.
    fn request(&self, number: usize, host: &str) -> String {
        let subscription =
            |topic: usize| json!({"id": topic.to_string(), "query": query(topic), "interval": self.interval});
        let first = number * self.topics;
        let topics = (first..first + self.topics).map(|topic| topic % self.of);
        let subscriptions: Vec<_> = topics.map(subscription).collect();
        let body = json!({ "subscriptions": subscriptions }).to_string();
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// The query of a topic: of all GPUs, and still another text for each topic.
pub fn query(topic: usize) -> String {
    format!("DCGM_FI_DEV_GPU_UTIL{{gpu!=\"none-{topic}\"}}")
}

/// A part that runs.
#[derive(Debug)]
pub struct Part {
    /// The process.
    pub process: Process,
    address: SocketAddr,
}

impl Part {
    /// Starts an upstream on these cores whose answers have so many series.
    pub async fn upstream(cores: &str, series: usize) -> Self {
        Self::start(cores, &["upstream".to_owned(), series.to_string()]).await
    }

    /// Starts clients on these cores that connect to these addresses in turn.
    pub async fn clients(cores: &str, addresses: &[&str], crowd: Crowd) -> Self {
        let Crowd { connections, topics, of, interval } = crowd;
        let numbers = [connections, topics, of, usize::from(interval)].map(|number| number.to_string());
        let mut arguments = vec!["clients".to_owned(), addresses.join(",")];
        arguments.extend(numbers);
        Self::start(cores, &arguments).await
    }

    async fn start(cores: &str, arguments: &[String]) -> Self {
        let mut command: Command = measure::pinned(cores, binary("bench-part"));
        let process = Process::spawn("bench-part", command.args(arguments));
        let find = |line: &str| line.strip_prefix("listening on ")?.parse().ok();
        let address = process.line("its address", find).await;
        Self { process, address }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What an upstream was asked since the last time, and forgets.
    pub async fn asked(&self) -> Asked {
        self.take().await
    }

    /// What clients have read since the last time, and forget.
    pub async fn read(&self) -> Read {
        self.take().await
    }

    /// How many connections clients have open.
    pub async fn open(&self) -> usize {
        let open = http::get(&format!("{}/open", self.url())).await.body;
        open.trim().parse().expect("a count")
    }

    async fn take<T: for<'a> Deserialize<'a>>(&self) -> T {
        serde_json::from_str(&http::get(&format!("{}/take", self.url())).await.body).expect("what was seen")
    }
}

/// Microseconds since the epoch.
fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Microseconds in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "differences of times are far below 2^53 µs")]
fn millis(micros: i64) -> f64 {
    micros as f64 / 1e3
}
