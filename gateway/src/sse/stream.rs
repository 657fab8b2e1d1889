//! What a connection sends next: updates, gaps, signs of life, and at the end why it ends.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use promcast_proto::code::ShutdownCode;
use promcast_proto::tick::Tick;
use promcast_runtime::clock::Clock;
use rand::RngExt;
use tokio::time::Instant;

use super::outbox::{Coding, Outbox};
use super::piece::Piece;
use super::places::Places;
use super::watch::Watch;
use super::{Format, event};
use crate::auth::Vigil;
use crate::backfill::Backfill;
use crate::connections::{Change, Connection, Joined};
use crate::hub::{Note, Now, Signal};
use crate::metrics::{ConnectionError, Delivery, Metrics, Sent};

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
    /// How all of it is coded on its way.
    pub coding: Coding,
    /// Where history comes from, and how much of it is wanted.
    pub backfill: Option<(Backfill, Duration)>,
    /// Raised by the topics.
    pub signal: Arc<Signal>,
    /// Watches over the caller's access, where anybody's is watched over.
    pub vigil: Option<Vigil>,
    /// How it behaves over time.
    pub rhythm: Arc<Rhythm>,
    /// The time of day.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Metrics,
}

/// The events of one connection. Whoever drives it asks for one piece after another, as long as the client's socket takes them.
pub struct Stream {
    connection: Connection,
    places: Places,
    signal: Arc<Signal>,
    clock: Clock,
    metrics: Metrics,
    rhythm: Arc<Rhythm>,
    out: Outbox,
    last_sent: Instant,
    next_heartbeat: Instant,
    vigil: Option<Watch<ShutdownCode>>,
    end: Instant,
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
        let Parts { connection, joined, places, hello, format, traced, coding, backfill, signal, .. } = parts;
        let Parts { vigil, rhythm, clock, metrics, .. } = parts;
        let places = Places::new(
            places,
            joined,
            (format, traced),
            backfill,
            signal.clone(),
            (clock.clone(), metrics.clone()),
        );
        let now = Instant::now();
        let mut stream = Self {
            connection,
            places,
            vigil: vigil.map(|vigil| Watch::new(vigil.end(), &signal)),
            signal,
            clock,
            metrics,
            out: Outbox::new(coding),
            last_sent: now,
            next_heartbeat: now + rhythm.heartbeat,
            end: now + rhythm.lifetime.mul_f64(rand::rng().random_range(0.8..=1.0)),
            rhythm,
            end_code: ShutdownCode::MaxLifetime,
            ended: false,
        };
        let hello = event::connected(&hello, retry(), stream.places.cursor().as_deref());
        stream.push(Sent::Connected, now, [hello]);
        stream
    }

    /// What stands for it where it is woken.
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Reads a word of each place in memory that an event reads. What it is means nothing.
    pub(crate) fn look(&self) -> u64 {
        u64::from(self.signal.has(Note::Closed))
            .wrapping_add(self.places.look())
            .wrapping_add(u64::from(self.ended))
    }

    /// These places, which were taken from its signal, may have something to read.
    pub(crate) fn raise(&mut self, places: u32) {
        self.places.raise(places);
    }

    /// Now, for [`Stream::next`].
    pub fn now(&self) -> Now {
        Now { wall: self.clock.now(), mono: Instant::now() }
    }

    /// The next piece of the stream, or nothing at its end. Where it is pending, the stream is to be asked again when its signal
    /// says so, at [`Stream::deadline`], and when `cx` is woken.
    ///
    /// What is not asked for now is still in the timeline later, or is told as a gap; so a client that is blocked costs its place
    /// there, and no queue.
    pub fn next(&mut self, cx: &mut Context<'_>, now: Now) -> Poll<Option<Piece>> {
        if self.out.is_empty() && !self.ended {
            let _queued = self.finish(now) || self.read(cx, now) || self.sign(now);
        }
        match self.out.pop() {
            None if !self.ended => Poll::Pending,
            piece => Poll::Ready(piece),
        }
    }

    /// What the last piece begins to deliver, once, for whoever counts it.
    pub fn take_delivered(&mut self) -> Option<Delivery> {
        self.places.take_delivered()
    }

    /// Counts what the last piece begins to deliver.
    pub(super) fn count_delivered(&mut self, now: Tick) {
        if let Some(delivery) = self.take_delivered() {
            self.metrics.way.delivered(delivery, now);
        }
    }

    /// Whether nothing has happened since it had no more to say. Its time may have come all the same.
    pub(super) fn is_quiet(&self) -> bool {
        self.out.is_empty() && !self.ended && self.places.is_quiet() && !self.connection.is_leaving()
    }

    /// When there is something to say though nothing happens.
    pub fn deadline(&self) -> Instant {
        self.end.min(self.next_heartbeat).min(self.last_sent + self.rhythm.comment)
    }

    fn push(&mut self, kind: Sent, now: Instant, bytes: impl IntoIterator<Item = Bytes>) {
        if let Some(sent) = self.metrics.sent(kind) {
            sent.inc();
        }
        self.last_sent = now;
        bytes.into_iter().for_each(|own| self.out.own(&own));
    }

    /// Queues what comes next: a change of what is read, or an event of one of the topics.
    fn read(&mut self, cx: &mut Context<'_>, now: Now) -> bool {
        for Change { left, joined, event } in self.connection.changes() {
            self.places.change(&left, joined);
            self.push(Sent::Subscriptions, now.mono, [event]);
        }
        if !self.out.is_empty() {
            return true;
        }
        let sent = self.places.read(cx, now, &mut self.out);
        sent.map(|kind| self.push(kind, now.mono, [])).is_some()
    }

    /// Queues the last event when the time has come.
    fn finish(&mut self, now: Now) -> bool {
        if self.end_code == ShutdownCode::MaxLifetime && self.connection.is_leaving() {
            self.end = self.connection.leave(self.rhythm.drain).min(self.end);
            self.end_code = ShutdownCode::Draining;
        }
        if self.connection.is_closed() {
            self.end_code = ShutdownCode::ClosedByRequest;
        } else if let Some(code) = self.vigil.as_mut().and_then(|vigil| vigil.take(&self.signal)) {
            self.end_code = code;
            self.metrics.connection_error(ConnectionError::AccessEnded).inc();
        } else if now.mono < self.end {
            return false;
        }
        let retry = if self.end_code == ShutdownCode::Draining { retry_of_drain() } else { retry() };
        self.push(Sent::Shutdown, now.mono, [event::shutdown(self.end_code, retry)]);
        self.out.end();
        self.ended = true;
        true
    }

    /// Queues a sign of life when one is due.
    fn sign(&mut self, now: Now) -> bool {
        if now.mono >= self.next_heartbeat {
            self.next_heartbeat = now.mono + self.rhythm.heartbeat;
            self.push(Sent::Heartbeat, now.mono, [event::heartbeat(now.wall)]);
        } else if now.mono >= self.last_sent + self.rhythm.comment {
            self.push(Sent::Comment, now.mono, [event::COMMENT]);
        } else {
            return false;
        }
        true
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.metrics.ended(self.ended.then_some(self.end_code)).inc();
    }
}

#[cfg(test)]
mod tests;
