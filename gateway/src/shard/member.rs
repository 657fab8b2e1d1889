//! One connection of a shard: its stream, its socket, and what the socket has not taken yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use promcast_runtime::lifecycle::Hold;
use rustix::io::Errno;
use rustix::net::{self, SendAncillaryBuffer, SendFlags};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::batch::{Batch, Sink, write_rest};
use super::{Settings, Taken};
use crate::hub::{Lane, Note, Now};
use crate::metrics::Tally;
use crate::sse::Stream;

/// A client that has got its stream has nothing to say. One that says so much is cut.
const HEARD_MAX: usize = 64 * 1024;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The stream has ended, and the client has all of it.
    Ended,
    /// The client has left, or broke off.
    Left,
    /// It took no byte for too long.
    Stalled,
}

/// A connection.
pub(super) struct Member {
    socket: TcpStream,
    stream: Stream,
    /// Of what the stream waits for besides its topics.
    waker: Waker,
    /// Of the socket.
    nudge: Waker,
    rest: VecDeque<Bytes>,
    /// Since when the socket takes nothing.
    blocked: Option<Instant>,
    /// For when its next alarm is set.
    alarm: Option<Instant>,
    ended: bool,
    heard: usize,
    _hold: Hold,
}

impl Member {
    pub(super) fn new(taken: Taken) -> Self {
        let Taken { socket, head, stream, hold } = taken;
        let signal = stream.signal();
        Self {
            socket,
            waker: Waker::from(signal.clone()),
            nudge: signal.waker(Note::Socket),
            stream,
            rest: VecDeque::from([head]),
            blocked: None,
            alarm: None,
            ended: false,
            heard: 0,
            _hold: hold,
        }
    }

    /// Reads a word of each place in memory that a visit reads. What it is means nothing.
    pub(super) fn look(&self) -> u64 {
        self.stream.look().wrapping_add(self.heard as u64).wrapping_add(self.rest.len() as u64)
    }

    /// Hears the client, sends what is left, and gathers what comes next, as far as the socket lets it. It has come in this lane.
    /// `batch` is empty.
    pub(super) fn prepare(
        &mut self,
        lane: Lane,
        batch: &mut Batch,
        now: Now,
        (settings, tally): (&Settings, &Tally),
    ) -> Result<(), Gone> {
        let raised = self.stream.signal().visit(lane);
        self.stream.raise(raised);
        if self.stream.signal().take_note(Note::Socket) {
            self.listen()?;
            self.flush(now.mono, settings)?;
        }
        if self.blocked.is_none() && !self.ended {
            self.gather(batch, now, tally);
            if batch.is_full() {
                // There is more, when the others have had their turn.
                self.stream.signal().wake();
            }
        }
        Ok(())
    }

    /// Sends what was gathered.
    pub(super) fn deliver(
        &mut self,
        batch: &mut Batch,
        now: Instant,
        settings: &Settings,
    ) -> Result<(), Gone> {
        if !batch.is_empty() {
            self.write(batch, now, settings)?;
        }
        if self.ended && self.rest.is_empty() {
            // What the client has sent meanwhile was read above; unread, it would take the end of the stream away from the client.
            SockRef::from(&self.socket).shutdown(Shutdown::Write).ok();
            return Err(Gone::Ended);
        }
        match self.blocked {
            Some(since) if now >= since + settings.write_stall => Err(Gone::Stalled),
            Some(_) | None => Ok(()),
        }
    }

    /// When it needs to be visited though nothing happens, if it has no alarm that rings before.
    pub(super) fn alarm(&mut self, now: Instant, stall: Duration) -> Option<Instant> {
        let at = self.blocked.map_or_else(|| self.stream.deadline(), |since| since + stall);
        if self.alarm.is_some_and(|alarm| now < alarm && alarm <= at) {
            return None;
        }
        self.alarm = Some(at);
        Some(at)
    }

    /// Asks the stream what comes next.
    fn gather(&mut self, batch: &mut Batch, now: Now, tally: &Tally) {
        let mut cx = Context::from_waker(&self.waker);
        while !batch.is_full() {
            match self.stream.next(&mut cx, now) {
                Poll::Ready(Some(piece)) => {
                    batch.push(piece);
                    if let Some(delivery) = self.stream.take_delivered() {
                        tally.delivered(delivery, now.wall);
                    }
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    return batch.end();
                }
                Poll::Pending => return,
            }
        }
    }

    fn write(&mut self, batch: &mut Batch, now: Instant, settings: &Settings) -> Result<(), Gone> {
        // Where it came in two lanes of a round, the socket may not have taken all of the first.
        match batch.write(&Socket(&self.socket), &mut self.rest) {
            Ok(()) if self.rest.is_empty() => Ok(()),
            Ok(()) => self.flush(now, settings),
            Err(_) => Err(Gone::Left),
        }
    }

    /// Writes what is left, until the socket takes no more.
    fn flush(&mut self, now: Instant, settings: &Settings) -> Result<(), Gone> {
        while !self.rest.is_empty() {
            let written = write_rest(&mut self.rest, &Socket(&self.socket));
            match written.map_err(|_| Gone::Left)? {
                0 => match self.socket.poll_write_ready(&mut Context::from_waker(&self.nudge)) {
                    Poll::Pending => {
                        self.blocked.get_or_insert(now);
                        return Ok(());
                    }
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Err(Gone::Left),
                },
                _ => {
                    if let Some(since) = self.blocked.take() {
                        settings.metrics.way.unblocked(now - since);
                    }
                }
            }
        }
        Ok(())
    }

    /// Hears what the client says, which is mostly that it leaves.
    fn listen(&mut self) -> Result<(), Gone> {
        let mut words = [0; 1024];
        while let Poll::Ready(ready) = self.socket.poll_read_ready(&mut Context::from_waker(&self.nudge)) {
            ready.map_err(|_| Gone::Left)?;
            match self.socket.try_read(&mut words) {
                Ok(0) => return Err(Gone::Left),
                Ok(some) => self.heard += some,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Gone::Left),
            }
            if self.heard > HEARD_MAX {
                return Err(Gone::Left);
            }
        }
        Ok(())
    }
}

/// A socket that is written to by the system's own calls: those of the C library are points of cancellation, and `writev` goes
/// the way of files.
struct Socket<'a>(&'a TcpStream);

impl Socket<'_> {
    /// A socket that would block has taken nothing.
    fn attempt(&self, send: impl Fn() -> rustix::io::Result<usize>) -> io::Result<usize> {
        match send() {
            // The runtime learns by itself that it has to wait for the socket: with another try, which it watches.
            Err(Errno::AGAIN | Errno::INTR) => self.attempt_watched(send),
            written => Ok(written?),
        }
    }

    fn attempt_watched(&self, send: impl Fn() -> rustix::io::Result<usize>) -> io::Result<usize> {
        match self.0.try_io(Interest::WRITABLE, || send().map_err(io::Error::from)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }
}

impl Sink for Socket<'_> {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|| net::send(self.0, bytes, SendFlags::empty()))
    }

    fn send_all(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.attempt(|| net::sendmsg(self.0, slices, &mut SendAncillaryBuffer::default(), SendFlags::empty()))
    }
}
