//! A dashboard: many panels on one connection, and what each of them has seen.

use std::collections::BTreeMap;

use promcast_proto::tick::{Interval, Tick};
use serde_json::{Value, json};

use crate::http;
use crate::programs::Gateway;
use crate::stream::{Event, PATH, Stream};
use crate::ticks;

/// The pictures of NVIDIA's dashboard for dcgm-exporter, 12239 in Grafana's catalogue: each GPU over time, and two gauges. Over
/// scrapes that are some seconds old, so that an answer is the same whenever it is asked for.
pub const NVIDIA: [&str; 8] = [
    r#"DCGM_FI_DEV_GPU_TEMP{instance=~".+",gpu=~"0|1"} offset 10s"#,
    r#"avg(DCGM_FI_DEV_GPU_TEMP{instance=~".+",gpu=~"0|1"} offset 10s)"#,
    r#"DCGM_FI_DEV_POWER_USAGE{instance=~".+",gpu=~"0|1"} offset 10s"#,
    r#"sum(DCGM_FI_DEV_POWER_USAGE{instance=~".+",gpu=~"0|1"} offset 10s)"#,
    r#"1e6 * DCGM_FI_DEV_SM_CLOCK{instance=~".+",gpu=~"0|1"} offset 10s"#,
    r#"DCGM_FI_DEV_GPU_UTIL{instance=~".+",gpu=~"0|1"} offset 10s"#,
    r#"DCGM_FI_DEV_FB_USED{instance=~".+",gpu=~"0|1"} offset 10s"#,
    r#"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{instance=~".+",gpu=~"0|1"} offset 10s"#,
];

/// What OpenShift AI shows to those who train and serve models: the use of a fleet and of each model of GPU, whose pods have them,
/// and the past of one GPU, which an instant query over a subquery gives as a matrix.
pub const OPENSHIFT_AI: [&str; 12] = [
    "100 * avg(avg_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE[30s] offset 10s))",
    "100 * sum(DCGM_FI_DEV_FB_USED offset 10s) / sum(DCGM_FI_DEV_FB_USED offset 10s + DCGM_FI_DEV_FB_FREE offset 10s)",
    "count by (modelName) (DCGM_FI_PROF_GR_ENGINE_ACTIVE offset 10s)",
    r#"count by (modelName) (DCGM_FI_PROF_GR_ENGINE_ACTIVE{exported_pod!=""} offset 10s)"#,
    "100 * avg by (modelName) (avg_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE[30s] offset 10s))",
    "100 * avg by (modelName) (DCGM_FI_DEV_FB_USED offset 10s / (DCGM_FI_DEV_FB_USED offset 10s + DCGM_FI_DEV_FB_FREE offset 10s))",
    r#"count(group by (UUID, GPU_I_ID) (DCGM_FI_PROF_GR_ENGINE_ACTIVE{exported_pod=~".+"} offset 10s)) or vector(0)"#,
    "sum(max by (UUID) (DCGM_FI_DEV_POWER_USAGE offset 10s))",
    r#"sum by (exported_namespace, exported_pod, UUID) (DCGM_FI_PROF_GR_ENGINE_ACTIVE{exported_pod=~".+"} offset 10s)"#,
    "topk(3, DCGM_FI_DEV_GPU_UTIL offset 10s)",
    "count(DCGM_FI_DEV_GPU_TEMP offset 10s > 83) or vector(0)",
    r#"avg(DCGM_FI_DEV_GPU_TEMP{gpu="0"})[1m:10s] offset 10s"#,
];

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Its name.
    pub id: String,
    /// What it shows.
    pub query: String,
    /// How often, in seconds.
    pub interval: u16,
}

/// All panels at these intervals, one after the other.
pub fn panels(intervals: &[u16]) -> Vec<Panel> {
    let panel = |((place, query), interval): ((usize, &&str), &u16)| Panel {
        id: format!("panel-{place}"),
        query: (*query).to_owned(),
        interval: *interval,
    };
    NVIDIA.iter().chain(&OPENSHIFT_AI).enumerate().zip(intervals.iter().cycle()).map(panel).collect()
}

/// The parameters of a stream with these panels, as a browser's own client has them in its URL.
pub fn parameters(panels: &[Panel]) -> Vec<(&'static str, String)> {
    let queries = panels.iter().map(|panel| ("query", panel.query.clone()));
    queries.chain(panels.iter().map(|panel| ("interval", panel.interval.to_string()))).collect()
}

/// Opens a stream of these panels.
pub async fn open(gateway: &Gateway, panels: &[Panel], last_event_id: Option<&str>) -> Stream {
    let parameters = parameters(panels);
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Stream::with(gateway, &parameters, last_event_id).await
}

/// Sends a change of a connection to any gateway.
pub async fn change(gateway: &Gateway, connection: &str, add: &[Panel], remove: &[&str]) -> http::Answer {
    change_as(gateway, None, connection, add, remove).await
}

/// Likewise, with a token.
pub async fn change_as(
    gateway: &Gateway,
    token: Option<&str>,
    connection: &str,
    add: &[Panel],
    remove: &[&str],
) -> http::Answer {
    let add: Vec<_> = add
        .iter()
        .map(|panel| json!({"id": panel.id, "query": panel.query, "interval": panel.interval}))
        .collect();
    let body = json!({"add": add, "remove": remove}).to_string();
    let mut request = gateway.http.patch(gateway.url(&format!("{PATH}/{connection}")));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    http::send(request.header("Content-Type", "application/json").body(body)).await
}

/// What each panel has seen, over any number of connections one after the other.
#[derive(Debug, Default)]
pub struct Journal {
    intervals: BTreeMap<String, Interval>,
    events: BTreeMap<String, Vec<Event>>,
    /// The last id of the connection that is read.
    pub last_id: Option<String>,
}

impl Journal {
    /// Takes note of what a list of subscriptions says.
    ///
    /// # Panics
    /// Where it is not such a list.
    pub fn subscribed(&mut self, subscriptions: &Value) {
        for subscription in subscriptions.as_array().expect("subscriptions") {
            let topic = subscription["topic"].as_str().expect("a topic").to_owned();
            let seconds = subscription["interval"].as_u64().and_then(|secs| u16::try_from(secs).ok());
            let interval = Interval::from_secs(seconds.expect("an interval")).expect("an interval");
            self.intervals.insert(topic, interval);
        }
    }

    /// Reads a stream until `enough` says so.
    ///
    /// # Panics
    /// Where something comes that is neither an update nor the error of a tick.
    pub async fn read(&mut self, stream: &mut Stream, mut enough: impl FnMut(&Self) -> bool) {
        self.subscribed(&stream.connected.data["subscriptions"]);
        while !enough(self) {
            let event = stream.next_within(crate::wait::PATIENCE).await.expect("the stream goes on");
            self.note(event);
        }
    }

    /// Takes note of an event.
    ///
    /// # Panics
    /// Where it is neither an update nor the error of a tick.
    pub fn note(&mut self, event: Event) {
        assert!(matches!(event.kind.as_str(), "metric-update" | "error"), "{event:?}");
        let topic = event.data["topic"].as_str().expect("a topic").to_owned();
        self.last_id = event.id.clone();
        self.events.entry(topic).or_default().push(event);
    }

    /// What a topic has seen.
    pub fn of(&self, topic: &str) -> &[Event] {
        self.events.get(topic).map(Vec::as_slice).unwrap_or_default()
    }

    /// The topics.
    pub fn topics(&self) -> impl Iterator<Item = (&str, Interval)> {
        self.intervals.iter().map(|(topic, interval)| (topic.as_str(), *interval))
    }

    /// Whether each topic of at most this interval has so many events.
    pub fn has(&self, count: usize, longest: u16) -> bool {
        self.topics()
            .filter(|(_, interval)| interval.secs() <= longest)
            .all(|(topic, _)| self.of(topic).len() >= count)
    }

    /// Fails unless each topic has seen each of its ticks once, in order.
    ///
    /// # Panics
    /// With the first topic that has not.
    pub fn assert_unbroken(&self) {
        for (topic, interval) in self.topics() {
            let ticks = ticks::of(self.of(topic));
            assert!(!ticks.is_empty(), "{topic} has seen nothing");
            ticks::assert_unbroken(ticks::grid(topic, interval.secs()), &ticks);
        }
    }

    /// The last tick that was seen of a topic.
    pub fn last(&self, topic: &str) -> Option<Tick> {
        self.of(topic).last().map(Event::tick)
    }
}
