//! Traces, as a receiver gets them: one trace from the job that a gateway asks for to what each replica does with the update.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use e2e::http;
use e2e::nats::Nats;
use e2e::otlp::{Receiver, Span};
use e2e::process::{Process, Signal};
use e2e::programs::{Gateway, Poller, command, run, run_command};
use e2e::stream::{PATH, Stream};
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, until};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

/// The trace of a browser.
const CALLER: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");

/// Programs over a bus, with these variables.
struct Rig {
    upstream: Upstream,
    nats: Nats,
    poller: Poller,
    gateways: Vec<Gateway>,
}

impl Rig {
    async fn start(gateways: usize, variables: &[(&str, &str)]) -> Self {
        let (upstream, nats) = (Upstream::of_one_sample().await, Nats::start().await);
        let bus = ["--bus-url", nats.url()];
        let init = [&bus[..], &["--auth-mode", "none", "init"]].concat();
        assert_eq!(run("promcast-gateway", &init).await.0, Some(0));
        let admin = ["--admin-listen", "127.0.0.1:0"];
        let mut poller = command("promcast-poller");
        poller.args(bus).args(admin).args(["--prometheus-url", &upstream.url()]);
        let poller = Poller::of(poller.envs(variables.iter().copied())).await;
        let mut rig = Self { upstream, nats, poller, gateways: Vec::new() };
        for _ in 0..gateways {
            let mut gateway = command("promcast-gateway");
            gateway.args(bus_of(&rig.nats)).args(admin).args(["--http-listen", "127.0.0.1:0"]);
            gateway.args(["--auth-mode", "none", "--datasources", "default"]);
            rig.gateways.push(Gateway::of(gateway.envs(variables.iter().copied())).await);
        }
        rig
    }
}

fn bus_of(nats: &Nats) -> [&str; 2] {
    ["--bus-url", nats.url()]
}

/// A gateway with a poller inside, with these variables.
async fn alone(upstream: &Upstream, variables: &[(&str, &str)]) -> Gateway {
    let mut gateway = command("promcast-gateway");
    gateway.args(["--admin-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--auth-mode", "none"]);
    gateway.args(["--prometheus-url", &upstream.url()]);
    Gateway::of(gateway.envs(variables.iter().copied())).await
}

fn quickly(endpoint: &str) -> Vec<(&str, &str)> {
    vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")]
}

/// The one span below another.
fn below<'a>(spans: &'a [Span], parent: &Span) -> Option<&'a Span> {
    spans.iter().find(|span| span.trace == parent.trace && span.parent == parent.id)
}

fn assert_attributes(span: &Span, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(span.attribute(key), *value, "{key} of {span:?}");
    }
}

/// A job that was queued, what came of it in the poller, and what each replica did with the update.
struct Tree {
    job: Span,
    work: Span,
    query: Span,
    update: Span,
    arrivals: Vec<Span>,
}

/// The first whole tree, with so many replicas.
fn tree(spans: &[Span], replicas: usize) -> Option<Tree> {
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    named("send job.default").filter(|job| job.attribute("promcast.outcome") == "queued").find_map(|job| {
        let work = below(spans, job)?;
        let query = named("POST").find(|span| span.parent == work.id)?;
        let update = named("send in.default").find(|span| span.parent == work.id)?;
        let arrivals: Vec<_> =
            named("process out.default").filter(|span| span.parent == update.id).cloned().collect();
        let (job, work, query) = (job.clone(), work.clone(), query.clone());
        (arrivals.len() == replicas).then(|| Tree { job, work, query, update: update.clone(), arrivals })
    })
}

#[tokio::test]
async fn one_trace_leads_from_the_job_to_what_every_replica_does_with_the_update() {
    let receiver = Receiver::start().await;
    let rig = Rig::start(2, &quickly(&receiver.endpoint())).await;
    let asking = [("query", "up"), ("interval", "5"), ("trace", "1")];
    let mut streams =
        [Stream::with(&rig.gateways[0], &asking, None).await, Stream::open(&rig.gateways[1], "up", 5).await];
    let topic = streams[0].topic().to_owned();
    let Tree { job, work, query, update, arrivals } =
        receiver.find("a whole trace", |spans| tree(spans, 2)).await;

    let message = [("messaging.system", "nats"), ("promcast.topic", &topic)];
    assert_eq!((job.kind, job.service.as_str()), (SpanKind::Producer, "promcast-gateway"));
    assert_eq!(job.parent, "", "a job begins its trace");
    assert_attributes(&job, &message);
    assert_attributes(&job, &[("messaging.operation.type", "send"), ("promcast.attempt", "0")]);
    assert_attributes(&job, &[("messaging.destination.template", "job.default.{topic}")]);

    assert_eq!((work.kind, work.name.as_str()), (SpanKind::Consumer, "process job.default"));
    assert_eq!(work.service, "promcast-poller");
    assert_eq!(work.links, [(job.trace.clone(), job.id.clone())]);
    assert_attributes(&work, &message);
    assert_attributes(&work, &[("promcast.tick", &job.attribute("promcast.tick"))]);
    assert_attributes(&work, &[("promcast.outcome", "result"), ("messaging.operation.type", "process")]);

    assert_eq!(query.kind, SpanKind::Client);
    let port = rig.upstream.url().rsplit_once(':').unwrap().1.to_owned();
    assert_attributes(&query, &[("http.request.method", "POST"), ("http.response.status_code", "200")]);
    assert_attributes(&query, &[("server.address", "127.0.0.1"), ("server.port", &port)]);
    let told = format!("00-{}-{}-01", query.trace, query.id);
    assert!(rig.upstream.traces().contains(&Some(told)), "{:?}", rig.upstream.traces());

    assert_eq!((update.kind, update.service.as_str()), (SpanKind::Producer, "promcast-poller"));
    for arrival in &arrivals {
        assert_eq!((arrival.kind, arrival.service.as_str()), (SpanKind::Consumer, "promcast-gateway"));
        assert_eq!(arrival.links, [(update.trace.clone(), update.id.clone())]);
        assert_attributes(arrival, &message);
        assert_attributes(arrival, &[("promcast.viewers", "1"), ("promcast.skipped", "0")]);
        assert!(arrival.attribute("promcast.bytes").parse::<u64>().unwrap() > 50);
    }
    let told = format!("00-{}-{}-01", update.trace, update.id);
    let tick = job.attribute("promcast.tick");
    for (stream, expected) in streams.iter_mut().zip([Value::from(told), Value::Null]) {
        let mut event = stream.update().await;
        while event.tick().to_string() != tick {
            event = stream.update().await;
        }
        assert_eq!(event.data["traceparent"], expected, "{event:?}");
        assert_eq!(event.id.as_deref(), Some(tick.as_str()));
    }
    for span in [&work, &query, &update].into_iter().chain(&arrivals) {
        assert_eq!(span.trace, job.trace);
        assert!(!span.failed, "{span:?}");
    }
}

#[tokio::test]
async fn the_text_of_a_query_is_in_no_span_no_line_of_a_log_and_no_metric() {
    let receiver = Receiver::start().await;
    let rig = Rig::start(1, &quickly(&receiver.endpoint())).await;
    let gateway = &rig.gateways[0];
    let asked = http::get(&gateway.url("/api/v1/query?query=hushed_read")).await;
    assert_eq!(asked.status, 200, "{asked:?}");
    let mut stream = Stream::open(gateway, r#"hushed_name{of="nobody"}"#, 5).await;
    stream.update().await;
    receiver.find("a whole trace", |spans| tree(spans, 1)).await;
    let metrics = [gateway.admin("/metrics"), rig.poller.admin("/metrics")];
    let mut told = vec![format!("{:?}", receiver.spans())];
    told.extend([&gateway.process, &rig.poller.process].map(Process::output));
    for url in &metrics {
        told.push(http::get(url).await.body);
    }
    for text in told {
        assert!(!text.is_empty() && !text.contains("hushed"), "{text}");
    }
}

#[tokio::test]
async fn the_span_of_a_stream_ends_with_its_first_byte_and_names_its_topics() {
    let (receiver, upstream) = (Receiver::start().await, Upstream::of_one_sample().await);
    let gateway = alone(&upstream, &quickly(&receiver.endpoint())).await;
    let caller = format!("00-{}-{}-01", CALLER.0, CALLER.1);
    let request = gateway.http.get(gateway.url(PATH)).query(&[("query", "up")]);
    let request = request.header("traceparent", caller).header("x-request-id", "mine");
    let stream = Stream::try_send(request).await.unwrap();
    let find = |spans: &[Span]| spans.iter().find(|span| span.kind == SpanKind::Server).cloned();
    let span = receiver.find("the span of an open stream", find).await;
    assert_eq!(span.name, format!("GET {PATH}"));
    assert_attributes(&span, &[("http.route", PATH), ("http.response.status_code", "200")]);
    let topic = stream.topic().to_owned();
    assert_attributes(&span, &[("promcast.topics", &topic), ("promcast.request_id", "mine")]);
    assert_ne!(span.trace, CALLER.0, "a caller does not decide what is recorded");
    assert_eq!(span.links, [(CALLER.0.to_owned(), CALLER.1.to_owned())]);

    let logged = gateway.process.line("the stream in the log", opened).await;
    assert_eq!(logged, ("mine".to_owned(), span.trace.clone()));

    // Whoever comes later finds an update here, and is linked to what sent it.
    receiver.find("a whole trace", |spans| tree(spans, 1)).await;
    drop(Stream::open(&gateway, "up", 5).await);
    let find = |spans: &[Span]| {
        let mut requests = spans.iter().filter(|one| one.kind == SpanKind::Server && one.id != span.id);
        let later = requests.find(|one| one.attribute("promcast.topics") == topic).cloned()?;
        let sent = |one: &&Span| later.links == [(one.trace.clone(), one.id.clone())];
        Some(spans.iter().find(sent)?.name.clone())
    };
    assert_eq!(receiver.find("what the second stream links to", find).await, "send in.default");
}

/// The ids of the request and of the trace in the line of the log that says that a stream was opened.
fn opened(line: &str) -> Option<(String, String)> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["fields"]["message"] == "stream opened").then_some(())?;
    let text = |key: &str| line["span"][key].as_str().unwrap_or_default().to_owned();
    Some((text("request.id"), text("trace.id")))
}

#[tokio::test]
async fn an_upstream_that_fails_tick_after_tick_is_one_line_that_names_its_trace() {
    let (receiver, upstream) = (Receiver::start().await, Upstream::start(|_| Reply::body(503, "away")).await);
    let gateway = alone(&upstream, &quickly(&receiver.endpoint())).await;
    let mut stream = Stream::open(&gateway, "up", 5).await;
    for _ in 0..3 {
        stream.next("error").await;
    }
    let down = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let told = line["fields"]["message"].as_str()?.starts_with("the datasource is down");
        told.then(|| line["span"]["trace.id"].as_str().unwrap_or_default().to_owned())
    };
    let trace = gateway.process.line("a failure in the log", down).await;
    assert_eq!(gateway.process.output().lines().filter_map(down).count(), 1, "{}", gateway.process.output());
    let failed =
        |spans: &[Span]| spans.iter().find(|span| span.name == "POST" && span.trace == trace).cloned();
    assert!(receiver.find("the query of that trace", failed).await.failed);
}

#[tokio::test]
async fn spans_go_over_grpc_too_and_what_is_left_is_sent_at_the_end() {
    let (receiver, upstream) = (Receiver::start().await, Upstream::of_one_sample().await);
    let endpoint = receiver.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_SERVICE_NAME", "gateway-of-a-test"),
        // Nothing is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ];
    let mut gateway = alone(&upstream, &variables).await;
    Stream::open(&gateway, "up", 5).await.update().await;
    assert!(receiver.spans().is_empty());
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.exit(PATIENCE).await.success());
    let tree = tree(&receiver.spans(), 1).unwrap();
    for span in [&tree.job, &tree.work, &tree.query, &tree.update, &tree.arrivals[0]] {
        assert_eq!((span.service.as_str(), &span.trace), ("gateway-of-a-test", &tree.job.trace));
    }
    assert_attributes(&tree.update, &[("messaging.system", "promcast_embedded")]);
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_is_not_exported_and_the_upstream_is_told_so() {
    let (receiver, upstream) = (Receiver::start().await, Upstream::of_one_sample().await);
    let endpoint = receiver.endpoint();
    let mut variables = quickly(&endpoint);
    variables.push(("OTEL_TRACES_SAMPLER", "parentbased_always_off"));
    let mut gateway = alone(&upstream, &variables).await;
    Stream::open(&gateway, "up", 5).await.update().await;
    let told = upstream.traces().first().cloned().flatten().unwrap();
    assert!(told.ends_with("-00"), "{told}");
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.exit(PATIENCE).await.success());
    assert!(receiver.spans().is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_once_and_once_that_it_is_back() {
    let upstream = Upstream::of_one_sample().await;
    let endpoint = Receiver::start().await.endpoint();
    let mut variables = quickly(&endpoint);
    variables.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "200"));
    let gateway = alone(&upstream, &variables).await;
    let lines = |what: &str| gateway.process.output().lines().filter(|line| line.contains(what)).count();
    let failed = "traces cannot be exported";
    let requests = async || {
        for _ in 0..5 {
            http::get(&gateway.url("/")).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    requests().await;
    until("a failure in the log", PATIENCE, || async { (lines(failed) > 0).then_some(()) }).await;
    requests().await;
    let receiver = Receiver::at(endpoint.strip_prefix("http://").unwrap()).await;
    until("spans", PATIENCE, || async {
        http::get(&gateway.url("/")).await;
        (!receiver.spans().is_empty() && lines("traces are exported again") > 0).then_some(())
    })
    .await;
    assert_eq!((lines(failed), lines("traces are exported again")), (1, 1));
    assert_eq!(lines("opentelemetry"), 0, "the exporter itself says nothing:\n{}", gateway.process.output());
}

#[tokio::test]
async fn without_a_word_on_traces_nothing_connects_anywhere() {
    let rig = Rig::start(1, &[]).await;
    Stream::open(&rig.gateways[0], "up", 5).await.update().await;
    assert_eq!(rig.upstream.traces().first(), Some(&None), "no header goes to the upstream");
    for process in [&rig.gateways[0].process, &rig.poller.process] {
        let known = [rig.nats.address().to_owned(), rig.upstream.url().replace("http://", "")];
        let peers = peers(process);
        assert!(peers.contains(&known[0]), "NATS is not among {peers:?}");
        let strange: Vec<_> = peers.iter().filter(|peer| !known.contains(peer)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(threads(process).iter().all(|name| !name.starts_with("OpenTelemetry")));
    }
}

/// Where the connections of a process lead that it made itself: those from ports on which nobody listens.
fn peers(process: &Process) -> Vec<String> {
    let fds = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    let own: Vec<_> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", process.pid())).unwrap();
    let rows: Vec<Vec<_>> = table.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    let ours = |row: &&Vec<&str>| own.contains(&format!("socket:[{}]", row[9]));
    let listens = |local: &str| rows.iter().any(|row| row[3] == "0A" && row[1] == local);
    rows.iter()
        .filter(ours)
        .filter(|row| row[3] != "0A" && !listens(row[1]))
        .map(|row| read(row[2]))
        .collect()
}

/// An address as the kernel writes it: the address in the byte order of the machine, and the port, in hexadecimal digits.
fn read(address: &str) -> String {
    let (host, port) = address.split_once(':').unwrap();
    let [a, b, c, d] = u32::from_str_radix(host, 16).unwrap().to_le_bytes();
    format!("{a}.{b}.{c}.{d}:{}", u16::from_str_radix(port, 16).unwrap())
}

fn threads(process: &Process) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap();
    tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect()
}

#[tokio::test]
async fn variables_that_cannot_be_used_are_told_at_the_start() {
    for (name, value, told) in [
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER is `zipkin`; it can be `otlp` or `none`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url", "OTEL_EXPORTER_OTLP_ENDPOINT: invalid endpoint"),
    ] {
        let mut gateway = command("promcast-gateway");
        gateway.args(["--auth-mode", "none", "--prometheus-url", "http://127.0.0.1:9"]).env(name, value);
        let (code, output) = run_command("promcast-gateway", &mut gateway).await;
        assert_eq!(code, Some(1), "{output}");
        assert!(
            output.starts_with("error: traces cannot be exported: ") && output.contains(told),
            "{output}"
        );
    }
}
