//! How the programs start and end: refusals that say all that is wrong, a drain that tells clients, exit codes.

use std::time::Duration;

use e2e::http;
use e2e::process::{Process, Signal};
use e2e::programs::{Gateway, command, listening, run, run_command};
use e2e::stream::Stream;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, until};

/// `EX_USAGE`.
const USAGE: Option<i32> = Some(64);

/// What a configuration needs at least.
const ENOUGH: [&str; 4] = ["--auth-mode", "none", "--prometheus-url", "http://127.0.0.1:1"];

async fn upstream() -> Upstream {
    Upstream::start(|_| Reply::data(r#"{"resultType":"vector","result":[]}"#)).await
}

#[tokio::test]
async fn a_drain_tells_each_client_and_ends_well() {
    let upstream = upstream().await;
    let mut gateway = Gateway::start(&["--prometheus-url", &upstream.url(), "--stream-drain", "3s"]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::open(&gateway, "up", 5).await);
    }
    gateway.process.signal(Signal::TERM);
    until("readiness says no", PATIENCE, || async { draining(&gateway).await }).await;
    let mut delays = Vec::new();
    for stream in &mut streams {
        let last = stream.rest().await.pop().expect("an event");
        assert_eq!((last.kind.as_str(), last.code()), ("shutdown", "draining"), "{}", last.text);
        assert_eq!(last.data["reconnect"], true, "{}", last.text);
        assert!(last.data["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", last.text);
        delays.push(last.retry.expect("a shutdown says when to come back"));
    }
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 1, "twenty clients are told to come back at once, after {delays:?} ms");
    let status = gateway.process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.process.output());
}

/// While it drains the replica may already be gone, which says no as well.
async fn draining(gateway: &Gateway) -> Option<()> {
    let answer = gateway.http.get(gateway.admin("/-/ready")).send().await;
    answer.map_or(true, |answer| answer.status() == 503).then_some(())
}

#[tokio::test]
async fn newcomers_are_turned_away_while_it_drains() {
    let upstream = upstream().await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url(), "--stream-drain", "10s"]).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(Stream::open(&gateway, "up", 5).await);
    }
    gateway.process.signal(Signal::TERM);
    until("readiness says no", PATIENCE, || async { draining(&gateway).await }).await;
    let answer = http::get(&gateway.url("/api/v1/metrics/stream?query=up")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["type"], "urn:promcast:problem:draining", "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let upstream = upstream().await;
    let mut gateway = Gateway::start(&["--prometheus-url", &upstream.url(), "--stream-drain", "60s"]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::open(&gateway, "up", 5).await);
    }
    gateway.process.signal(Signal::INT);
    until("readiness says no", PATIENCE, || async { draining(&gateway).await }).await;
    gateway.process.signal(Signal::TERM);
    let status = gateway.process.exit(Duration::from_secs(3)).await;
    assert!(status.code().is_some_and(|code| code != 0), "{status}: streams were cut off");
}

#[tokio::test]
async fn an_idle_program_ends_at_once() {
    let upstream = upstream().await;
    let mut gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    gateway.process.signal(Signal::TERM);
    assert_eq!(gateway.process.exit(Duration::from_secs(3)).await.code(), Some(0));
}

#[tokio::test]
async fn all_errors_of_a_configuration_are_told_at_once() {
    let wrong = [
        &ENOUGH[..],
        &[
            "--stream-max-connections",
            "many",
            "--stream-heartbeat",
            "soon",
            "--http-listen",
            "nowhere",
            "--log-format",
            "xml",
        ],
    ]
    .concat();
    let (code, output) = run("promcast-gateway", &wrong).await;
    assert_eq!(code, USAGE, "{output}");
    for name in ["max-connections", "heartbeat", "http-listen", "log-format"] {
        assert!(output.contains(name), "{name} is not told: {output}");
    }
    let (code, output) = run("promcast-poller", &["--admin-listen", "nowhere", "--log-format", "xml"]).await;
    assert_eq!(code, USAGE, "{output}");
    for name in ["admin-listen", "log-format"] {
        assert!(output.contains(name), "{name} is not told: {output}");
    }
}

#[tokio::test]
async fn what_is_not_an_option_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, "[auth]\nmode = \"none\"\n\n[stream]\nmax_conections = 5\n")
        .expect("a file can be written");
    let path = path.display().to_string();
    let (code, output) =
        run("promcast-gateway", &["--config", &path, "--prometheus-url", "http://127.0.0.1:1"]).await;
    assert_eq!(code, USAGE, "{output}");
    assert!(output.contains("max_conections"), "{output}");
    let (code, output) =
        run("promcast-gateway", &[&ENOUGH[..], &["--stream-max-conections", "5"]].concat()).await;
    assert_eq!(code, USAGE, "{output}");
    assert!(output.contains("max-conections"), "{output}");
    let mut misspelt = command("promcast-gateway");
    misspelt.args(ENOUGH).env("PROMCAST_STREAM_MAX_CONECTIONS", "5");
    let (code, output) = run_command("promcast-gateway", &mut misspelt).await;
    assert_eq!(code, USAGE, "{output}");
    assert!(output.contains("PROMCAST_STREAM_MAX_CONECTIONS"), "{output}");
}

#[tokio::test]
async fn a_configuration_can_be_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("gateway.toml");
    let text = "[auth]\nmode = \"none\"\n\n[datasource.default]\nurl = \"http://127.0.0.1:1\"\n\n[stream]\nlinger = \"1s\"\n";
    std::fs::write(&path, text).expect("a file can be written");
    let path = path.display().to_string();
    let (code, output) = run("promcast-gateway", &["--config", &path, "config", "check"]).await;
    assert_eq!(code, Some(0), "{output}");
    let (code, output) =
        run("promcast-gateway", &["--config", &path, "--stream-linger", "x", "config", "check"]).await;
    assert_eq!(code, USAGE, "{output}");
    let (code, output) = run("promcast-gateway", &["--config", "/nowhere.toml", "config", "check"]).await;
    assert_eq!(code, USAGE, "{output}");
    assert!(output.contains("/nowhere.toml"), "{output}");
    let (code, output) = run(
        "promcast-poller",
        &["--bus-url", "nats://127.0.0.1:4222", "--prometheus-url", "http://127.0.0.1:1", "config", "check"],
    )
    .await;
    assert_eq!(code, Some(0), "{output}");
}

#[tokio::test]
async fn flags_win_over_the_environment_over_the_file() {
    let upstream = upstream().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, "[auth]\nmode = \"none\"\n\n[stream]\nmax_connections = 1\n")
        .expect("a file can be written");
    for (variable, flag, places) in [(None, None, 1), (Some("2"), None, 2), (Some("2"), Some("3"), 3)] {
        let mut command = command("promcast-gateway");
        command.env("PROMCAST_CONFIG", &path).env("PROMCAST_PROMETHEUS_URL", upstream.url());
        command.args([
            "--log-format",
            "json",
            "--http-listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        variable.map(|value| command.env("PROMCAST_STREAM_MAX_CONNECTIONS", value));
        flag.map(|value| command.args(["--stream-max-connections", value]));
        let process = Process::spawn("promcast-gateway", &mut command);
        let url = format!("http://{}/api/v1/metrics/stream?query=up", listening(&process, "http").await);
        let client = http::client();
        let mut opened = Vec::new();
        while let Ok(stream) = Stream::try_send(client.get(&url)).await {
            opened.push(stream);
            assert!(opened.len() < 10, "no limit");
        }
        assert_eq!(opened.len(), places, "variable {variable:?}, flag {flag:?}");
    }
}

const SECRET: &str = "hunter2-is-not-to-be-seen";

#[tokio::test]
async fn a_url_with_a_password_is_refused_without_repeating_it() {
    let url = format!("http://viewer:{SECRET}@127.0.0.1:1");
    for program in ["promcast-gateway", "promcast-poller"] {
        let (code, output) =
            run(program, &["--prometheus-url", &url, "--bus-url", "nats://127.0.0.1:1"]).await;
        assert_eq!(code, USAGE, "{output}");
        assert!(output.contains("credentials"), "{program}: {output}");
        assert!(!output.contains(SECRET), "{program}: {output}");
    }
}

#[tokio::test]
async fn secrets_in_use_are_not_printed() {
    let upstream = upstream().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (token, path) = (folder.path().join("token"), folder.path().join("gateway.toml"));
    std::fs::write(&token, SECRET).expect("a file can be written");
    let text = format!("[datasource.default]\nurl = {:?}\nbearer_token_file = {token:?}\n", upstream.url());
    std::fs::write(&path, text).expect("a file can be written");
    let flags = ["--config", &path.display().to_string(), "--log-filter", "trace"];
    let gateway = Gateway::start(&flags).await;
    Stream::open(&gateway, "up", 5).await.update().await;
    assert!(gateway.process.output().contains("TRACE"), "everything is logged");
    assert!(!gateway.process.output().contains(SECRET), "the token is in the log");
}

#[tokio::test]
async fn who_may_come_in_must_be_said() {
    let (code, output) = run("promcast-gateway", &["--prometheus-url", "http://127.0.0.1:1"]).await;
    assert_eq!(code, USAGE, "{output}");
    assert!(output.contains("auth-mode"), "{output}");
    let open = [
        &ENOUGH[..],
        &["--http-listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json"],
    ]
    .concat();
    let (code, output) = run("promcast-gateway", &open).await;
    assert_eq!(code, USAGE, "{output}");
    assert!(output.contains("allow-anonymous-network"), "{output}");
    let twice = [&open[..], &["--auth-allow-anonymous-network"]].concat();
    let process = Process::spawn("promcast-gateway", command("promcast-gateway").args(&twice));
    listening(&process, "http").await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let upstream = upstream().await;
    let gateway = Gateway::start(&["--prometheus-url", &upstream.url()]).await;
    let (code, output) = run(
        "promcast-gateway",
        &[&ENOUGH[..], &["--http-listen", gateway.address(), "--admin-listen", "127.0.0.1:0"]].concat(),
    )
    .await;
    assert!(code.is_some_and(|code| code != 0), "{output}");
    assert!(output.contains(gateway.address()), "{output}");
}

#[tokio::test]
async fn help_is_no_error() {
    for program in ["promcast-gateway", "promcast-poller"] {
        let (code, output) = run(program, &["--help"]).await;
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains("--log-format"), "{output}");
    }
}
