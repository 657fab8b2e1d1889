//! A client of a stream, with a parser of somebody else's, so that ours is held to the standard and not to itself.

use std::time::Duration;

use futures_util::StreamExt;
use promcast_proto::tick::Tick;
use serde_json::Value;
use sse_stream::{Sse, SseByteStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::http;
use crate::programs::Gateway;
use crate::wait::{PATIENCE, now, within};

/// The path of streams.
pub const PATH: &str = "/api/v1/metrics/stream";

/// Events kept for a test that is busy elsewhere: more than any test gets.
const KEPT: usize = 16 * 1024;

/// One event as it came.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its name.
    pub kind: String,
    /// Its own `id:` line, where it has one.
    pub id: Option<String>,
    /// Its `retry:` line, in milliseconds.
    pub retry: Option<u64>,
    /// Its data.
    pub data: Value,
    /// Its data, byte for byte.
    pub text: String,
    /// When it was read.
    pub at: Tick,
}

impl Event {
    fn new(sse: Sse) -> Self {
        let text = sse.data.unwrap_or_default();
        let data = match serde_json::from_str(&text) {
            Ok(data) => data,
            Err(error) => panic!("the data of an event is not JSON: {error}: {text:?}"),
        };
        Self { kind: sse.event.unwrap_or_default(), id: sse.id, retry: sse.retry, data, text, at: now() }
    }

    /// The tick in its data.
    ///
    /// # Panics
    /// Where there is none.
    pub fn tick(&self) -> Tick {
        match self.data["tick"].as_i64() {
            Some(millis) => Tick::from_millis(millis),
            None => panic!("no tick in {self:?}"),
        }
    }

    /// The code in its data, or the empty string.
    pub fn code(&self) -> &str {
        self.data["code"].as_str().unwrap_or_default()
    }

    /// How long after its tick it was read.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.at.since(self.tick())).unwrap_or_default())
    }
}

/// An open stream. Reads all the time, whether or not the test looks; dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    /// The first event.
    pub connected: Event,
    /// The response's headers.
    pub headers: reqwest::header::HeaderMap,
    /// The reconnection delay that came before or with the first event, in milliseconds.
    pub retry: Option<u64>,
    events: mpsc::Receiver<Event>,
    _reader: JoinSet<()>,
}

impl Stream {
    /// Streams one query.
    pub async fn open(gateway: &Gateway, query: &str, interval: u16) -> Self {
        Self::with(gateway, &[("query", query), ("interval", &interval.to_string())], None).await
    }

    /// Streams one query from after an event on.
    pub async fn resume(gateway: &Gateway, query: &str, interval: u16, last_event_id: &str) -> Self {
        let parameters = [("query", query), ("interval", &interval.to_string())];
        Self::with(gateway, &parameters, Some(last_event_id)).await
    }

    /// Streams one query through what listens at this base URL, on a connection of its own.
    pub async fn at(base: &str, query: &str, interval: u16, last_event_id: Option<&str>) -> Self {
        let parameters = [("query", query), ("interval", &interval.to_string())];
        let request = http::client().get(format!("{base}{PATH}")).query(&parameters);
        Self::send(request, last_event_id).await
    }

    /// Opens a stream with these parameters.
    pub async fn with(gateway: &Gateway, parameters: &[(&str, &str)], last_event_id: Option<&str>) -> Self {
        Self::send(gateway.http.get(gateway.url(PATH)).query(parameters), last_event_id).await
    }

    /// Sends a request for a stream.
    ///
    /// # Panics
    /// Where it is not opened, or does not begin with `connected`.
    async fn send(mut request: reqwest::RequestBuilder, last_event_id: Option<&str>) -> Self {
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let asked = format!("{request:?}");
        match Self::try_send(request).await {
            Ok(stream) => stream,
            Err(answer) => panic!("no stream for {asked}: {answer:?}"),
        }
    }

    /// Opens a stream, or gives the answer that refused it.
    ///
    /// # Panics
    /// Where there is no answer, or the stream does not begin with `connected`.
    pub async fn try_send(request: reqwest::RequestBuilder) -> Result<Self, http::Answer> {
        let response = within("an answer", PATIENCE, request.send()).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if status != 200 {
            let body = response.text().await.expect("a body");
            return Err(http::Answer { status, headers, body });
        }
        let (sender, mut events) = mpsc::channel(KEPT);
        let mut reader = JoinSet::new();
        reader.spawn(read(response, sender));
        let mut retry = None;
        let connected = loop {
            let first = within("the first event", PATIENCE, events.recv()).await;
            let first: Event = first.expect("a stream begins with an event");
            retry = retry.or(first.retry);
            if first.kind == "connected" {
                break first;
            }
            assert_eq!(first.data, Value::Null, "{first:?} came before `connected`");
        };
        Ok(Self { connected, headers, retry, events, _reader: reader })
    }

    /// The topic of its first subscription.
    pub fn topic(&self) -> &str {
        self.connected.data["subscriptions"][0]["topic"].as_str().unwrap_or_default()
    }

    /// The gateway that serves it.
    pub fn replica(&self) -> &str {
        self.connected.data["replica"].as_str().unwrap_or_default()
    }

    /// What became of resuming its first subscription.
    pub fn outcome(&self) -> &str {
        self.connected.data["subscriptions"][0]["resume"]["outcome"].as_str().unwrap_or_default()
    }

    /// The next event that is not a heartbeat; nothing once the stream has ended.
    ///
    /// # Panics
    /// Where neither happens within `limit`.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Event> {
        let next = async {
            loop {
                match self.events.recv().await {
                    Some(event) if event.kind == "heartbeat" => {}
                    other => return other,
                }
            }
        };
        within("the next event", limit, next).await
    }

    /// The next event of any kind, heartbeats too.
    pub async fn any(&mut self) -> Option<Event> {
        within("the next event", 2 * PATIENCE, self.events.recv()).await
    }

    /// The next event, heartbeats aside; it must be of this kind.
    ///
    /// # Panics
    /// Where it is not, or the stream ends.
    pub async fn next(&mut self, kind: &str) -> Event {
        match self.next_within(PATIENCE).await {
            Some(event) if event.kind == kind => event,
            Some(event) => panic!("{kind} was expected, {event:?} came"),
            None => panic!("{kind} was expected, the stream ended"),
        }
    }

    /// The next update; nothing else may come before it.
    pub async fn update(&mut self) -> Event {
        self.next("metric-update").await
    }

    /// The next updates; nothing else may come between them.
    pub async fn updates(&mut self, count: usize) -> Vec<Event> {
        let mut updates = Vec::with_capacity(count);
        while updates.len() < count {
            updates.push(self.update().await);
        }
        updates
    }

    /// The events up to and with the first of this kind, heartbeats aside.
    ///
    /// # Panics
    /// Where that takes longer than `limit`, or the stream ends.
    pub async fn until(&mut self, kind: &str, limit: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        let seen = async {
            loop {
                let event = self.next_within(limit).await.expect("the stream goes on");
                events.push(event);
                if events.last().is_some_and(|event| event.kind == kind) {
                    return;
                }
            }
        };
        within(&format!("an event `{kind}`"), limit, seen).await;
        events
    }

    /// All events up to the end of the stream, heartbeats aside.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next_within(PATIENCE).await {
            events.push(event);
        }
        events
    }

    /// The events that are there now, heartbeats aside, without waiting.
    pub fn waiting(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if event.kind != "heartbeat" {
                events.push(event);
            }
        }
        events
    }
}

async fn read(response: reqwest::Response, events: mpsc::Sender<Event>) {
    let mut blocks = SseByteStream::new(response.bytes_stream());
    // A connection that breaks ends the stream as one that is closed does; tests that care look for `shutdown`.
    while let Some(Ok(block)) = blocks.next().await {
        let block = if block.data.is_none() { Sse { data: Some("null".to_owned()), ..block } } else { block };
        if events.send(Event::new(block)).await.is_err() {
            return;
        }
    }
}
