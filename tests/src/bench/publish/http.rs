//! Publishing by `POST`, as nchan, Pushpin and the bare loop take it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};

use super::{Publisher, Template, body};

/// Connections to publish on. One that waits for its answer is not used: so the server has the next event while it works on
/// one, and never two of which it could take the later first.
const LINES: usize = 2;

/// How a server wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The body alone, to `/pub?id=CHANNEL`.
    Body,
    /// The same on one connection, without a wait for answers.
    Stream,
    /// An item of Pushpin's for its one channel, with the whole event.
    Item,
}

/// The publisher.
#[derive(Debug)]
pub struct OverHttp {
    address: SocketAddrV4,
    form: Form,
    /// One for each channel.
    templates: Vec<Template>,
    lines: Vec<Line>,
    waiting: VecDeque<Vec<u8>>,
    refused: u64,
}

#[derive(Debug, Default)]
struct Line {
    socket: Option<TcpStream>,
    busy: bool,
}

impl OverHttp {
    /// One that publishes these bodies, a template for each channel, to the server at `address`.
    pub fn new(address: SocketAddrV4, form: Form, templates: Vec<Template>) -> Self {
        let lines = std::iter::repeat_with(Line::default).take(LINES).collect();
        Self { address, form, templates, lines, waiting: VecDeque::new(), refused: 0 }
    }

    fn request(&self, channel: usize, number: u32) -> Vec<u8> {
        let Some(template) = self.templates.get(channel) else { return Vec::new() };
        let body = body(template, number);
        let (path, content) = match self.form {
            Form::Body | Form::Stream => (format!("/pub?id={channel}"), body),
            Form::Item => ("/publish/".to_owned(), item(&body, number)),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nX-EventSource-Event: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            crate::bench::payload::NAME,
            content.len()
        );
        [head.into_bytes(), content].concat()
    }
}

/// An event for the channel of Pushpin's built-in test route.
fn item(body: &[u8], number: u32) -> Vec<u8> {
    let event = format!("event: metric-update\ndata: {}\nid: {number}\n\n", String::from_utf8_lossy(body));
    let item = serde_json::json!({"channel": "test", "formats": {"http-stream": {"content": event}}});
    serde_json::json!({ "items": [item] }).to_string().into_bytes()
}

impl Publisher for OverHttp {
    fn publish(&mut self, channel: usize, number: u32) {
        let request = self.request(channel, number);
        self.waiting.push_back(request);
        self.settle();
    }

    fn settle(&mut self) {
        for line in &mut self.lines {
            self.refused += line.answers();
        }
        while !self.waiting.is_empty() {
            let streams = self.form == Form::Stream;
            let Some(line) = self.lines.iter_mut().find(|line| streams || !line.busy) else { return };
            let Some(request) = self.waiting.pop_front() else { return };
            self.refused += u64::from(line.send(self.address, &request).is_err());
        }
    }

    fn trouble(&self) -> Option<String> {
        (self.refused > 0).then(|| format!("{} events were refused by the server", self.refused))
    }
}

impl Line {
    /// Takes the answers that are there; how many were no success.
    fn answers(&mut self) -> u64 {
        if !self.busy {
            return 0;
        }
        let mut answer = [0; 2048];
        let read = self.socket.as_mut().map(|socket| socket.read(&mut answer));
        match read {
            Some(Ok(read)) if read > 0 => {
                self.busy = false;
                let head =
                    String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).to_ascii_lowercase();
                if head.contains("connection: close") {
                    self.socket = None;
                }
                u64::from(!head.starts_with("http/1.1 2") && !head.starts_with("http/1.0 2"))
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => 0,
            // Closed: the next event has a new one.
            _ => {
                (self.socket, self.busy) = (None, false);
                1
            }
        }
    }

    fn send(&mut self, address: SocketAddrV4, request: &[u8]) -> std::io::Result<()> {
        if self.socket.is_none() {
            let socket = TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            self.socket = Some(socket);
        }
        let Some(socket) = self.socket.as_mut() else { return Ok(()) };
        socket.set_nonblocking(false)?;
        socket.write_all(request)?;
        socket.set_nonblocking(true)?;
        self.busy = true;
        Ok(())
    }
}
