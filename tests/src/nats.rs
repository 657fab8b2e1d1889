//! A real nats-server with JetStream: it can be killed, frozen and started again where it was.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::{Process, Signal};
use crate::wait::{PATIENCE, until};

pub mod cluster;

/// Where it listens. Not 127.0.0.1, from whose ports clients connect: its port must be free again when it comes back.
const HOST: &str = "127.0.0.2";

/// The oldest release that Promcast runs on.
const OLDEST: (u32, u32) = (2, 11);

/// A server with an empty store.
#[derive(Debug)]
pub struct Nats {
    process: Process,
    folder: TempDir,
    url: String,
}

impl Nats {
    /// Starts one that lets everybody in.
    ///
    /// # Panics
    /// Where nats-server is missing, too old, or does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one with more lines of configuration: users and what they may do, for instance.
    ///
    /// # Panics
    /// As [`Nats::start`].
    pub async fn start_with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("nats.conf"), config).expect("a file can be written");
        let (process, url) = spawn(folder.path(), "-1").await;
        Self { process, folder, url }
    }

    /// Its address: `nats://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `host:port` of its clients' listener.
    ///
    /// # Panics
    /// Never: its URL has one.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("nats://").expect("a URL of NATS")
    }

    /// Loses all that it has written down, after [`Nats::kill`].
    pub fn wipe(&self) {
        std::fs::remove_dir_all(self.folder.path().join("store")).expect("a store of its own");
    }

    /// SIGKILL: what it did not write down is lost, and nobody answers at its address any more.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again after [`Nats::kill`], with its store, at the same address.
    pub async fn restart(&mut self) {
        let port = self.url.rsplit_once(':').map(|(_, port)| port.to_owned()).expect("a port");
        (self.process, self.url) = spawn(self.folder.path(), &port).await;
    }

    /// SIGSTOP: connections stay open, and nobody answers on them. Returns once every thread stands.
    pub async fn pause(&self) {
        self.process.signal(Signal::STOP);
        until("nats-server stands", PATIENCE, || async { self.stands().then_some(()) }).await;
    }

    /// Whether all threads are stopped: `T` in the third field of their `stat` (proc(5)).
    fn stands(&self) -> bool {
        let threads =
            std::fs::read_dir(format!("/proc/{}/task", self.process.pid())).expect("a running process");
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// SIGCONT, after [`Nats::pause`].
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// The base URL of its monitoring, where its configuration has `http`.
    ///
    /// # Panics
    /// Where it has not.
    pub fn monitoring(&self) -> String {
        let written = std::fs::read(ports_file(self.folder.path(), &self.process)).expect("a ports file");
        let ports: Value = serde_json::from_slice(&written).expect("ports");
        ports["monitoring"][0].as_str().expect("a configuration with `http`").to_owned()
    }

    /// The process, for its memory and processor time.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

async fn spawn(folder: &Path, port: &str) -> (Process, String) {
    let binary = binary().await;
    let mut command = Command::new(&binary);
    command
        .args(["--addr", HOST, "--port", port, "--jetstream"])
        .arg("--config")
        .arg(folder.join("nats.conf"))
        .arg("--store_dir")
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(folder);
    let process = Process::spawn("nats-server", &mut command);
    let ports = ports_file(folder, &process);
    let url = until("nats-server listens", PATIENCE, || listening(&ports)).await;
    (process, url)
}

fn ports_file(folder: &Path, process: &Process) -> PathBuf {
    folder.join(format!("nats-server_{}.ports", process.pid()))
}

/// The address in a ports file, once it is there and somebody listens.
async fn listening(ports: &Path) -> Option<String> {
    let written: Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    let url = written["nats"][0].as_str()?.to_owned();
    TcpStream::connect(url.strip_prefix("nats://")?).await.ok()?;
    Some(url)
}

/// The server of this checkout, else the one of the machine.
async fn binary() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.build/bin/nats-server");
    let binary = if own.exists() { own } else { PathBuf::from("nats-server") };
    let printed = match Command::new(&binary).arg("--version").output().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => panic!("cannot run nats-server ({error}): run deploy/local/install.sh nats"),
    };
    let version = printed.trim().rsplit_once(" v").map_or("", |(_, version)| version);
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let release = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    assert!(
        release >= OLDEST,
        "nats-server is {:?}, and {}.{} or newer is needed: run deploy/local/install.sh nats",
        printed.trim(),
        OLDEST.0,
        OLDEST.1,
    );
    binary
}
