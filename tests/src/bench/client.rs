//! The load client: one thread, an epoll for each channel, thousands of streams; it counts each event of each connection.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use rustix::net;

use self::connection::{Connection, Got};
use super::mark;
use super::meter::{Meter, Reading, Used};
use super::publish::Publisher;

mod connection;
mod tally;

pub use tally::{Faults, Tally};

/// Bytes that are read from a socket at a time.
const BUFFER: usize = 256 * 1024;

/// Sockets of a channel that are read before the clock is looked at, and before those of the next channel have their turn: the few
/// of a small channel do not wait at the client for the many of a large one.
const BATCH: usize = 64;

/// Connections that wait for their answer at a time while many are opened. Below the accept queues of all servers.
const OPENING: usize = 100;

/// How long nothing may come while it should: then it will not.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what is still on its way is waited for when a run is over.
const DRAIN: Duration = Duration::from_secs(3);

/// Streams of one channel that are opened alike.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where.
    pub address: SocketAddrV4,
    /// The head of the request.
    pub request: Vec<u8>,
    /// The channel that they read.
    pub channel: usize,
    /// Bytes of an event behind its mark.
    pub after_mark: usize,
    /// Whether the server may let a stream in a little later than it says, so that the first events are not missing.
    pub may_begin_late: bool,
}

/// How a channel is fed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// At a rate, whatever comes of it.
    Rate(f64),
    /// In bursts, as soon as so few are outstanding that it and they are no more than `outstanding`.
    Loop {
        /// Events that have been published and not been read by all.
        outstanding: u32,
        /// Events that are published at once.
        burst: u32,
    },
}

/// A run over channels.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// How each channel is fed; those beyond are left alone.
    pub paces: &'a [Pace],
    /// What is not measured at the begin.
    pub warm: Duration,
    /// What is measured.
    pub measured: Duration,
}

/// What a run showed.
#[derive(Debug)]
pub struct Outcome {
    /// What each channel's readers got.
    pub tallies: Vec<Tally>,
    /// What it cost.
    pub used: Used,
}

/// All connections.
#[derive(Debug)]
pub struct Client {
    epolls: Vec<OwnedFd>,
    connections: Vec<Connection>,
    tallies: Vec<Tally>,
    buffer: Vec<u8>,
}

impl Client {
    /// One for so many channels.
    ///
    /// # Errors
    /// The system's.
    pub fn new(channels: usize) -> rustix::io::Result<Self> {
        let epolls = std::iter::repeat_with(|| epoll::create(epoll::CreateFlags::CLOEXEC)).take(channels);
        Ok(Self {
            epolls: epolls.collect::<Result<_, _>>()?,
            connections: Vec::new(),
            tallies: std::iter::repeat_with(Tally::default).take(channels).collect(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Opens so many streams, and waits until each has its answer; how long that took, and how many got none.
    ///
    /// # Errors
    /// The system's.
    pub fn open(&mut self, way: &Way, count: usize) -> rustix::io::Result<(Duration, usize)> {
        let (began, first) = (mark::now(), self.connections.len());
        let mut waiting = VecDeque::new();
        for _ in 0..count {
            let socket = connection::open(way)?;
            let index = self.connections.len();
            let data = epoll::EventData::new_u64(index as u64);
            let epoll = self.epolls.get(way.channel).ok_or(Errno::INVAL)?;
            epoll::add(epoll, &socket, data, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)?;
            let base = self.tally(way.channel).map_or(0, Tally::join);
            self.connections.push(Connection::new(socket, way, base));
            waiting.push_back(index);
            self.answered(&mut waiting, OPENING)?;
        }
        self.answered(&mut waiting, 1)?;
        let took = Duration::from_nanos(mark::now() - began);
        let failed = self.connections.iter().skip(first).filter(|connection| !connection.is_open()).count();
        Ok((took, failed))
    }

    fn tally(&mut self, channel: usize) -> Option<&mut Tally> {
        self.tallies.get_mut(channel)
    }

    /// Returns when fewer than `limit` of them wait for their answer.
    fn answered(&mut self, waiting: &mut VecDeque<usize>, limit: usize) -> rustix::io::Result<()> {
        let deadline = mark::now() + nanoseconds(PATIENCE);
        loop {
            waiting.retain(|index| self.connections.get(*index).is_some_and(Connection::is_waiting));
            if waiting.len() < limit || mark::now() > deadline {
                return Ok(());
            }
            self.poll(Duration::from_millis(20))?;
        }
    }

    /// Leaves so many connections unread from now on, and says from which ports they come.
    ///
    /// # Errors
    /// The system's.
    pub fn stop_reading(&mut self, count: usize) -> rustix::io::Result<Vec<u16>> {
        let mut ports = Vec::new();
        for connection in self.connections.iter_mut().take(count) {
            let Some(socket) = connection.socket() else { continue };
            let epoll = self.epolls.get(connection.channel()).ok_or(Errno::INVAL)?;
            epoll::delete(epoll, socket)?;
            let address =
                SocketAddrV4::try_from(net::getsockname(socket)?).map_err(|_| Errno::AFNOSUPPORT)?;
            ports.push(address.port());
            if let Some(tally) = self.tallies.get_mut(connection.channel()) {
                tally.forget(connection.expected());
            }
        }
        Ok(ports)
    }

    /// Bytes that the connections of a channel have read, heads and framing included.
    pub fn bytes(&self, channel: usize) -> u64 {
        let mine = self.connections.iter().filter(|connection| connection.channel() == channel);
        mine.map(Connection::bytes).sum()
    }

    /// The head of the answer to the first connection of a channel.
    pub fn head(&self, channel: usize) -> String {
        let first = self.connections.iter().find(|connection| connection.channel() == channel);
        first.map(Connection::head).unwrap_or_default()
    }

    /// Feeds the channels, and reads what comes of it.
    ///
    /// # Errors
    /// The system's.
    pub fn run(
        &mut self,
        publisher: &mut dyn Publisher,
        run: Run<'_>,
        meter: &Meter,
    ) -> rustix::io::Result<Outcome> {
        let began = mark::now();
        let from = began + nanoseconds(run.warm);
        let until = from + nanoseconds(run.measured);
        let mut feeders: Vec<_> = run.paces.iter().map(|pace| Feeder::new(*pace, began)).collect();
        let mut before: Option<Reading> = None;
        loop {
            let now = mark::now();
            if before.is_none() && now >= from {
                before = Some(meter.read());
                self.tallies.iter_mut().for_each(Tally::begin);
            }
            if now >= until {
                break;
            }
            let mut pause = Duration::from_nanos(until - now);
            for (channel, feeder) in feeders.iter_mut().enumerate() {
                if let Some(tally) = self.tallies.get_mut(channel) {
                    pause = pause.min(feeder.feed(channel, tally, publisher, now));
                }
            }
            publisher.settle();
            self.poll(pause.min(Duration::from_millis(20)))?;
        }
        let tallies = self.tallies.iter_mut().map(Tally::end).collect();
        let used = meter.read().since(before.unwrap_or_else(|| meter.read()));
        self.drain(publisher)?;
        Ok(Outcome { tallies, used })
    }

    /// Reads what is still on its way.
    fn drain(&mut self, publisher: &mut dyn Publisher) -> rustix::io::Result<()> {
        let deadline = mark::now() + nanoseconds(DRAIN);
        while mark::now() < deadline && self.tallies.iter().any(|tally| tally.outstanding() > 0) {
            publisher.settle();
            self.poll(Duration::from_millis(5))?;
        }
        self.tallies.iter_mut().for_each(Tally::settle);
        Ok(())
    }

    /// What was lost or came twice since it was opened, of all channels, and how many connections ended.
    pub fn faults(&self) -> Faults {
        self.tallies.iter().map(Tally::faults).fold(Faults::default(), |sum, faults| sum + faults)
    }

    /// Waits for bytes so long at most, and reads some of what is there.
    pub(crate) fn poll(&mut self, pause: Duration) -> rustix::io::Result<()> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
        if let [only] = self.epolls.as_slice() {
            let ready = ready(only, timeout)?;
            return self.read(&ready);
        }
        let mut idle = true;
        for channel in 0..self.epolls.len() {
            let Some(epoll) = self.epolls.get(channel) else { continue };
            let ready = ready(epoll, Timespec::default())?;
            idle &= ready.is_empty();
            self.read(&ready)?;
        }
        if idle {
            let mut all: Vec<_> = self.epolls.iter().map(|epoll| PollFd::new(epoll, PollFlags::IN)).collect();
            uninterrupted(poll(&mut all, Some(&timeout)))?;
        }
        Ok(())
    }

    fn read(&mut self, ready: &[epoll::Event]) -> rustix::io::Result<()> {
        for event in ready {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(connection) = self.connections.get_mut(index) else { continue };
            let channel = connection.channel();
            let Some(tally) = self.tallies.get_mut(channel) else { continue };
            if connection.read(&mut self.buffer, tally) == Got::End {
                if let (Some(socket), Some(epoll)) = (connection.end(), self.epolls.get(channel)) {
                    epoll::delete(epoll, &socket)?;
                }
                tally.leave(connection.expected());
            }
        }
        Ok(())
    }
}

/// Sockets that have something, or nothing after the timeout.
fn ready(epoll: &OwnedFd, timeout: Timespec) -> rustix::io::Result<Vec<epoll::Event>> {
    let mut ready = Vec::with_capacity(BATCH);
    uninterrupted(epoll::wait(epoll, spare_capacity(&mut ready), Some(&timeout)))?;
    Ok(ready)
}

/// A signal is as good as nothing.
fn uninterrupted(result: rustix::io::Result<usize>) -> rustix::io::Result<()> {
    match result {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Decides when the next event of a channel is published.
struct Feeder {
    pace: Pace,
    next: u64,
    /// When something was read by all that had not been before.
    progress: (u32, u64),
}

impl Feeder {
    fn new(pace: Pace, began: u64) -> Self {
        Self { pace, next: began, progress: (0, began) }
    }

    /// Publishes what is due; how long until something is.
    fn feed(
        &mut self,
        channel: usize,
        tally: &mut Tally,
        publisher: &mut dyn Publisher,
        now: u64,
    ) -> Duration {
        match self.pace {
            Pace::Rate(rate) => {
                let period = period(rate);
                if self.next <= now {
                    publisher.publish(channel, tally.publish());
                    // A client that is behind does not catch up with a burst: the rate is the most there is.
                    self.next = (self.next + period).max(now.saturating_sub(period));
                }
                Duration::from_nanos(self.next.saturating_sub(now))
            }
            Pace::Loop { outstanding, burst } => {
                if tally.complete() != self.progress.0 {
                    self.progress = (tally.complete(), now);
                }
                // Whoever loses events would wait for ever.
                let stuck = now > self.progress.1 + nanoseconds(Duration::from_millis(500));
                if tally.outstanding() + burst <= outstanding || stuck {
                    for _ in 0..burst {
                        publisher.publish(channel, tally.publish());
                    }
                    self.progress.1 = now;
                }
                Duration::from_millis(5)
            }
        }
    }
}

fn period(rate: f64) -> u64 {
    nanoseconds(Duration::from_secs_f64(1.0 / rate))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
