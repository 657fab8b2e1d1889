//! What all servers of a run are started with: cores, NATS, and the shim for nginx.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use promcast_runtime::bus::Bus;
use promcast_runtime::bus::nats::{Nats as Client, Options};
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::process::Command;

use crate::bench::cores::Cores;
use crate::nats::Nats;
use crate::programs;
use crate::wait::{PATIENCE, within};

/// The source of the shim.
const SHIM: &str = "bench/nodelay.c";

/// What servers are made with.
pub struct Workshop {
    /// Who runs where.
    pub cores: Cores,
    folder: TempDir,
    nats: Option<Nats>,
    bus: Option<Arc<dyn Bus>>,
    shim: Option<PathBuf>,
    sessions: u32,
}

impl Workshop {
    /// An empty one. What is needed is started when it is.
    ///
    /// # Panics
    /// Where there is no place for temporary files.
    pub fn new(cores: Cores) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { cores, folder, nats: None, bus: None, shim: None, sessions: 0 }
    }

    /// A query that nobody has asked before, so that its topic is empty.
    pub fn query(&mut self) -> String {
        self.sessions += 1;
        format!("bench_{}", self.sessions)
    }

    /// The address of NATS, on the client's core, with its streams set up.
    ///
    /// # Panics
    /// Where it cannot be had.
    pub async fn nats_url(&mut self) -> String {
        if let Some(nats) = &self.nats {
            return nats.url().to_owned();
        }
        self.cores.enter_client();
        let nats = Nats::start().await;
        let url = nats.url().to_owned();
        let init = ["--auth-mode", "none", "--bus-url", &url, "init"];
        let (code, output) = programs::run("promcast-gateway", &init).await;
        assert_eq!(code, Some(0), "init: {output}");
        self.nats = Some(nats);
        url
    }

    /// The bus over NATS, as a poller has it.
    ///
    /// # Panics
    /// Where it cannot be had.
    pub async fn bus(&mut self) -> Arc<dyn Bus> {
        if let Some(bus) = &self.bus {
            return bus.clone();
        }
        let options = Options::new(vec![self.nats_url().await.parse().expect("an address of NATS")]);
        let client = Client::connect(&options, &Registry::new(), &Tasks::default()).await;
        let bus: Arc<dyn Bus> = Arc::new(client.expect("NATS takes us in"));
        let mut state = bus.state();
        let up = within("the bus is up", PATIENCE, state.wait_for(|state| state.is_up())).await;
        up.expect("a bus that goes on");
        self.bus.insert(bus).clone()
    }

    /// The processes that work for the client's side.
    pub fn helpers(&self) -> Vec<u32> {
        self.nats.iter().map(|nats| nats.process().pid()).collect()
    }

    /// The library that turns Nagle's algorithm off in a program, compiled now where it has not been.
    ///
    /// # Errors
    /// What the compiler said.
    pub async fn shim(&mut self) -> Result<PathBuf, String> {
        if let Some(shim) = &self.shim {
            return Ok(shim.clone());
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHIM);
        let library = self.folder.path().join("nodelay.so");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(source).arg("-ldl");
        let output = command.output().await.map_err(|error| format!("cannot run cc: {error}"))?;
        if !output.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(self.shim.insert(library).clone())
    }
}
