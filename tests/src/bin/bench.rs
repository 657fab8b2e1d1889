//! `bench [GATEWAY]`: what it costs to fan one query out, beside a bare loop over sockets as the limit, in one run.
//!
//! The gateway streams a stand-in upstream to N clients every 5 s. Half an interval later a process that does nothing
//! but write the same bytes to as many sockets does so. Both are watched over the same minute by the same clients.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use e2e::process::Process;
use e2e::programs::{Gateway, binary};
use e2e::stream::{PATH, Stream};
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{clock_reaches, now};
use promcast_proto::tick::{Grid, Interval, Phase, Tick};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Clients in each round.
const ROUNDS: [usize; 3] = [1, 100, 1000];

/// Ticks that a round is measured over.
const TICKS: i64 = 12;

/// What begins each event that counts.
const MARK: &[u8] = b"event: metric-update\n";

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, phase, file] = arguments.as_slice()
        && mode == "--bare-loop"
    {
        return bare_loop(phase.parse().expect("a phase in milliseconds"), file).await;
    }
    assert!(
        arguments.is_empty(),
        "bench takes no arguments; it measures the gateway built in its own profile"
    );
    println!(
        "| clients | server | CPU, ms per 1,000 events | memory, KiB per client | delay p50, ms | delay p99, ms |"
    );
    println!("|---:|---|---:|---:|---:|---:|");
    for clients in ROUNDS {
        round(clients).await;
    }
    println!(
        "\nOf {}, over {TICKS} ticks of 5 s. CPU and delay of the gateway include the evaluation.",
        profile()
    );
}

fn profile() -> String {
    binary("promcast-gateway").parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}

async fn round(clients: usize) {
    let upstream = Upstream::start(|_| Reply::eight_gpus()).await;
    let flags =
        ["--stream-max-connections", "2000", "--stream-open-rate", "100000", "--stream-open-burst", "100000"];
    let gateway = Gateway::start(&[&["--prometheus-url", &upstream.url()], &flags[..]].concat()).await;
    let mut probe = Stream::open(&gateway, "up", 5).await;
    let update = probe.update().await;
    let ours = ticks::grid(probe.topic(), 5);
    let theirs = shifted(ours);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let event = format!("event: metric-update\ndata: {}\nid: {}\n\n", update.text, update.tick());
    std::fs::write(file.path(), format!("{:x}\r\n{event}\r\n", event.len())).expect("a file can be written");
    let mut command = Command::new("/proc/self/exe");
    let phase = theirs.at_or_before(now()).millis().rem_euclid(5_000).to_string();
    command.args(["--bare-loop", &phase]).arg(file.path());
    let bare = Process::spawn("the bare loop", &mut command);
    let address =
        bare.line("its address", |line| line.strip_prefix("listening on ").map(str::to_owned)).await;

    let (before_ours, before_theirs) = (gateway.process.resident_bytes(), bare.resident_bytes());
    drop(probe);
    let (fans, loops) = (
        Audience::gather(gateway.address(), clients, ours).await,
        Audience::gather(&address, clients, theirs).await,
    );
    // A quarter of an interval after a tick nobody is at work.
    let start = ours.step(ours.next_after(now()), 1).plus_millis(1_250);
    clock_reaches(start).await;
    let (cpu_ours, cpu_theirs) = (gateway.process.processor_time(), bare.processor_time());
    fans.forget();
    loops.forget();
    clock_reaches(start.plus_millis(TICKS * 5_000)).await;
    let (used_ours, used_theirs) =
        (gateway.process.processor_time() - cpu_ours, bare.processor_time() - cpu_theirs);
    row(clients, "gateway", &fans, used_ours, gateway.process.resident_bytes().saturating_sub(before_ours));
    row(clients, "bare loop", &loops, used_theirs, bare.resident_bytes().saturating_sub(before_theirs));
}

fn row(clients: usize, server: &str, audience: &Audience, used: Duration, grown: u64) {
    let mut delays = audience.delays.lock().unwrap_or_else(PoisonError::into_inner).clone();
    delays.sort_unstable();
    let expected = clients * usize::try_from(TICKS).expect("a small number");
    assert_eq!(delays.len(), expected, "events of the {server}");
    let at = |percent: usize| delays[(delays.len() * percent / 100).min(delays.len() - 1)];
    // Memory of one or few connections drowns in what the allocator does.
    let memory =
        if clients < 100 { "–".to_owned() } else { format!("{:.1}", per(grown, clients) / 1024.0) };
    let cpu = used.as_secs_f64() * 1e6 / f64::from(u32::try_from(delays.len()).expect("few events"));
    println!("| {clients} | {server} | {cpu:.1} | {memory} | {} | {} |", at(50), at(99));
}

fn per(total: u64, count: usize) -> f64 {
    let whole = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    whole(total) / whole(count as u64)
}

/// The same interval, half of it later.
fn shifted(grid: Grid) -> Grid {
    let phase = (grid.at_or_before(now()).millis() + 2_500).rem_euclid(5_000);
    every_five_seconds(u64::try_from(phase).expect("a phase is not negative"))
}

fn every_five_seconds(phase: u64) -> Grid {
    Grid::new(Phase::spread(phase), Interval::from_secs(5).expect("an interval of the contract"))
}

/// Clients that read and note when.
struct Audience {
    delays: Arc<Mutex<Vec<i64>>>,
    _readers: JoinSet<()>,
}

impl Audience {
    async fn gather(address: &str, clients: usize, grid: Grid) -> Self {
        let delays = Arc::<Mutex<Vec<i64>>>::default();
        let mut readers = JoinSet::new();
        for _ in 0..clients {
            let mut socket = TcpStream::connect(address).await.expect("a connection");
            let request = format!("GET {PATH}?query=up&interval=5 HTTP/1.1\r\nHost: {address}\r\n\r\n");
            socket.write_all(request.as_bytes()).await.expect("a request can be sent");
            readers.spawn(listen(socket, grid, delays.clone()));
        }
        Self { delays, _readers: readers }
    }

    fn forget(&self) {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn listen(mut socket: TcpStream, grid: Grid, delays: Arc<Mutex<Vec<i64>>>) {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        let at: Tick = now();
        kept.extend_from_slice(&buffer[..read]);
        let marks = kept.windows(MARK.len()).filter(|window| *window == MARK).count();
        let delay = at.since(grid.at_or_before(at));
        delays.lock().unwrap_or_else(PoisonError::into_inner).extend(std::iter::repeat_n(delay, marks));
        // A mark may be cut in two.
        kept.drain(..kept.len().saturating_sub(MARK.len() - 1));
    }
}

/// The limit: one task, one loop, one write for each socket.
async fn bare_loop(phase: u64, file: &str) {
    let event = std::fs::read(file).expect("the event");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on {}", listener.local_addr().expect("a bound listener has an address"));
    let grid = every_five_seconds(phase);
    let mut sockets: Vec<TcpStream> = Vec::new();
    let mut next = grid.next_after(now());
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut socket, _) = accepted.expect("a connection");
                socket.set_nodelay(true).expect("a socket option");
                socket.write_all(HEAD).await.expect("a client takes the head");
                sockets.push(socket);
            }
            () = clock_reaches(next) => {
                for socket in &sockets {
                    let written = socket.try_write(&event).unwrap_or_default();
                    assert_eq!(written, event.len(), "the clients keep up");
                }
                next = grid.step(next, 1);
            }
        }
    }
}
