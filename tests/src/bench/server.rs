//! The servers that are compared, each started alone on the server's core and fed in its own way.

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};

use super::client::Way;
use super::cores::Cores;
use super::meter;
use super::payload::Template;
use super::publish::{Feed, Publisher};
use crate::process::{Process, Signal};
use crate::wait::{PATIENCE, until};

mod gateway;
mod limit;
mod nchan;
mod pushpin;
mod workshop;

pub use limit::{BARE_LOOP, LISTENING};

pub use workshop::Workshop;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway, as it was built for a release.
    Gateway,
    /// The bare loop over sockets.
    Limit,
    /// nginx with nchan, as Debian has it.
    Nchan,
    /// The same with Nagle's algorithm off.
    NchanNodelay,
    /// Pushpin, as Debian has it.
    Pushpin,
}

impl Kind {
    /// All, in the order of the tables.
    pub const ALL: [Self; 5] = [Self::Gateway, Self::Limit, Self::Nchan, Self::NchanNodelay, Self::Pushpin];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Limit => "raw",
            Self::Nchan => "nchan",
            Self::NchanNodelay => "nchan-nodelay",
            Self::Pushpin => "pushpin",
        }
    }

    /// What it is called in a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Limit => "raw",
            Self::Nchan => "nchan",
            Self::NchanNodelay => "nchan, NODELAY",
            Self::Pushpin => "Pushpin",
        }
    }
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// A channel for each: its events.
    pub templates: &'a [Template],
    /// Whether a client that reads slowly is to be treated as by default, and not waited for.
    pub bounded: bool,
}

/// A server that runs.
pub struct Server {
    /// Which.
    pub kind: Kind,
    /// Where its streams are, a way for each channel.
    pub ways: Vec<Way>,
    /// Who feeds it.
    pub publisher: Option<Box<dyn Publisher>>,
    /// What feeds each channel of a gateway.
    pub feeds: Vec<Feed>,
    /// The admin listener of a gateway.
    pub admin: String,
    process: Process,
    stopped: bool,
    /// Folders that it works in.
    _folders: Vec<tempfile::TempDir>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// What it lacks, in words: a peer that is not installed is left out of a comparison.
    pub async fn start(kind: Kind, workshop: &mut Workshop, wanted: Wanted<'_>) -> Result<Self, String> {
        match kind {
            Kind::Gateway => Ok(gateway::start(workshop, wanted).await),
            Kind::Limit => Ok(limit::start(workshop, wanted).await),
            Kind::Nchan => nchan::start(workshop, wanted, false).await,
            Kind::NchanNodelay => nchan::start(workshop, wanted, true).await,
            Kind::Pushpin => pushpin::start(workshop, wanted).await,
        }
    }

    /// The process that all of its processes come from.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its address.
    ///
    /// # Panics
    /// Never: it has a channel at least.
    pub fn address(&self) -> SocketAddrV4 {
        self.ways.first().expect("a channel").address
    }

    /// Ends it with all its processes.
    ///
    /// # Panics
    /// Where they do not end.
    pub async fn stop(mut self) {
        // A gateway would drain; a runner has to end what it has started.
        if self.kind == Kind::Gateway || self.kind == Kind::Limit {
            self.process.kill().await;
        } else {
            self.process.signal(Signal::TERM);
            self.process.exit(PATIENCE).await;
        }
        self.stopped = true;
    }
}

impl Drop for Server {
    /// Where it was not stopped: a program that starts others may leave them behind when it is killed.
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        for pid in meter::family(self.pid()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                // One that is gone needs no signal.
                rustix::process::kill_process(pid, Signal::TERM).ok();
            }
        }
    }
}

/// Starts a process on the server's core.
fn on_server_core<T>(cores: Cores, start: impl FnOnce() -> T) -> T {
    cores.enter_server();
    let started = start();
    cores.enter_client();
    started
}

/// A port of loopback that is free now, for a server that cannot say which one it took.
fn free_port() -> std::io::Result<SocketAddrV4> {
    // Not of 127.0.0.1, from whose ports clients connect.
    match std::net::TcpListener::bind("127.0.0.2:0")?.local_addr()? {
        std::net::SocketAddr::V4(address) => Ok(address),
        std::net::SocketAddr::V6(_) => Err(std::io::ErrorKind::Unsupported.into()),
    }
}

async fn until_it_listens(what: &str, address: SocketAddrV4) {
    until(what, PATIENCE, || async move { tokio::net::TcpStream::connect(address).await.ok().map(drop) })
        .await;
}

/// A request for a stream.
fn request(address: SocketAddrV4, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n").into_bytes()
}

/// The ways to a server that names its channels in an `id`.
fn ways(address: SocketAddrV4, templates: &[Template], may_begin_late: bool) -> Vec<Way> {
    let way = |(channel, template): (usize, &Template)| Way {
        address,
        request: request(address, &format!("/sub?id={channel}")),
        channel,
        after_mark: template.after_mark(),
        may_begin_late,
    };
    templates.iter().enumerate().map(way).collect()
}
