//! The programs under test, started as an operator would start them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::http;
use crate::process::Process;
use crate::wait::{PATIENCE, until};

/// A binary of the workspace, built in the same profile as the test.
///
/// # Panics
/// Where it has not been built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    // target/<profile>/deps/<test>, or target/<profile>/<benchmark>.
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    match found {
        Some(path) => path,
        None => panic!("{name} is not built: run `cargo build --workspace` first"),
    }
}

/// A command for a program, with nothing of this environment but the path.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// [`command`] with a clock that is so many seconds ahead of the machine's; timers run as they do.
///
/// The library is put in by hand, because the program `faketime` stays between us and what it starts.
///
/// # Panics
/// Where libfaketime is not installed.
pub fn ahead(name: &str, seconds: u8) -> Command {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let library =
        folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.is_file());
    let mut command = command(name);
    command.env("LD_PRELOAD", library.expect("libfaketime: run deploy/local/install.sh faketime"));
    command.env("FAKETIME", format!("+{seconds}s")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

/// Runs a program to its end: how it exited, and all it printed.
pub async fn run(name: &str, args: &[&str]) -> (Option<i32>, String) {
    run_command(name, command(name).args(args)).await
}

/// [`run`] for a program that may take longer.
pub async fn run_within(name: &str, args: &[&str], limit: Duration) -> (Option<i32>, String) {
    let mut process = Process::spawn(name, command(name).args(args));
    let status = process.exit(limit).await;
    (status.code(), process.output())
}

/// [`run`] for a command with an environment or folder of its own.
pub async fn run_command(name: &str, command: &mut Command) -> (Option<i32>, String) {
    let mut process = Process::spawn(name, command);
    let status = process.exit(PATIENCE).await;
    (status.code(), process.output())
}

/// The address that a program says it listens on.
pub async fn listening(process: &Process, listener: &str) -> String {
    let find = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = line.get("fields")?;
        let right = fields.get("message")? == "listening" && fields.get("listener")? == listener;
        right.then(|| fields.get("address")?.as_str().map(str::to_owned)).flatten()
    };
    process.line(&format!("the address of its {listener} listener"), find).await
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// A client for it.
    pub http: reqwest::Client,
    address: String,
    admin: String,
}

impl Gateway {
    /// Starts one on free ports, without authentication, and waits until it is ready.
    pub async fn start(flags: &[&str]) -> Self {
        Self::guarded(&[&["--auth-mode", "none"], flags].concat()).await
    }

    /// Starts one on free ports with these flags alone, which say who is let in, and waits until it is ready.
    pub async fn guarded(flags: &[&str]) -> Self {
        let gateway = Self::start_unready(flags).await;
        until_ready("the gateway", &gateway.admin).await;
        gateway
    }

    /// Starts one on free ports with these flags alone, and waits until it listens.
    pub async fn start_unready(flags: &[&str]) -> Self {
        let mut command = command("promcast-gateway");
        command.args(["--admin-listen", "127.0.0.1:0"]).args(flags);
        if !flags.contains(&"--http-listen") {
            command.args(["--http-listen", "127.0.0.1:0"]);
        }
        Self::of(&mut command).await
    }

    /// Starts what a command says, addresses and all, and waits until it listens.
    pub async fn of(command: &mut Command) -> Self {
        let process = Process::spawn("promcast-gateway", command.args(["--log-format", "json"]));
        let address = listening(&process, "http").await;
        let admin = listening(&process, "admin").await;
        Self { process, http: http::client(), address, admin }
    }

    /// `host:port` of the streams.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host:port` of the admin listener.
    pub fn admin_address(&self) -> &str {
        &self.admin
    }

    /// A URL of the streams' listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A URL of the admin listener.
    pub fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// The port of the admin listener.
    pub fn admin_port(&self) -> &str {
        self.admin.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// The value of a metric of its own, summed over labels.
    pub async fn metric(&self, name: &str) -> f64 {
        sum(&http::get(&self.admin("/metrics")).await.body, name)
    }
}

/// A running poller.
#[derive(Debug)]
pub struct Poller {
    /// The process.
    pub process: Process,
    admin: String,
}

impl Poller {
    /// Starts one on a free admin port and waits until it is ready.
    pub async fn start(flags: &[&str]) -> Self {
        Self::of(command("promcast-poller").args(["--admin-listen", "127.0.0.1:0"]).args(flags)).await
    }

    /// Starts what a command says, address and all, and waits until it is ready.
    pub async fn of(command: &mut Command) -> Self {
        let poller = Self::start_unready(command).await;
        until_ready("the poller", &poller.admin).await;
        poller
    }

    /// Starts what a command says, address and all, and waits until it listens.
    pub async fn start_unready(command: &mut Command) -> Self {
        let process = Process::spawn("promcast-poller", command.args(["--log-format", "json"]));
        let admin = listening(&process, "admin").await;
        Self { process, admin }
    }

    /// `host:port` of the admin listener.
    pub fn admin_address(&self) -> &str {
        &self.admin
    }

    /// A URL of the admin listener.
    pub fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }
}

async fn until_ready(what: &str, admin: &str) {
    let url = format!("http://{admin}/-/ready");
    until(&format!("{what} is ready"), PATIENCE, || async {
        (http::get(&url).await.status == 200).then_some(())
    })
    .await;
}

/// The sum over all labels of one metric in the text format.
pub fn sum(exposition: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let ours = rest.starts_with(['{', ' ']);
        ours.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
    };
    exposition.lines().filter_map(value).sum()
}
