//! One stream of the load client: its socket, its answer's head, its chunks and its marks.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};

use super::{Tally, Way};
use crate::bench::mark::{self, Scanner};

/// The longest head of an answer.
const HEAD_MAX: usize = 4096;

/// Connects and asks. The socket blocks only while it connects, which on loopback takes no time.
pub(super) fn open(way: &Way) -> rustix::io::Result<OwnedFd> {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Closing resets: ten thousand ports are free again at once.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    net::connect(&socket, &way.address)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    net::send(&socket, &way.request, SendFlags::NOSIGNAL)?;
    Ok(socket)
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Bytes,
    End,
}

/// Where in the answer a connection is.
#[derive(Debug)]
enum At {
    Head(Vec<u8>),
    /// In the line that tells a chunk's size, with the digits so far.
    Size(usize),
    /// In a chunk with so many bytes to come.
    Chunk(usize),
    /// In the line end behind a chunk.
    Gap,
    /// In a body without chunks.
    Plain,
    /// The answer was not a stream.
    Refused,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Option<OwnedFd>,
    channel: usize,
    at: At,
    head: Option<Box<str>>,
    scanner: Scanner,
    expected: u32,
    /// Whether it has had an event, or must have the very first.
    begun: bool,
    bytes: u64,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, way: &Way, expected: u32) -> Self {
        let scanner = Scanner::new(way.after_mark);
        let at = At::Head(Vec::new());
        let (channel, begun) = (way.channel, !way.may_begin_late);
        Self { socket: Some(socket), channel, at, head: None, scanner, expected, begun, bytes: 0 }
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    pub(super) fn channel(&self) -> usize {
        self.channel
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether its answer has not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.socket.is_some() && matches!(self.at, At::Head(_))
    }

    /// Whether it streams.
    pub(super) fn is_open(&self) -> bool {
        self.socket.is_some() && !matches!(self.at, At::Head(_) | At::Refused)
    }

    pub(super) fn head(&self) -> String {
        self.head.as_deref().unwrap_or_default().to_owned()
    }

    /// The number of the event that comes next.
    pub(super) fn expected(&self) -> u32 {
        self.expected
    }

    /// Takes its socket, which ends it.
    pub(super) fn end(&mut self) -> Option<OwnedFd> {
        self.socket.take()
    }

    /// Reads what is there, once.
    pub(super) fn read(&mut self, buffer: &mut [u8], tally: &mut Tally) -> Got {
        let Some(socket) = &self.socket else { return Got::Bytes };
        let read = match rustix::io::read(socket, &mut *buffer) {
            Ok(0) => return Got::End,
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Got::Bytes,
            Err(_) => return Got::End,
        };
        self.bytes += read as u64;
        let now = mark::now();
        let mut rest = buffer.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            rest = self.take(rest, tally, now);
        }
        if matches!(self.at, At::Refused) { Got::End } else { Got::Bytes }
    }

    /// Takes some of the bytes; the rest is handed back.
    fn take<'a>(&mut self, bytes: &'a [u8], tally: &mut Tally, now: u64) -> &'a [u8] {
        match &mut self.at {
            At::Head(head) => {
                let known = head.len();
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
                    if head.len() > HEAD_MAX {
                        self.at = At::Refused;
                    }
                    return &[];
                };
                let text = String::from_utf8_lossy(head.get(..end).unwrap_or_default()).to_ascii_lowercase();
                self.at = match (text.contains(" 200 "), text.contains("transfer-encoding: chunked")) {
                    (false, _) => At::Refused,
                    (true, true) => At::Size(0),
                    (true, false) => At::Plain,
                };
                self.head = Some(text.into());
                bytes.get(end + 4 - known..).unwrap_or_default()
            }
            At::Size(size) => {
                let Some((first, rest)) = bytes.split_first() else { return &[] };
                match char::from(*first).to_digit(16) {
                    Some(digit) => *size = *size * 16 + digit as usize,
                    None if *first == b'\n' => self.at = At::Chunk(*size),
                    None => {}
                }
                rest
            }
            At::Chunk(left) => {
                let (mine, rest) = bytes.split_at((*left).min(bytes.len()));
                *left -= mine.len();
                if *left == 0 {
                    self.at = At::Gap;
                }
                self.scan(mine, tally, now);
                rest
            }
            At::Gap => {
                let Some((first, rest)) = bytes.split_first() else { return &[] };
                if *first == b'\n' {
                    self.at = At::Size(0);
                }
                rest
            }
            At::Plain => {
                self.scan(bytes, tally, now);
                &[]
            }
            At::Refused => &[],
        }
    }

    fn scan(&mut self, bytes: &[u8], tally: &mut Tally, now: u64) {
        let Self { scanner, expected, begun, .. } = self;
        scanner.read(bytes, |mark| {
            if !*begun {
                *begun = true;
                *expected = tally.start(*expected, mark.number);
            }
            *expected = tally.got(*expected, mark, now);
        });
    }
}
