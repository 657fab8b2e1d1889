//! `healthcheck` of both programs, as a container runs it: the program's own configuration, exit code 0 or 1.

use e2e::nats::Nats;
use e2e::programs::{Gateway, Poller, run};
use e2e::upstream::Upstream;
use e2e::wait::{PATIENCE, until};

#[tokio::test]
async fn a_gateway_tells_itself_that_it_is_ready_and_then_that_it_is_gone() {
    let upstream = Upstream::of_one_sample().await;
    let url = upstream.url();
    let mut gateway = Gateway::start(&["--prometheus-url", &url]).await;
    let admin = gateway.admin_address().to_owned();
    let flags = ["--auth-mode", "none", "--prometheus-url", &url, "--admin-listen", &admin];
    for words in [&["healthcheck"][..], &["healthcheck", "ready"], &["healthcheck", "healthy"]] {
        let (code, output) = run("promcast-gateway", &[words, &flags].concat()).await;
        assert_eq!((code, output.as_str()), (Some(0), ""), "{words:?}");
    }
    gateway.process.kill().await;
    let (code, output) = run("promcast-gateway", &[&["healthcheck"], &flags[..]].concat()).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(&admin), "{output}");
}

#[tokio::test]
async fn a_poller_whose_bus_is_away_is_healthy_and_not_ready() {
    let mut nats = Nats::start().await;
    let url = nats.url().to_owned();
    let (code, output) = run("promcast-gateway", &["init", "--auth-mode", "none", "--bus-url", &url]).await;
    assert_eq!(code, Some(0), "{output}");
    let poller = Poller::start(&["--bus-url", &url, "--prometheus-url", "http://127.0.0.1:1"]).await;
    let admin = poller.admin_address().to_owned();
    let flags = ["--bus-url", &url, "--prometheus-url", "http://127.0.0.1:1", "--admin-listen", &admin];
    let asked =
        async |word: &str| run("promcast-poller", &[&["healthcheck", word], &flags[..]].concat()).await;
    nats.kill().await;
    let told = until("the poller says that it is not ready", PATIENCE, || async {
        let (code, output) = asked("ready").await;
        (code == Some(1)).then_some(output)
    })
    .await;
    assert!(told.contains("bus"), "{told}");
    assert_eq!(asked("healthy").await, (Some(0), String::new()));
}
