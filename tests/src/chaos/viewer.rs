//! A viewer: streams one query as a browser's `EventSource` does, comes back whenever a stream ends, writes all down.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use promcast_proto::tick::Tick;
use serde_json::Value;
use sse_stream::SseByteStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::journal::{Entry, Journal, What};
use crate::stream::PATH;
use crate::ticks;
use crate::wait::now;

/// Seconds of the subscription: the shortest there are.
pub const INTERVAL: u16 = 5;

/// How long it waits where no server has told it: an `EventSource` waits a few seconds.
const RETRY: Duration = Duration::from_secs(2);

/// What it looks at.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The query; its value at a tick is the tick.
    pub query: String,
    /// The upstream that it is for.
    pub datasource: String,
}

/// A running viewer. It ends with its handle.
#[derive(Debug)]
pub struct Viewer {
    log: Arc<Mutex<Log>>,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Log {
    entries: Vec<Entry>,
    topic: Option<String>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

impl Viewer {
    /// Starts one.
    pub fn start(http: reqwest::Client, base: String, topic: Topic) -> Self {
        let log = Arc::<Mutex<Log>>::default();
        let mut task = JoinSet::new();
        task.spawn(watch(http, base, topic, log.clone()));
        Self { log, _task: task }
    }

    /// What it has seen so far; nothing before its first stream began.
    pub fn journal(&self) -> Option<Journal> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let grid = ticks::grid(log.topic.as_ref()?, INTERVAL);
        Some(Journal { grid, entries: log.entries.clone() })
    }
}

impl Log {
    fn write(&mut self, what: What) {
        self.entries.push(Entry { at: now(), what });
    }
}

async fn watch(http: reqwest::Client, base: String, topic: Topic, log: Arc<Mutex<Log>>) {
    let locked = || log.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut request = http.get(format!("{base}{PATH}")).query(&[
            ("query", topic.query.as_str()),
            ("datasource", &topic.datasource),
            ("interval", &INTERVAL.to_string()),
        ]);
        if let Some(id) = &locked().last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        match request.send().await {
            Ok(response) if response.status() == 200 => {
                let code = read(response, &locked).await;
                locked().write(What::Ended(code));
            }
            Ok(response) => locked().write(What::Refused(Some(response.status().as_u16()))),
            Err(_) => locked().write(What::Refused(None)),
        }
        let retry = locked().retry.unwrap_or(RETRY);
        sleep(retry).await;
    }
}

/// Reads a stream to its end: the code of its `shutdown` event, if there was one.
async fn read<'a>(
    response: reqwest::Response,
    locked: &impl Fn() -> std::sync::MutexGuard<'a, Log>,
) -> Option<String> {
    let mut blocks = SseByteStream::new(response.bytes_stream());
    let mut code = None;
    while let Some(Ok(block)) = blocks.next().await {
        let data: Value = serde_json::from_str(&block.data.unwrap_or_default()).unwrap_or_default();
        let mut log = locked();
        if let Some(id) = block.id {
            log.last_event_id = Some(id);
        }
        if let Some(retry) = block.retry {
            log.retry = Some(Duration::from_millis(retry));
        }
        match block.event.as_deref() {
            Some("connected") => {
                log.topic = text(&data["subscriptions"][0]["topic"]);
                log.write(What::Opened { replica: text(&data["replica"]).unwrap_or_default() });
            }
            Some("shutdown") => code = text(&data["code"]),
            Some(kind) => {
                if let Some(what) = told(kind, &data) {
                    log.write(what);
                }
            }
            None => {}
        }
    }
    code
}

/// What an event says of ticks.
fn told(kind: &str, data: &Value) -> Option<What> {
    let tick = |name: &str| data[name].as_i64().map(Tick::from_millis);
    match kind {
        "metric-update" => {
            let tick = tick("tick")?;
            Some(What::Update { tick, right: value(data) == Some(tick) })
        }
        "error" => Some(What::Failed { tick: tick("tick")?, code: text(&data["code"])? }),
        "gap" => Some(What::Gap { from: tick("from")?, to: tick("to")?, reason: text(&data["reason"])? }),
        _ => None,
    }
}

/// The one sample of an update, read as a time.
fn value(data: &Value) -> Option<Tick> {
    let seconds: f64 = data["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
    // To the millisecond: a float holds seconds since the epoch to a quarter of a microsecond.
    format!("{:.0}", seconds * 1000.0).parse().ok().map(Tick::from_millis)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
