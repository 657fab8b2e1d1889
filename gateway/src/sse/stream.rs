//! What a connection sends next: updates, gaps, signs of life, and at the end why it ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame as BodyFrame;
use promcast_proto::code::ShutdownCode;
use promcast_runtime::clock::Clock;
use rand::RngExt;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::places::Places;
use super::{Format, event};
use crate::auth::Vigil;
use crate::backfill::Backfill;
use crate::connections::{Change, Connection, Joined, Pressure};
use crate::hub::Signal;
use crate::metrics::{ConnectionError, Metrics, Sent};

/// Clients wait between one and three seconds before they come back, each another time.
const RETRY_MS: std::ops::Range<u64> = 1_000..3_000;

/// How a connection behaves over time.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// From one `heartbeat` event to the next.
    pub heartbeat: Duration,
    /// After so much silence a comment is sent.
    pub comment: Duration,
    /// The longest a connection lives; each lives up to a fifth less.
    pub lifetime: Duration,
    /// When the replica goes away, its connections end spread over this time.
    pub drain: Duration,
}

/// What a stream is made of.
pub struct Parts {
    /// The place among the replica's connections.
    pub connection: Connection,
    /// What it reads at first.
    pub joined: Vec<Joined>,
    /// How many places its request has.
    pub places: usize,
    /// The first event.
    pub hello: event::Connected,
    /// The form of updates.
    pub format: Format,
    /// Whether they name the span that sent them.
    pub traced: bool,
    /// Where history comes from, and how much of it is wanted.
    pub backfill: Option<(Backfill, Duration)>,
    /// Raised by the topics.
    pub signal: Arc<Signal>,
    /// Whether the way to the client is blocked.
    pub pressure: Arc<Pressure>,
    /// Watches over the caller's access, where anybody's is watched over.
    pub vigil: Option<Vigil>,
    /// Cancelled when the replica goes away.
    pub soft: CancellationToken,
    /// How it behaves over time.
    pub rhythm: Rhythm,
    /// The time of day.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Metrics,
}

/// The events of one connection, as a body.
pub struct Stream {
    connection: Connection,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    places: Places,
    signal: Arc<Signal>,
    pressure: Arc<Pressure>,
    clock: Clock,
    metrics: Metrics,
    rhythm: Rhythm,
    queue: VecDeque<Bytes>,
    last_sent: Instant,
    next_heartbeat: Instant,
    beat: Pin<Box<Sleep>>,
    soft: Pin<Box<WaitForCancellationFutureOwned>>,
    vigil: Option<Pin<Box<dyn Future<Output = ShutdownCode> + Send>>>,
    end: Pin<Box<Sleep>>,
    end_code: ShutdownCode,
    ended: bool,
}

/// Those who are sent away by a drain are spread by it; a wide range here would bunch some of them again.
const RETRY_OF_DRAIN_MS: std::ops::Range<u64> = 1_000..1_250;

fn retry_of_drain() -> Duration {
    Duration::from_millis(rand::rng().random_range(RETRY_OF_DRAIN_MS))
}

/// How long a client should wait before it comes back: another time for each.
pub(crate) fn retry() -> Duration {
    Duration::from_millis(rand::rng().random_range(RETRY_MS))
}

impl Stream {
    /// A stream that begins with `connected`.
    pub fn new(parts: Parts) -> Self {
        let Parts { connection, joined, places, hello, format, traced, backfill, signal, .. } = parts;
        let Parts { pressure, vigil, soft, rhythm, clock, metrics, .. } = parts;
        let places = Places::new(
            places,
            joined,
            (format, traced),
            backfill,
            signal.clone(),
            (clock.clone(), metrics.clone()),
        );
        let now = Instant::now();
        let lifetime = rhythm.lifetime.mul_f64(rand::rng().random_range(0.8..=1.0));
        let mut stream = Self {
            closed: Box::pin(connection.closed()),
            connection,
            places,
            signal,
            pressure,
            clock,
            metrics,
            rhythm,
            queue: VecDeque::new(),
            last_sent: now,
            next_heartbeat: now + rhythm.heartbeat,
            beat: Box::pin(sleep_until(now + rhythm.heartbeat.min(rhythm.comment))),
            soft: Box::pin(soft.cancelled_owned()),
            vigil: vigil.map(|vigil| Box::pin(vigil.end()) as Pin<Box<_>>),
            end: Box::pin(sleep_until(now + lifetime)),
            end_code: ShutdownCode::MaxLifetime,
            ended: false,
        };
        let hello = event::connected(&hello, retry(), stream.places.cursor().as_deref());
        stream.push(Sent::Connected, [hello]);
        stream
    }

    fn push(&mut self, kind: Sent, bytes: impl IntoIterator<Item = Bytes>) {
        if let Some(sent) = self.metrics.sent(kind) {
            sent.inc();
        }
        self.last_sent = Instant::now();
        self.queue.extend(bytes);
    }

    /// Queues what comes next: a change of what is read, or an event of one of the topics.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        for Change { left, joined, event } in self.connection.changes() {
            self.places.change(&left, joined);
            self.push(Sent::Subscriptions, [event]);
        }
        if !self.queue.is_empty() {
            return true;
        }
        let sent = self.places.read(cx, &mut self.queue);
        sent.map(|kind| self.push(kind, [])).is_some()
    }

    /// Queues the last event when the time has come.
    fn finish(&mut self, cx: &mut Context<'_>) -> bool {
        if self.end_code == ShutdownCode::MaxLifetime && self.soft.as_mut().poll(cx).is_ready() {
            let ends = self.connection.leave(self.rhythm.drain).min(self.end.deadline());
            self.end.as_mut().reset(ends);
            self.end_code = ShutdownCode::Draining;
        }
        if self.closed.as_mut().poll(cx).is_ready() {
            self.end_code = ShutdownCode::ClosedByRequest;
        } else if let Some(Poll::Ready(code)) = self.vigil.as_mut().map(|vigil| vigil.as_mut().poll(cx)) {
            self.end_code = code;
            self.metrics.connection_error(ConnectionError::AccessEnded).inc();
        } else if self.end.as_mut().poll(cx).is_pending() {
            return false;
        }
        let retry = if self.end_code == ShutdownCode::Draining { retry_of_drain() } else { retry() };
        self.push(Sent::Shutdown, [event::shutdown(self.end_code, retry)]);
        self.ended = true;
        true
    }

    /// Queues a sign of life when one is due.
    fn sign(&mut self, cx: &mut Context<'_>) -> bool {
        while self.beat.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.next_heartbeat {
                self.next_heartbeat = now + self.rhythm.heartbeat;
                self.push(Sent::Heartbeat, [event::heartbeat(self.clock.now())]);
            } else if now >= self.last_sent + self.rhythm.comment {
                self.push(Sent::Comment, [event::COMMENT]);
            }
            // Set anew only when it fires: an event costs no timer.
            let next = self.next_heartbeat.min(self.last_sent + self.rhythm.comment);
            self.beat.as_mut().reset(next);
            if !self.queue.is_empty() {
                return true;
            }
        }
        false
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.metrics.ended(self.ended.then_some(self.end_code)).inc();
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.queue.pop_front() {
            return Poll::Ready(Some(Ok(BodyFrame::data(bytes))));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        this.signal.register(cx.waker());
        // What is not asked of the hub now is still there later, or is told as a gap; so a blocked client costs
        // its place in the timeline, and no queue.
        if this.pressure.is_blocked(cx) {
            return Poll::Pending;
        }
        if this.finish(cx) || this.read(cx) || this.sign(cx) {
            let bytes = this.queue.pop_front().unwrap_or_default();
            return Poll::Ready(Some(Ok(BodyFrame::data(bytes))));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
