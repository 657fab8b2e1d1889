//! The program itself: its address line, its pages, its exposition under `promtool`, its end.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running `dcgm-sim`, ended with the test.
struct Sim {
    process: Child,
    address: String,
}

impl Sim {
    fn start(flags: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dcgm-sim"))
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix("/metrics\n"));
        Self { address: address.unwrap_or_else(|| panic!("{line:?}")).to_owned(), process }
    }

    /// Head and body of a GET.
    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn metrics_of_each_dialect_pass_promtool() {
    for dialect in ["k8s", "bare", "mig"] {
        let sim = Sim::start(&["--dialect", dialect, "--profile", "xid", "--nodes", "2"]);
        let (head, body) = sim.get("/metrics");
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert_eq!(body.matches("# TYPE ").count(), 29, "{dialect}");
        assert_eq!(body.contains(",Hostname=\"gpu-worker-02\","), dialect == "bare");
        assert_eq!(body.contains(",GPU_I_PROFILE=\"3g.71gb\","), dialect == "mig");
        check_with_promtool(&body);
    }
}

/// NVIDIA's own names are not what Prometheus advises; any other complaint is ours.
const NVIDIAS_NAMES: [&str; 3] = [
    "counter metrics should have \"_total\" suffix",
    "label names should be written in 'snake_case' not 'camelCase'",
    "metric name should not include type 'counter'",
];

fn check_with_promtool(exposition: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs promtool on the PATH: `apt install prometheus`, or a release of Prometheus");
    promtool.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let ours: Vec<&str> =
        said.lines().filter(|line| !NVIDIAS_NAMES.iter().any(|lint| line.ends_with(lint))).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    assert!(said.contains("camelCase"), "promtool read nothing: {said}");
}

#[test]
fn other_pages() {
    let sim = Sim::start(&["--gpus", "1"]);
    assert!(sim.get("/").1.contains("/metrics"));
    assert!(sim.get("/nothing").0.starts_with("http/1.1 404"));
}

#[test]
fn sigterm_and_sigint_end_it_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut sim = Sim::start(&["--gpus", "1"]);
        let sent = Command::new("kill").args([signal, &sim.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(sim.process.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_taken_address_is_told() {
    let sim = Sim::start(&["--gpus", "1"]);
    let second =
        Command::new(env!("CARGO_BIN_EXE_dcgm-sim")).args(["--listen", &sim.address]).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && error.contains("choose another with --listen"), "{error}");
}
