//! Starts the bare loop (`crate::bench::limit`) as a process of its own.

use std::net::SocketAddrV4;

use tokio::process::Command;

use super::{Kind, Server, Wanted, Workshop, on_server_core, ways};
use crate::bench::publish::{Form, OverHttp};
use crate::process::Process;
use crate::programs::binary;

/// How the program `bench` is told to be the bare loop.
pub const BARE_LOOP: &str = "--bare-loop";

/// What it prints before its address.
pub const LISTENING: &str = "listening on ";

pub(super) async fn start(workshop: &Workshop, wanted: Wanted<'_>) -> Server {
    let mut command = Command::new(binary("bench"));
    command.arg(BARE_LOOP);
    let process = on_server_core(workshop.cores, || Process::spawn("the bare loop", &mut command));
    let address: SocketAddrV4 =
        process.line("its address", |line| line.strip_prefix(LISTENING)?.parse().ok()).await;
    let publisher = OverHttp::new(address, Form::Stream, wanted.templates.to_vec());
    Server {
        kind: Kind::Limit,
        ways: ways(address, wanted.templates, false),
        publisher: Some(Box::new(publisher)),
        feeds: Vec::new(),
        admin: String::new(),
        process,
        stopped: false,
        _folders: Vec::new(),
    }
}
