//! The formats on real streams: what a compact stream folds to is what a plain one says, on any replica and from any begin.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use e2e::dashboard::{self, Panel, panels};
use e2e::stack::{Bus, Promcast, Stack};
use e2e::stream::{Event, Stream};
use e2e::upstream::{Reply, Upstream};
use e2e::wait::PATIENCE;
use serde_json::{Map, Value, json};

/// Updates in the plain form, by topic and tick.
type Seen = BTreeMap<(String, i64), Value>;

/// A client of compact streams: the rules of the documentation, and nothing else.
#[derive(Default)]
struct Client {
    schemas: BTreeMap<String, Value>,
    /// How many schemas came.
    schemas_seen: usize,
    seen: Seen,
}

impl Client {
    fn hear(&mut self, event: &Event) {
        let topic = event.data["topic"].as_str().expect("a topic").to_owned();
        if event.kind == "schema" {
            assert_eq!(event.id, None, "a schema is no update: {event:?}");
            self.schemas_seen += 1;
            self.schemas.insert(topic, event.data.clone());
            return;
        }
        assert_eq!(event.kind, "metric-update", "{event:?}");
        let update =
            if event.data.get("data").is_some() { event.data.clone() } else { self.fold(&topic, event) };
        assert!(
            self.seen.insert((topic, event.tick().millis()), update).is_none(),
            "a tick came twice: {event:?}"
        );
    }

    fn fold(&self, topic: &str, event: &Event) -> Value {
        let mut update = event.data.as_object().expect("an object").clone();
        let mut take = |name: &str| update.remove(name);
        let (name, time) = (take("schema").expect("a schema"), take("time").expect("a time"));
        let (values, order) = (take("values").expect("values"), take("order"));
        let schema = self.schemas.get(topic).expect("a schema that came before");
        assert_eq!(schema["schema"], name, "the schema is not the last that came");
        let one = |(place, value): (usize, &Value)| {
            let at = order
                .as_ref()
                .map_or(Some(place), |order| order[place].as_u64().and_then(|at| usize::try_from(at).ok()));
            let kind = if value.is_string() { "value" } else { "histogram" };
            let mut one = Map::new();
            one.insert("metric".to_owned(), schema["series"][at.expect("a place")].clone());
            one.insert(kind.to_owned(), json!([time, value]));
            Value::from(one)
        };
        let result: Vec<_> = values.as_array().expect("values").iter().enumerate().map(one).collect();
        update.insert("data".to_owned(), json!({"resultType": "vector", "result": result}));
        Value::from(update)
    }
}

fn in_format(panels: &[Panel], format: &str) -> Vec<(String, String)> {
    let parameters = dashboard::parameters(panels).into_iter().map(|(name, value)| (name.to_owned(), value));
    parameters.chain([("format".to_owned(), format.to_owned())]).collect()
}

async fn open(gateway: &e2e::programs::Gateway, panels: &[Panel], format: &str, id: Option<&str>) -> Stream {
    let parameters = in_format(panels, format);
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let stream = Stream::with(gateway, &parameters, id).await;
    assert_eq!(stream.connected.data["format"], format);
    stream
}

async fn plain(stream: &mut Stream, updates: usize) -> Seen {
    let mut seen = Seen::new();
    while seen.len() < updates {
        let event = stream.update().await;
        let topic = event.data["topic"].as_str().expect("a topic").to_owned();
        seen.insert((topic, event.tick().millis()), event.data);
    }
    seen
}

/// Fails unless each tick that both have seen is the same to both; gives how many those are.
fn assert_same(folded: &Seen, plain: &Seen) -> usize {
    let both: Vec<_> = folded.iter().filter_map(|(at, update)| Some((at, update, plain.get(at)?))).collect();
    for (at, folded, plain) in &both {
        assert_eq!(folded, plain, "at {at:?}");
    }
    both.len()
}

#[tokio::test]
async fn compact_panels_fold_to_the_plain_ones_also_after_a_change_of_replica() {
    let mut stack = Stack::start(Bus::Nats, &[]).await;
    stack.promcast.add_gateway().await;
    stack.prometheus.has("DCGM_FI_DEV_GPU_UTIL offset 10s").await;
    let panels = panels(&[5]);
    let mut witness = open(&stack.promcast.gateways[0], &panels, "prometheus", None).await;
    let mut compact = open(&stack.promcast.gateways[0], &panels, "compact", None).await;
    let mut client = Client::default();
    let mut last_id = None;
    while client.seen.len() < 40 {
        let event = compact.next_within(PATIENCE).await.expect("the stream goes on");
        last_id = event.id.clone().or(last_id);
        client.hear(&event);
    }
    let first = client.schemas_seen;
    drop(compact);
    let mut compact = open(&stack.promcast.gateways[1], &panels, "compact", last_id.as_deref()).await;
    client.schemas.clear();
    while client.seen.len() < 80 {
        client.hear(&compact.next_within(PATIENCE).await.expect("the stream goes on"));
    }
    assert!(client.schemas_seen > first, "another connection begins with its schemas");
    let seen = plain(&mut witness, 80).await;
    assert!(assert_same(&client.seen, &seen) >= 60);
}

#[tokio::test]
async fn a_schema_comes_when_the_series_change_and_only_then() {
    // By the tick: two series, the same in another order, one more, and two again.
    let upstream = Upstream::start_timed(|_, time| {
        let seconds: u64 = time.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("a time");
        let one = |gpu: u8| format!(r#"{{"metric":{{"gpu":"{gpu}"}},"value":[{time},"{gpu}.5"]}}"#);
        let gpus: &[u8] = match seconds / 5 % 4 {
            0 | 3 => &[0, 1],
            1 => &[1, 0],
            _ => &[0, 1, 2],
        };
        let result = gpus.iter().map(|gpu| one(*gpu)).collect::<Vec<_>>().join(",");
        Reply::data(&format!(r#"{{"resultType":"vector","result":[{result}]}}"#))
    })
    .await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let panels = [Panel { id: String::new(), query: "up".to_owned(), interval: 5 }];
    let mut witness = open(promcast.gateway(), &panels, "prometheus", None).await;
    let mut compact = open(promcast.gateway(), &panels, "compact", None).await;
    let mut client = Client::default();
    let mut changes = 0;
    let mut last: Option<Vec<Value>> = None;
    while client.seen.len() < 6 {
        client.hear(&compact.next_within(PATIENCE).await.expect("the stream goes on"));
        let Some((_, update)) = client.seen.last_key_value() else { continue };
        let series =
            update["data"]["result"].as_array().expect("a result").iter().map(|one| one["metric"].clone());
        let mut series: Vec<_> = series.collect();
        series.sort_by_cached_key(Value::to_string);
        if last.as_ref() != Some(&series) {
            changes += 1;
            last = Some(series);
        }
    }
    assert_eq!(client.schemas_seen, changes);
    assert!((2..=5).contains(&changes), "{changes}");
    let seen = plain(&mut witness, 6).await;
    assert_eq!(assert_same(&client.seen, &seen), 6);
}

#[tokio::test]
async fn an_unknown_format_is_refused_by_name() {
    let upstream = Upstream::of_one_sample().await;
    let promcast = Promcast::start(Bus::Embedded, &upstream.url(), &[]).await;
    let gateway = promcast.gateway();
    let request =
        gateway.http.get(gateway.url(e2e::stream::PATH)).query(&[("query", "up"), ("format", "csv")]);
    let answer = Stream::try_send(request).await.expect_err("a refusal");
    assert!(answer.status == 400 && answer.body.contains("compact"), "{}", answer.body);
}
