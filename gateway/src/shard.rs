//! Shards: tasks that each write the streams of many connections to their sockets, without the HTTP library in between.
//!
//! Once the head of a response is made, a stream over HTTP/1.1 in clear is nothing but chunks (RFC 9112, 7.1). A task and the
//! buffers of the library for each of them cost more than the writes themselves; so a shard has the sockets, and is one task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::{Hold, Tasks};
use slab::Slab;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::hub::{Lane, Lanes, Now};
use crate::metrics::{ConnectionError, Metrics, Tally};
use crate::sse::Stream;

mod alarms;
mod batch;
mod member;

use alarms::Alarms;
use batch::Batch;
use member::{Gone, Member};

/// Visits between two looks at what else the runtime has to do. A write takes some microseconds.
const ROUND: usize = 32;

/// Connections on their way to a shard. Whoever brings one more waits.
const NEWCOMERS: usize = 256;

/// What shards are told about their work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many there are.
    pub shards: usize,
    /// A socket that takes no byte for so long is closed.
    pub write_stall: Duration,
    /// The time of day.
    pub clock: Clock,
    /// Where cut connections are counted.
    pub metrics: Metrics,
}

/// A connection whose socket nobody else writes to any more.
pub struct Taken {
    /// The socket.
    pub socket: TcpStream,
    /// The head of the response, which goes first.
    pub head: Bytes,
    /// What follows.
    pub stream: Stream,
    /// The program's end waits for it.
    pub hold: Hold,
}

/// The shards of this replica. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shards(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    shards: Box<[mpsc::Sender<Taken>]>,
    next: AtomicUsize,
}

impl Shards {
    /// Starts them.
    pub fn start(settings: &Settings, tasks: &Tasks) -> Self {
        let start = |_| {
            let (sender, newcomers) = mpsc::channel(NEWCOMERS);
            let shard = Shard::new(newcomers, settings.clone());
            // The program's end waits for their connections, each of which holds it.
            tasks.background().spawn("shard", shard.run());
            sender
        };
        let shards = (0..settings.shards).map(start).collect();
        Self(Arc::new(Handles { shards, next: AtomicUsize::new(0) }))
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.shards.is_empty()
    }

    /// Gives a connection to one of them. Where they have ended, so does the connection.
    pub async fn take(&self, taken: Taken) {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        let shard = turn.checked_rem(self.0.shards.len()).and_then(|index| self.0.shards.get(index));
        if let Some(shard) = shard {
            shard.send(taken).await.ok();
        }
    }
}

struct Shard {
    newcomers: mpsc::Receiver<Taken>,
    settings: Settings,
    members: Slab<Member>,
    lanes: Arc<Lanes>,
    alarms: Alarms,
    round: Vec<(Lane, u32)>,
    batches: Vec<Batch>,
    tally: Tally,
}

impl Shard {
    fn new(newcomers: mpsc::Receiver<Taken>, settings: Settings) -> Self {
        let tally = settings.metrics.way.tally();
        Self {
            newcomers,
            settings,
            members: Slab::new(),
            lanes: Arc::new(Lanes::of_shard()),
            alarms: Alarms::new(),
            round: Vec::with_capacity(2 * ROUND),
            batches: Vec::new(),
            tally,
        }
    }

    /// Runs until nobody is here, and nobody can come.
    async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    /// One round.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let open = self.welcome(cx);
        let now = Now { wall: self.settings.clock.now(), mono: Instant::now() };
        let mut round = std::mem::take(&mut self.round);
        while let Some(number) = self.alarms.next(now.mono, cx) {
            round.push((Lane::FIRST, number));
        }
        let most = round.len() + ROUND;
        self.lanes.take(&mut round, most, cx.waker());
        if !round.is_empty() {
            // There may be more, and an alarm that is set now is still to be waited for; but others have their turn in between.
            cx.waker().wake_by_ref();
        }
        for visits in round.chunks(2 * ROUND) {
            self.visit(visits, now);
        }
        round.clear();
        self.round = round;
        self.tally.tell();
        if open || !self.members.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Takes in who has come; false where nobody can come any more.
    fn welcome(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..ROUND {
            match self.newcomers.poll_recv(cx) {
                Poll::Ready(Some(taken)) => self.seat(taken),
                Poll::Ready(None) => return false,
                Poll::Pending => return true,
            }
        }
        cx.waker().wake_by_ref();
        true
    }

    fn seat(&mut self, taken: Taken) {
        let signal = taken.stream.signal().clone();
        let number = self.members.insert(Member::new(taken));
        match u32::try_from(number) {
            Ok(number) => signal.sit(self.lanes.clone(), number),
            // More than four billion connections.
            Err(_) => drop(self.members.remove(number)),
        }
    }

    /// Visits some: first all of them are looked at, then all are asked for what they have, then all of it is sent. Code and memory of
    /// each step are at hand for all of them then, where in between each call to the system would have driven them away.
    fn visit(&mut self, visits: &[(Lane, u32)], now: Now) {
        self.approach(visits);
        let mut batches = std::mem::take(&mut self.batches);
        batches.resize_with(visits.len().max(batches.len()), Batch::default);
        for ((lane, number), batch) in visits.iter().zip(&mut batches) {
            let Some(member) = self.members.get_mut(index(*number)) else { continue };
            if let Err(gone) = member.prepare(*lane, batch, now, (&self.settings, &self.tally)) {
                self.part(*number, gone);
            }
        }
        for ((_, number), batch) in visits.iter().zip(&mut batches) {
            let Some(member) = self.members.get_mut(index(*number)) else { continue };
            match member.deliver(batch, now.mono, &self.settings) {
                Ok(()) => {
                    if let Some(at) = member.alarm(now.mono, self.settings.write_stall) {
                        self.alarms.set(at, *number);
                    }
                }
                Err(gone) => self.part(*number, gone),
            }
        }
        batches.iter_mut().for_each(Batch::clear);
        self.batches = batches;
    }

    /// Of thousands of connections hardly one is in the processor's caches: here their memory comes for many at the same time, where
    /// each would wait for its own.
    fn approach(&self, visits: &[(Lane, u32)]) {
        let looks =
            visits.iter().filter_map(|(_, number)| self.members.get(index(*number)).map(Member::look));
        std::hint::black_box(looks.fold(0, u64::wrapping_add));
    }

    fn part(&mut self, number: u32, gone: Gone) {
        if gone == Gone::Stalled {
            self.settings.metrics.connection_error(ConnectionError::WriteStalled).inc();
        }
        self.members.try_remove(index(number));
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
