//! What is asked outside the ticks, over a real bus: the answer is Prometheus's own, whichever poller is there to give it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use e2e::http;
use e2e::nats::Nats as Server;
use e2e::process::Signal;
use e2e::programs::{self, Poller, sum};
use e2e::prometheus::Prometheus;
use e2e::upstream::{Reply, Upstream};
use e2e::wait::{PATIENCE, now, until, within};
use promcast_proto::ask::{Answer, Ask, Question};
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use promcast_runtime::bus::nats::{Nats, Options};
use promcast_runtime::bus::{Bus, State};
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;
use serde_json::Value;

/// A bus, seen as a gateway sees it, and what is needed for pollers on it.
struct Rig {
    bus: Arc<dyn Bus>,
    server: Server,
    upstream: String,
}

impl Rig {
    async fn start(upstream: String) -> Self {
        let server = Server::start_with("http: \"127.0.0.2:-1\"").await;
        let init = ["--auth-mode", "none", "--bus-url", server.url(), "init"];
        let (code, output) = programs::run("promcast-gateway", &init).await;
        assert_eq!(code, Some(0), "init: {output}");
        let options = Options::new(vec![server.url().parse().unwrap()]);
        let bus = Nats::connect(&options, &Registry::new(), &Tasks::default()).await.unwrap();
        let mut state = bus.state();
        within("the bus is up", PATIENCE, state.wait_for(State::is_up)).await.unwrap();
        Self { bus: Arc::new(bus), server, upstream }
    }

    /// A poller that has begun to listen: its subscription is the only one to be added.
    async fn poller(&self) -> Poller {
        let before = self.listeners().await;
        let poller =
            Poller::start(&["--bus-url", self.server.url(), "--prometheus-url", &self.upstream]).await;
        until("the poller listens", PATIENCE, || async { (self.listeners().await > before).then_some(()) })
            .await;
        poller
    }

    /// How many pollers are subscribed, by the server's own account.
    async fn listeners(&self) -> usize {
        let url = format!("{}/connz?subs=1", self.server.monitoring());
        let connections = http::get(&url).await.json();
        let subscriptions = |connection: &Value| connection["subscriptions_list"].as_array().cloned();
        let all = connections["connections"].as_array().unwrap().iter().filter_map(subscriptions).flatten();
        all.filter(|subject| subject == "ask.default").count()
    }

    async fn ask(&self, question: Question) -> Value {
        let ask = Ask { datasource: Datasource::default(), timeout_ms: 10_000, question };
        match self.bus.consult(&ask).await.unwrap() {
            Answer::Result(body) => serde_json::from_slice(&body.unpack(1 << 20).unwrap()).unwrap(),
            Answer::Failure(failure) => panic!("{failure:?}"),
        }
    }
}

#[tokio::test]
async fn answers_are_those_of_prometheus() {
    let prometheus = Prometheus::start(&[]).await;
    let (from, to) = (now().plus_millis(-60_000), now());
    prometheus.write("e2e_seconds", &[("gpu", "0")], from, to).await;
    prometheus.write("e2e_other", &[("host", "a")], from, to).await;
    prometheus.has("e2e_seconds").await;
    let rig = Rig::start(prometheus.url()).await;
    let _poller = rig.poller().await;

    let (start, end, limit) = (Some(from), Some(to), Some(10));
    let matchers = vec!["e2e_seconds".to_owned()];
    let (first, last) = (from.as_seconds(), to.as_seconds());
    let selection = format!("match[]=e2e_seconds&start={first}&end={last}");
    for (question, path) in [
        (
            Question::Range { query: "e2e_seconds".to_owned(), start: from, end: to, step_ms: 5_000 },
            format!("query_range?query=e2e_seconds&start={first}&end={last}&step=5"),
        ),
        (
            Question::Instant { query: "e2e_seconds".to_owned(), time: to },
            format!("query?query=e2e_seconds&time={last}"),
        ),
        (Question::Labels { matchers: matchers.clone(), start, end, limit }, format!("labels?{selection}")),
        (
            Question::LabelValues { name: "gpu".to_owned(), matchers: matchers.clone(), start, end, limit },
            format!("label/gpu/values?{selection}"),
        ),
        (Question::Series { matchers, start, end, limit }, format!("series?{selection}")),
        (Question::Metadata { metric: None, limit, limit_per_metric: None }, "metadata".to_owned()),
        (Question::BuildInfo, "status/buildinfo".to_owned()),
    ] {
        let expected = http::get(&format!("{}/api/v1/{path}", prometheus.url())).await.json();
        assert_eq!(expected["status"], "success", "{expected}");
        assert_eq!(rig.ask(question).await, expected, "{path}");
    }
}

/// Two pollers over an upstream that takes its time, and one ask; the poller that works on it meets `fate`.
async fn another_answers_when(fate: Signal) {
    let slow =
        || Reply { delay: Duration::from_secs(3), ..Reply::data(r#"{"resultType":"vector","result":[]}"#) };
    let upstream = Upstream::start(move |_| slow()).await;
    let rig = Rig::start(upstream.url()).await;
    let pollers = [rig.poller().await, rig.poller().await];
    let question = Question::Instant { query: "up".to_owned(), time: Tick::MIN };
    let strike = async {
        let busy = until("a poller works on it", PATIENCE, || async {
            for poller in &pollers {
                let exposition = http::get(&poller.admin("/metrics")).await.body;
                if sum(&exposition, "promcast_poller_asks_in_flight") > 0.0 {
                    return Some(poller);
                }
            }
            None
        });
        busy.await.process.signal(fate);
    };
    let (answer, ()) = tokio::join!(rig.ask(question), strike);
    assert_eq!(answer["data"]["resultType"], "vector");
}

#[tokio::test]
async fn where_the_poller_dies_that_works_on_it_another_answers() {
    another_answers_when(Signal::KILL).await;
}

#[tokio::test]
async fn where_the_poller_freezes_that_works_on_it_another_answers() {
    another_answers_when(Signal::STOP).await;
}
