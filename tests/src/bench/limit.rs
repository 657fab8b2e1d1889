//! The limit: a server that does nothing but write each event to each socket, one `send` each, in one loop.
//!
//! `POST /pub?id=N` publishes a body on channel N; whatever else is asked for is a stream of the channel that its `id` names.
//! What a socket does not take waits for it, as in any server.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::{self, Errno};
use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// The listener, among what epoll tells.
const LISTENER: u64 = u64::MAX;

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

const TAKEN: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// Serves for ever. `told` hears where.
///
/// # Errors
/// The system's.
pub fn serve(told: impl FnOnce(SocketAddrV4)) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    net::listen(&listener, BACKLOG)?;
    let address = SocketAddrV4::try_from(net::getsockname(&listener)?).map_err(|_| Errno::AFNOSUPPORT)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), EventFlags::IN)?;
    told(address);
    let mut server = Server { epoll, listener, clients: HashMap::new(), next: 0, channels: Vec::new() };
    let mut ready = Vec::with_capacity(256);
    loop {
        ready.clear();
        epoll::wait(&server.epoll, spare_capacity(&mut ready), None)?;
        for event in &ready {
            match event.data.u64() {
                LISTENER => server.accept()?,
                id => server.serve(id, event.flags),
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    clients: HashMap<u64, Client>,
    next: u64,
    channels: Vec<Channel>,
}

#[derive(Default)]
struct Channel {
    readers: Vec<Reader>,
    events: u64,
}

struct Client {
    socket: Rc<OwnedFd>,
    asked: Vec<u8>,
    /// Where it reads.
    reads: Option<usize>,
}

/// A stream: what its socket has not taken waits here.
struct Reader {
    id: u64,
    socket: Rc<OwnedFd>,
    waiting: VecDeque<Rc<[u8]>>,
    /// Bytes of the first that were taken.
    taken: usize,
}

impl Server {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let socket = match net::accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
            {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let id = self.next;
            self.next += 1;
            epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(id), EventFlags::IN)?;
            self.clients.insert(id, Client { socket: Rc::new(socket), asked: Vec::new(), reads: None });
        }
    }

    /// Does what a socket is ready for; one that has failed is gone.
    fn serve(&mut self, id: u64, flags: EventFlags) {
        let done = if flags.contains(EventFlags::OUT) { self.write_on(id) } else { self.read(id) };
        if done.is_err() {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(channel) = self.clients.remove(&id).and_then(|client| client.reads)
            && let Some(channel) = self.channels.get_mut(channel)
        {
            channel.readers.retain(|reader| reader.id != id);
        }
    }

    fn read(&mut self, id: u64) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        let mut buffer = [0; 16 * 1024];
        loop {
            match io::read(&*client.socket, &mut buffer[..]) {
                Ok(0) => return Err(Errno::CONNRESET),
                Ok(read) => client.asked.extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        while let Some(request) = self.clients.get_mut(&id).and_then(Client::request) {
            self.answer(id, request)?;
        }
        Ok(())
    }

    fn answer(&mut self, id: u64, request: Request) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        if self.channels.len() <= request.channel {
            self.channels.resize_with(request.channel + 1, Channel::default);
        }
        if let Some(body) = request.body {
            net::send(&*client.socket, TAKEN, SendFlags::NOSIGNAL)?;
            self.publish(request.channel, &body);
            return Ok(());
        }
        net::send(&*client.socket, HEAD, SendFlags::NOSIGNAL)?;
        client.reads = Some(request.channel);
        client.asked = Vec::new();
        let reader = Reader { id, socket: client.socket.clone(), waiting: VecDeque::new(), taken: 0 };
        if let Some(channel) = self.channels.get_mut(request.channel) {
            channel.readers.push(reader);
        }
        Ok(())
    }

    /// The loop that everything is compared with.
    fn publish(&mut self, channel: usize, body: &[u8]) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        channel.events += 1;
        let chunk = chunk(body, channel.events);
        let mut gone = Vec::new();
        for reader in &mut channel.readers {
            match reader.write(&chunk) {
                Ok(true) => {}
                Ok(false) => wait_for(&self.epoll, reader, EventFlags::IN | EventFlags::OUT),
                Err(_) => gone.push(reader.id),
            }
        }
        for id in gone {
            self.forget(id);
        }
    }

    /// Goes on with what a socket had not taken.
    fn write_on(&mut self, id: u64) -> io::Result<()> {
        let channel = self.clients.get(&id).and_then(|client| client.reads);
        let Some(channel) = channel.and_then(|channel| self.channels.get_mut(channel)) else { return Ok(()) };
        let Some(reader) = channel.readers.iter_mut().find(|reader| reader.id == id) else { return Ok(()) };
        if reader.flush()? {
            wait_for(&self.epoll, reader, EventFlags::IN);
        }
        Ok(())
    }
}

fn wait_for(epoll: &OwnedFd, reader: &Reader, flags: EventFlags) {
    // Fails for a socket that is gone, which its next write tells.
    epoll::modify(epoll, &*reader.socket, epoll::EventData::new_u64(reader.id), flags).ok();
}

impl Reader {
    /// Writes a chunk behind what waits; false where something waits now that did not before.
    fn write(&mut self, chunk: &Rc<[u8]>) -> io::Result<bool> {
        if !self.waiting.is_empty() {
            self.waiting.push_back(chunk.clone());
            return Ok(true);
        }
        let sent = self.send(chunk)?;
        if sent == chunk.len() {
            return Ok(true);
        }
        self.waiting.push_back(chunk.clone());
        self.taken = sent;
        Ok(false)
    }

    /// Writes what waits; whether nothing does any more.
    fn flush(&mut self) -> io::Result<bool> {
        while let Some(first) = self.waiting.front() {
            let rest = first.get(self.taken..).unwrap_or_default();
            let sent = self.send(rest)?;
            if sent < rest.len() {
                self.taken += sent;
                return Ok(false);
            }
            self.taken = 0;
            self.waiting.pop_front();
        }
        Ok(true)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match net::send(&*self.socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => Ok(0),
            sent => sent,
        }
    }
}

fn chunk(body: &[u8], number: u64) -> Rc<[u8]> {
    let (begin, end) = (&b"event: metric-update\ndata: "[..], format!("\nid: {number}\n\n"));
    let size = format!("{:x}\r\n", begin.len() + body.len() + end.len());
    [size.as_bytes(), begin, body, end.as_bytes(), b"\r\n"].concat().into()
}

/// What was asked for.
struct Request {
    channel: usize,
    /// What is published, where something is.
    body: Option<Vec<u8>>,
}

impl Client {
    /// The first whole request of what was read.
    fn request(&mut self) -> Option<Request> {
        let end = self.asked.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(self.asked.get(..end)?).to_ascii_lowercase();
        let line = head.lines().next().unwrap_or_default();
        let digits = line.split_once("id=").map_or("", |(_, rest)| rest);
        let channel = digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|id| id.parse().ok());
        let publishes = line.starts_with("post ");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let until = end + length.filter(|_| publishes).unwrap_or(0);
        let body = self.asked.get(end..until)?.to_vec();
        self.asked.drain(..until);
        Some(Request { channel: channel.unwrap_or(0), body: publishes.then_some(body) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_come_in_pieces_or_together_are_told_apart() {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let mut client = Client { socket: Rc::new(socket), asked: Vec::new(), reads: None };
        client.asked.extend_from_slice(b"POST /pub?id=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nab");
        assert!(client.request().is_none());
        client.asked.extend_from_slice(b"cGET /sub?id=2 HTTP/1.1\r\nHost: a\r\n\r\n");
        let first = client.request().unwrap();
        assert_eq!((first.channel, first.body.as_deref()), (1, Some(&b"abc"[..])));
        let second = client.request().unwrap();
        assert_eq!((second.channel, second.body), (2, None));
        assert!(client.request().is_none());
    }

    #[test]
    fn an_event_is_one_chunk() {
        assert_eq!(&*chunk(b"{}", 7), b"25\r\nevent: metric-update\ndata: {}\nid: 7\n\n\r\n");
    }
}
