//! Clients that are not ours read the same: curl, a browser, Python and Node; and browsers resume by themselves.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use e2e::process::Process;
use e2e::programs::Gateway;
use e2e::stream::PATH;
use e2e::ticks;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::PATIENCE;
use promcast_proto::tick::Tick;
use serde_json::Value;
use tokio::process::Command;

/// Updates that each client reads.
const UPDATES: usize = 3;

const PARAMETERS: &str = "?query=up&interval=5";

/// Names that browsers have on the systems we know.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What a client printed of one event.
#[derive(Debug)]
struct Printed {
    event: String,
    id: String,
    data: String,
}

#[tokio::test]
async fn all_clients_read_the_same() {
    let upstream = Upstream::start(|_| tricky()).await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let url = gateway.url(&format!("{PATH}{PARAMETERS}"));
    let (curl, curl_h2, curl_gzip, curl_h2_gzip, node, python, browser) = tokio::join!(
        curl(&url, "--http1.1", &[]),
        curl(&url, "--http2-prior-knowledge", &[]),
        curl(&url, "--http1.1", &["--compressed"]),
        curl(&url, "--http2-prior-knowledge", &["--compressed"]),
        lines("eventsource.mjs", node("eventsource.mjs", &[&url])),
        lines("stream.py", python(&url)),
        lines("browser.mjs", browser(&gateway)),
    );
    let mut bytes = BTreeMap::<String, String>::new();
    for (client, events) in [
        ("curl", curl),
        ("curl over HTTP/2", curl_h2),
        ("curl with gzip", curl_gzip),
        ("curl with gzip over HTTP/2", curl_h2_gzip),
        ("node", node),
        ("python", python),
        ("browser", browser),
    ] {
        assert_eq!(events[0].event, "connected", "{client}: {events:?}");
        assert_eq!(events[0].id, "", "{client}: nothing has been delivered yet");
        let updates: Vec<_> = events.iter().filter(|one| one.event == "metric-update").collect();
        assert!(updates.len() >= UPDATES, "{client}: {events:?}");
        assert_unbroken(&updates);
        for update in updates {
            let known = bytes.entry(update.id.clone()).or_insert_with(|| update.data.clone());
            assert_eq!(*known, update.data, "{client} read tick {} differently", update.id);
        }
    }
}

#[tokio::test]
async fn a_browser_resumes_by_itself() {
    let upstream = Upstream::start(|_| tricky()).await;
    let gateway =
        Gateway::start(&["--prometheus-url", &upstream.url(), "--stream-max-lifetime", "10s"]).await;
    let url = gateway.url(&format!("{PATH}{PARAMETERS}"));
    let (node, browser) = tokio::join!(
        lines("eventsource.mjs", node("eventsource.mjs", &[&url, "6"])),
        lines("browser.mjs", browser_for(&gateway, "6")),
    );
    for (client, events) in [("node", node), ("browser", browser)] {
        let updates: Vec<_> = events.iter().filter(|one| one.event == "metric-update").collect();
        assert_eq!(updates.len(), 6, "{client}: {events:?}");
        assert_unbroken(&updates);
        let shutdown = events.iter().find(|one| one.event == "shutdown").expect("a lifetime of 10 s ends");
        assert_eq!(json(&shutdown.data)["code"], "max_lifetime", "{client}: {shutdown:?}");
        assert_eq!(json(&shutdown.data)["reconnect"], true, "{client}: {shutdown:?}");
        let outcomes: Vec<_> = events
            .iter()
            .filter(|one| one.event == "connected")
            .map(|one| json(&one.data)["subscriptions"][0]["resume"]["outcome"].clone())
            .collect();
        assert_eq!(outcomes[0], "live", "{client}: {outcomes:?}");
        assert!(outcomes.len() > 1, "{client} did not come back");
        assert!(outcomes[1..].iter().all(|outcome| outcome == "resumed"), "{client}: {outcomes:?}");
    }
}

#[tokio::test]
async fn a_browser_resumes_a_whole_dashboard_by_itself() {
    let upstream = Upstream::start(|_| tricky()).await;
    let gateway =
        Gateway::start(&["--prometheus-url", &upstream.url(), "--stream-max-lifetime", "10s"]).await;
    let path = format!("{PATH}?query=up&query=down&query=sum(up)&interval=5&interval=7&interval=300");
    let url = gateway.url(&path);
    let (node, browser) = tokio::join!(
        lines("eventsource.mjs", node("eventsource.mjs", &[&url, "12"])),
        lines("browser.mjs", browser_at(&gateway, &path, "12")),
    );
    for (client, events) in [("node", node), ("browser", browser)] {
        let hellos: Vec<_> =
            events.iter().filter(|one| one.event == "connected").map(|one| json(&one.data)).collect();
        assert!(hellos.len() > 1, "{client} did not come back");
        for (place, interval) in [5, 7, 300].into_iter().enumerate() {
            let subscription = &hellos[0]["subscriptions"][place];
            let topic = subscription["topic"].as_str().expect("a topic");
            let of_topic = |one: &&Printed| one.event == "metric-update" && json(&one.data)["topic"] == topic;
            let tick = |one: &Printed| json(&one.data)["tick"].as_i64().expect("a tick");
            let seen: Vec<_> =
                events.iter().filter(of_topic).map(|one| Tick::from_millis(tick(one))).collect();
            assert!(!seen.is_empty(), "{client}: {topic}");
            ticks::assert_unbroken(ticks::grid(topic, interval), &seen);
            for hello in &hellos[1..] {
                assert_eq!(
                    hello["subscriptions"][place]["resume"]["outcome"], "resumed",
                    "{client}: {hello}"
                );
            }
        }
    }
}

/// A result with what parsers trip over: line ends as JSON escapes, separators that JavaScript once took for line
/// ends, characters beyond the first plane, colons and spaces at the start.
fn tricky() -> Reply {
    let label = ": a\\n\\r\\n\\\"b\\\" data: \u{2028}\u{2029}\u{85} ünï 🦀 \\u0000";
    Reply::data(&format!(
        r#"{{"resultType":"vector","result":[{{"metric":{{"odd":"{label}"}},"value":[1764000000.007,"NaN"]}}]}}"#
    ))
}

fn assert_unbroken(updates: &[&Printed]) {
    let topic = json(&updates[0].data)["topic"].as_str().expect("a topic").to_owned();
    let seen: Vec<Tick> = updates.iter().map(|one| tick(&one.id)).collect();
    assert!(updates.iter().all(|one| json(&one.data)["tick"].as_i64() == one.id.parse().ok()), "{updates:?}");
    ticks::assert_unbroken(ticks::grid(&topic, 5), &seen);
}

fn tick(id: &str) -> Tick {
    match id.parse() {
        Ok(millis) => Tick::from_millis(millis),
        Err(_) => panic!("{id:?} is no tick"),
    }
}

fn json(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => panic!("{error} in {text:?}"),
    }
}

/// Runs a client to its end and reads the lines it prints.
async fn lines(name: &str, mut command: Command) -> Vec<Printed> {
    let mut process = Process::spawn(name, &mut command);
    let status = process.exit(3 * PATIENCE).await;
    let output = process.output();
    assert!(status.success(), "{name}: {status}: {output}");
    let printed = |line: &str| {
        let line = json(line);
        let text = |member: &str| line[member].as_str().unwrap_or_default().to_owned();
        Printed { event: text("event"), id: text("id"), data: text("data") }
    };
    output.lines().filter(|line| line.starts_with('{')).map(printed).collect()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn node(script: &str, arguments: &[&str]) -> Command {
    let folder = folder().join("clients/node");
    assert!(folder.join("node_modules").is_dir(), "run `npm ci` in tests/clients/node first");
    let mut command = Command::new("node");
    command.arg(folder.join(script)).args(arguments);
    if arguments.len() == 1 {
        command.arg(UPDATES.to_string());
    }
    command
}

fn browser(gateway: &Gateway) -> Command {
    browser_for(gateway, &UPDATES.to_string())
}

fn browser_for(gateway: &Gateway, updates: &str) -> Command {
    browser_at(gateway, &format!("{PATH}{PARAMETERS}"), updates)
}

fn browser_at(gateway: &Gateway, path: &str, updates: &str) -> Command {
    let there = |name: &str| Some(Path::new("/usr/bin").join(name)).filter(|path| path.exists());
    let browser: PathBuf =
        BROWSERS.into_iter().find_map(there).expect("run deploy/local/install.sh chromium first");
    node("browser.mjs", &[&browser.display().to_string(), &gateway.url("/"), path, updates])
}

fn python(url: &str) -> Command {
    let python = folder().join("../.build/venv/bin/python");
    assert!(python.exists(), "run `deploy/local/install.sh python` first");
    let mut command = Command::new(python);
    command.arg(folder().join("clients/stream.py")).args([url, &UPDATES.to_string()]);
    command
}

/// What curl received, read by the letter of the contract: nothing may stand in a stream that is not in it.
async fn curl(url: &str, version: &str, more: &[&str]) -> Vec<Printed> {
    let mut command = Command::new("curl");
    // Long enough for as many updates as the others read.
    command.args(["--silent", "--no-buffer", "--include", version, "--max-time", "18", url]).args(more);
    let mut process = Process::spawn("curl", &mut command);
    let status = process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(28), "curl ran until its time was over, and no shorter");
    let output = process.output();
    let (head, body) = output.split_once("\n\n").or_else(|| output.split_once("\r\n\r\n")).expect("a head");
    let head = head.to_ascii_lowercase();
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-cache",
        "x-accel-buffering: no",
        "x-request-id: ",
        "vary: accept-encoding",
    ] {
        assert!(head.contains(header), "{version}: no {header:?} in {head}");
    }
    assert_eq!(head.contains("content-encoding: gzip"), !more.is_empty(), "{head}");
    assert!(!head.contains("content-length"), "a stream has no length: {head}");
    assert!(version == "--http1.1" || !head.contains("connection:"), "HTTP/2 has no such header: {head}");
    body.split("\n\n").filter_map(block).collect()
}

/// One block: a comment, or fields each on one line and with one space after the colon.
fn block(text: &str) -> Option<Printed> {
    let mut printed = Printed { event: String::new(), id: String::new(), data: String::new() };
    for line in text.lines().filter(|line| !line.starts_with(':')) {
        let (field, value) = line.split_once(": ").unwrap_or((line, ""));
        match field {
            "event" => value.clone_into(&mut printed.event),
            "id" => value.clone_into(&mut printed.id),
            "data" => value.clone_into(&mut printed.data),
            "retry" => assert!(value.parse::<u32>().is_ok(), "{line:?}"),
            _ => panic!("{line:?} is no line of a stream: {text:?}"),
        }
    }
    (!printed.event.is_empty()).then_some(printed)
}
