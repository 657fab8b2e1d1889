//! A real load balancer in front of gateways, with the very configuration of `deploy/load-balancer`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, kill_process_group};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::{Process, Signal};
use crate::programs::Gateway;
use crate::wait::{PATIENCE, until, within};

/// Where it listens. Not 127.0.0.1, from whose ports it connects to the gateways: its own must stay free until it starts.
const HOST: &str = "127.0.0.2";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx of `nginx.conf.template`.
    Nginx,
    /// HAProxy of `haproxy.cfg`.
    Haproxy,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nginx, Self::Haproxy];
}

/// A running load balancer; it ends with its handle, workers included.
#[derive(Debug)]
pub struct LoadBalancer {
    process: Process,
    kind: Kind,
    address: String,
    _folder: TempDir,
}

impl LoadBalancer {
    /// Starts one on a free port in front of two gateways, and waits until it listens.
    ///
    /// # Panics
    /// Where the program is not installed or does not start.
    pub async fn start(kind: Kind, gateways: [&Gateway; 2]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let mut command = match kind {
            Kind::Nginx => nginx(folder.path(), &address, gateways),
            Kind::Haproxy => haproxy(&address, gateways),
        };
        // Programs with workers: a group of their own, so that all of them can be ended.
        let process = Process::spawn(&format!("{kind:?}"), command.process_group(0));
        let balancer = Self { process, kind, address, _folder: folder };
        until("the load balancer listens", PATIENCE, || async {
            TcpStream::connect(&balancer.address).await.ok()
        })
        .await;
        balancer
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reads the configuration again, as an operator does after a change to it, and waits for new workers.
    ///
    /// # Panics
    /// Where none come.
    pub async fn reload(&self) {
        let before = self.workers();
        let renewed = || async { self.workers().iter().any(|id| !before.contains(id)).then_some(()) };
        let reloaded = async {
            loop {
                self.process.signal(match self.kind {
                    Kind::Nginx => Signal::HUP,
                    Kind::Haproxy => Signal::USR2,
                });
                // HAProxy listens before its master heeds signals, and a first one may be lost.
                let come = until("new workers", PATIENCE, renewed);
                if tokio::time::timeout(Duration::from_secs(3), come).await.is_ok() {
                    return;
                }
            }
        };
        within("a reload", PATIENCE, reloaded).await;
    }

    /// Process ids of its workers.
    fn workers(&self) -> Vec<u32> {
        let pid = self.process.pid();
        let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
    }
}

impl Drop for LoadBalancer {
    fn drop(&mut self) {
        let group = i32::try_from(self.process.pid()).ok().and_then(Pid::from_raw);
        // An error means that it has ended already.
        group.map(|group| kill_process_group(group, Signal::KILL).ok());
    }
}

/// An address that nobody listens on now.
fn free_address() -> String {
    let listener = TcpListener::bind((HOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address").to_string()
}

/// The template with its variables put in, as envsubst does it.
fn nginx(folder: &Path, address: &str, gateways: [&Gateway; 2]) -> Command {
    let [first, second] = gateways;
    let template = std::fs::read_to_string(file("nginx.conf.template")).expect("the template can be read");
    let config = template
        .replace("${LOAD_BALANCER_ADDRESS}", address)
        .replace("${GATEWAY_1_ADDRESS}", first.address())
        .replace("${GATEWAY_2_ADDRESS}", second.address())
        .replace("${NGINX_RUN_DIR}", &folder.display().to_string());
    let path = folder.join("nginx.conf");
    std::fs::write(&path, config).expect("a file can be written");
    let mut command = server("nginx");
    command.arg("-c").arg(path).args(["-g", "daemon off;"]);
    command
}

fn haproxy(address: &str, gateways: [&Gateway; 2]) -> Command {
    let mut command = server("haproxy");
    command.env("LOAD_BALANCER_ADDRESS", address);
    for (number, gateway) in (1..).zip(gateways) {
        command.env(format!("GATEWAY_{number}_ADDRESS"), gateway.address());
        command.env(format!("GATEWAY_{number}_ADMIN_PORT"), gateway.admin_port());
    }
    command.args(["-W", "-db", "-f"]).arg(file("haproxy.cfg"));
    command
}

/// A command for a server. Debian puts those into `/usr/sbin`, which is not in everybody's path.
fn server(name: &str) -> Command {
    let debian = Path::new("/usr/sbin").join(name);
    Command::new(if debian.is_file() { debian } else { PathBuf::from(name) })
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/load-balancer").join(name)
}
