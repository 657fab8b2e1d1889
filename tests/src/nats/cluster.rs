//! Three real nats-servers with the files of `deploy/nats`: each can be killed, told to go, and started where it was.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;

use super::{HOST, binary};
use crate::http;
use crate::process::{Process, Signal};
use crate::wait::{PATIENCE, until};

/// How many there are.
pub const NODES: usize = 3;

/// How long the nodes may take to find each other, choose leaders and copy what one of them lacks.
const SETTLES: Duration = Duration::from_secs(60);

/// The roles of `deploy/nats/users.conf`.
const ROLES: [&str; 3] = ["init", "gateway", "poller"];

/// Three servers with a copy of each stream on each.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    folder: TempDir,
}

#[derive(Debug)]
struct Node {
    /// Nothing while it is ended.
    process: Option<Process>,
    client: Place,
    route: Place,
    monitor: Place,
}

/// An address that is this cluster's for as long as it lives, whether somebody listens there or not: all nodes must know
/// all routes before the first one starts, and who comes back comes back to its own.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    /// Bound, and never listens. Linux lets another socket that also reuses addresses, as servers' do, listen on this
    /// port, and gives it to nobody who asks for any port.
    _held: TcpSocket,
}

/// What of JetStream a leader is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// All of it: the leader that places streams.
    Meta,
    /// A stream.
    Stream(&'a str),
    /// A consumer of a stream.
    Consumer(&'a str, &'a str),
}

impl Cluster {
    /// Starts three with empty stores, and waits until they have a leader.
    ///
    /// # Panics
    /// Where nats-server is missing, too old, or does not start.
    pub async fn start() -> Self {
        let cluster = Self::start_unsettled().await;
        cluster.leader(Part::Meta).await;
        cluster
    }

    /// Starts three with empty stores; they may not have found each other yet.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub async fn start_unsettled() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for role in ROLES {
            std::fs::write(password_file(folder.path(), role), role).expect("a file can be written");
        }
        let nodes = (0..NODES).map(|_| Node::new()).collect();
        let mut cluster = Self { nodes, folder };
        for node in 0..NODES {
            cluster.restart(node).await;
        }
        cluster
    }

    /// The addresses of all, separated by commas.
    pub fn url(&self) -> String {
        let urls: Vec<_> = self.nodes.iter().map(|node| format!("nats://{}", node.client.address)).collect();
        urls.join(",")
    }

    /// The flags by which a program comes in as `role`.
    ///
    /// # Panics
    /// Where there is no such role.
    pub fn flags(&self, role: &str) -> Vec<String> {
        assert!(ROLES.contains(&role), "{role} is no role of users.conf");
        let password = password_file(self.folder.path(), role).display().to_string();
        let flags = [
            ("url", self.url()),
            ("user", role.to_owned()),
            ("password-file", password),
            ("inbox-prefix", format!("_INBOX_{role}")),
        ];
        flags.into_iter().flat_map(|(flag, value)| [format!("--bus-{flag}"), value]).collect()
    }

    /// The node that leads, once one does and the nodes that run agree on it.
    pub async fn leader(&self, part: Part<'_>) -> usize {
        until(&format!("a leader of {part:?}"), SETTLES, || self.agreed_leader(part)).await
    }

    /// Waits until every node runs, and holds all that the leaders hold.
    pub async fn settled(&self) {
        until("the nodes hold the same", SETTLES, || self.is_whole()).await;
    }

    /// SIGKILL to one.
    pub async fn kill(&mut self, node: usize) {
        self.end(node, Signal::KILL).await;
    }

    /// What `nats-server --signal ldm` does: one gives up its leaderships, tells its clients to go, and ends.
    pub async fn retire(&mut self, node: usize) {
        self.end(node, Signal::USR2).await;
    }

    /// SIGTERM to one: it ends at once, in order.
    pub async fn terminate(&mut self, node: usize) {
        self.end(node, Signal::TERM).await;
    }

    /// Starts one again that ended, with its store, at the same addresses.
    pub async fn restart(&mut self, node: usize) {
        let (number, name) = (node, name(node));
        let mut command = self.command(number).await;
        let node = &mut self.nodes[number];
        node.process = Some(Process::spawn(&name, &mut command));
        for place in [&node.client, &node.route, &node.monitor] {
            until(&format!("{name} listens on {}", place.address), PATIENCE, || async {
                TcpStream::connect(place.address).await.ok().map(drop)
            })
            .await;
        }
    }

    async fn end(&mut self, node: usize, signal: Signal) {
        let mut process = self.nodes[node].process.take().expect("a node that runs");
        process.signal(signal);
        process.exit(SETTLES).await;
    }

    async fn command(&self, number: usize) -> Command {
        let node = &self.nodes[number];
        let route = |node: &Node| format!("nats-route://route:route@{}", node.route.address);
        let routes: Vec<_> = self.nodes.iter().map(route).collect();
        let mut command = Command::new(binary().await);
        command.arg("--config").arg(config());
        for role in ROLES {
            command.env(format!("NATS_{}_PASSWORD", role.to_uppercase()), role);
        }
        for (port, place) in [("", &node.client), ("_ROUTE", &node.route), ("_HTTP", &node.monitor)] {
            command.env(format!("NATS{port}_PORT"), place.address.port().to_string());
        }
        command
            .env("NATS_SERVER_NAME", name(number))
            .env("NATS_HOST", HOST)
            .env("NATS_STORE_DIR", self.folder.path().join(name(number)))
            .env("NATS_ROUTES", Value::from(routes).to_string())
            .env("NATS_ROUTE_PASSWORD", "route");
        command
    }

    async fn is_whole(&self) -> Option<()> {
        self.agreed_leader(Part::Meta).await?;
        for (number, node) in self.nodes.iter().enumerate() {
            let healthy = node.get("/healthz").await?["status"] == "ok";
            let known = node.get("/jsz?consumers=true").await?;
            let streams = known["account_details"][0]["stream_detail"].as_array()?;
            let consumers =
                streams.iter().filter_map(|stream| stream["consumer_detail"].as_array()).flatten();
            if !healthy || !streams.iter().chain(consumers).all(|part| has_all_copies(part, &name(number))) {
                return None;
            }
        }
        Some(())
    }

    async fn agreed_leader(&self, part: Part<'_>) -> Option<usize> {
        let mut agreed = None;
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            let known = node.get("/jsz?consumers=true").await?;
            let leader = leader_of(&known, part)?;
            if agreed.get_or_insert_with(|| leader.clone()) != &leader {
                return None;
            }
        }
        agreed?.strip_prefix("nats-")?.parse().ok()
    }
}

impl Node {
    fn new() -> Self {
        Self { process: None, client: Place::new(), route: Place::new(), monitor: Place::new() }
    }

    /// What its monitoring says.
    async fn get(&self, path: &str) -> Option<Value> {
        let answer =
            http::client().get(format!("http://{}{path}", self.monitor.address)).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }
}

impl Place {
    fn new() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        held.set_reuseaddr(true).expect("addresses can be reused");
        let host: IpAddr = HOST.parse().expect("an address");
        held.bind(SocketAddr::new(host, 0)).expect("a free port of the loopback interface");
        Self { address: held.local_addr().expect("an address"), _held: held }
    }
}

fn name(number: usize) -> String {
    format!("nats-{number}")
}

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats/cluster.conf")
}

fn password_file(folder: &Path, role: &str) -> PathBuf {
    folder.join(format!("{role}.password"))
}

/// Who leads, as one node's `/jsz` tells it.
fn leader_of(known: &Value, part: Part<'_>) -> Option<String> {
    let streams = &known["account_details"][0]["stream_detail"];
    let cluster = match part {
        Part::Meta => &known["meta_cluster"],
        Part::Stream(stream) => &named(streams, stream)?["cluster"],
        Part::Consumer(stream, consumer) => {
            &named(&named(streams, stream)?["consumer_detail"], consumer)?["cluster"]
        }
    };
    cluster["leader"].as_str().filter(|leader| !leader.is_empty()).map(str::to_owned)
}

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|item| item["name"] == name)
}

/// Whether a stream or consumer has a leader; and where `teller` leads it, who alone knows, whether all copies are whole.
fn has_all_copies(part: &Value, teller: &str) -> bool {
    let cluster = &part["cluster"];
    let whole = |copy: &Value| copy["current"] == true && copy["offline"] != true;
    match cluster["leader"].as_str() {
        None | Some("") => false,
        Some(leader) if leader == teller => {
            cluster["replicas"].as_array().is_none_or(|copies| copies.iter().all(whole))
        }
        Some(_) => true,
    }
}
