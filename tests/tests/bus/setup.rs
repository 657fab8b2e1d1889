//! What must be there before the bus can be used, and who may do what: each lack is told in words.

use std::time::Duration;

use e2e::nats::Nats as Server;
use e2e::wait::{PATIENCE, until};
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use promcast_runtime::bus::nats::{self, Login, Nats, Options};
use promcast_runtime::bus::{Bus, Error, Limits};
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::rig::{
    address, connect, failure, history, init, is_in_trouble, is_up, options, publish, result, worker,
};

#[tokio::test]
async fn missing_streams_are_trouble_until_somebody_sets_them_up() {
    let server = Server::start().await;
    let bus = connect(&options(&server)).await;
    let trouble = is_in_trouble(&bus, "missing").await;
    assert_eq!(trouble, "stream RESULTS is missing: run `promcast-gateway init`");
    assert!(bus.history(&address(1), Tick::MIN).await.is_err(), "no stream is not an empty history");
    assert!(bus.publish(&Datasource::default(), &result(1, 5)).await.is_err());
    init(&server, &Limits::default()).await;
    assert_eq!(is_up(&bus).await, 1);
    assert!(history(&bus, 1).await.is_empty());
}

#[tokio::test]
async fn a_missing_consumer_is_trouble_for_who_needs_it() {
    let server = Server::start().await;
    nats::init(&options(&server), &Limits::default(), &[], 1).await.unwrap();
    let (gateway, poller) = (connect(&options(&server)).await, connect(&options(&server)).await);
    is_up(&gateway).await;
    let _worker = worker(&poller).await;
    let trouble = is_in_trouble(&poller, "consumer").await;
    assert_eq!(trouble, "consumer pollers-default of stream JOBS is missing: run `promcast-gateway init`");
    init(&server, &Limits::default()).await;
    is_up(&poller).await;
    assert!(gateway.state().borrow().is_up());
}

#[tokio::test]
async fn init_can_be_repeated_and_brings_changes() {
    let server = Server::start().await;
    init(&server, &Limits { history: 2, ..Limits::default() }).await;
    let bus = connect(&options(&server)).await;
    is_up(&bus).await;
    for tick in 1..=5 {
        publish(&bus, &result(1, tick)).await;
    }
    assert_eq!(history(&bus, 1).await, [4, 5]);
    for _ in 0..2 {
        let changed = Limits {
            history: 4,
            history_age: Duration::from_secs(100),
            job_age: Duration::from_secs(30),
            ack_wait: Duration::from_secs(4),
            deliveries: 5,
            in_flight: 7,
            ..Limits::default()
        };
        init(&server, &changed).await;
    }
    for tick in 6..=9 {
        publish(&bus, &result(1, tick)).await;
        publish(&bus, &failure(1, tick + 100)).await;
    }
    assert_eq!(history(&bus, 1).await, [6, 7, 8, 9, 106, 107, 108, 109]);
    assert!(bus.state().borrow().is_up());
}

/// As much of a server as a client needs to believe that it is one of another age.
async fn old_server() -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let info = r#"{"server_id":"OLD","version":"2.9.10","max_payload":1048576,"headers":true,"proto":1}"#;
                stream.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line.starts_with("PING") {
                        stream.write_all(b"PONG\r\n").await.unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    Options::new(vec![format!("nats://{address}").parse().unwrap()])
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let options = old_server().await;
    let error = nats::init(&options, &Limits::default(), &[], 1).await.unwrap_err();
    assert_eq!(error.to_string(), "server 2.9.10 is too old: 2.11 or newer is needed");
    let bus = connect(&options).await;
    let trouble = is_in_trouble(&bus, "too old").await;
    assert_eq!(trouble, "server 2.9.10 is too old: 2.11 or newer is needed");
    let refused = bus.publish(&Datasource::default(), &result(1, 5)).await;
    assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
}

const USERS: &str = r#"
authorization: {
  users: [
    {user: admin, password: s3cr3t-a}
    {user: viewer, password: s3cr3t-v, permissions: {publish: {deny: "in.>"}, subscribe: {deny: "out.>"}}}
  ]
}
"#;

fn login(server: &Server, user: &str, password: &str) -> Options {
    let login = Login { user: user.to_owned(), password: password.into() };
    Options { login: Some(login), ..options(server) }
}

fn faults(registry: &Registry, kind: &str) -> u64 {
    let families = registry.gather();
    let errors = families.iter().find(|family| family.name() == "promcast_bus_server_errors_total").unwrap();
    let of_kind = errors.get_metric().iter().find(|metric| metric.get_label()[0].value() == kind).unwrap();
    // A count of a few.
    format!("{:.0}", of_kind.get_counter().get_value()).parse().unwrap()
}

#[tokio::test]
async fn what_is_denied_is_counted() {
    let server = Server::start_with(USERS).await;
    nats::init(&login(&server, "admin", "s3cr3t-a"), &Limits::default(), &[], 1).await.unwrap();
    let registry = Registry::new();
    let viewer = login(&server, "viewer", "s3cr3t-v");
    let bus: std::sync::Arc<dyn Bus> =
        std::sync::Arc::new(Nats::connect(&viewer, &registry, &Tasks::default()).await.unwrap());
    is_up(&bus).await;
    let denied = bus.publish(&Datasource::default(), &result(1, 5)).await;
    assert!(matches!(denied, Err(Error::Failed { .. })), "{denied:?}");
    let _deaf = bus.subscribe(&address(1)).await.unwrap();
    for kind in ["publish_denied", "subscription_denied"] {
        until(kind, PATIENCE, || async { (faults(&registry, kind) == 1).then_some(()) }).await;
    }
    assert_eq!(faults(&registry, "other"), 0);
}

#[tokio::test]
async fn a_wrong_password_is_told_but_not_shown() {
    let server = Server::start_with(USERS).await;
    let wrong = login(&server, "admin", "hunter2");
    let error = nats::init(&wrong, &Limits::default(), &[], 1).await.unwrap_err().to_string();
    assert!(error.contains("authorization violation") && !error.contains("hunter2"), "{error}");
    let bus = connect(&wrong).await;
    let trouble = is_in_trouble(&bus, "authorization violation").await;
    assert!(trouble.contains(server.url()) && !trouble.contains("hunter2"), "{trouble}");
}

#[tokio::test]
async fn files_that_are_not_there_are_named() {
    let server = Server::start().await;
    let missing = Options { ca_file: Some("/nowhere/ca.pem".into()), ..options(&server) };
    let error = Nats::connect(&missing, &Registry::new(), &Tasks::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/ca.pem");
    let missing = Options { credentials_file: Some("/nowhere/me.creds".into()), ..options(&server) };
    let error = Nats::connect(&missing, &Registry::new(), &Tasks::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/me.creds");
}
