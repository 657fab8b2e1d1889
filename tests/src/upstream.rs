//! A stand-in for Prometheus, for what the real one cannot be told to do: be slow, warn, refuse, break off.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::answer;

/// What to answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How long to take.
    pub delay: Duration,
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Whether to break off after half of the body.
    pub cut: bool,
}

impl Reply {
    /// A success with this `data`, at once.
    pub fn data(data: &str) -> Self {
        Self::body(200, &format!(r#"{{"status":"success","data":{data}}}"#))
    }

    /// A success of about 2 KB, at once: one value for each of eight GPUs.
    pub fn eight_gpus() -> Self {
        let series = |gpu: usize| {
            format!(
                r#"{{"metric":{{"__name__":"DCGM_FI_DEV_GPU_UTIL","DCGM_FI_DRIVER_VERSION":"580.95.05","UUID":"GPU-{gpu:08x}","device":"nvidia{gpu}","gpu":"{gpu}","hostname":"gpu-worker-01","instance":"gpu-worker-01:9400","job":"dcgm","modelName":"NVIDIA H200"}},"value":[1764000000.007,"{}"]}}"#,
                40 + gpu
            )
        };
        let result: Vec<_> = (0..8).map(series).collect();
        Self::data(&format!(r#"{{"resultType":"vector","result":[{}]}}"#, result.join(",")))
    }

    /// An answer with this status and body, at once.
    pub fn body(status: u16, body: &str) -> Self {
        Self { delay: Duration::ZERO, status, body: body.to_owned(), cut: false }
    }
}

type Answer = Arc<dyn Fn(&str, &str) -> Reply + Send + Sync>;

/// The header `traceparent` of each query.
type Traces = Arc<Mutex<Vec<Option<String>>>>;

/// A running stand-in; it ends with its handle.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    traces: Traces,
    _server: JoinSet<()>,
}

impl Upstream {
    /// Starts one that answers each query as `answer` says.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_timed(move |query, _| answer(query)).await
    }

    /// Starts one that answers each query as `answer` says, which is told the `time` too, as it was sent. A range query has none.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start_timed(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (asked, traces) = (Arc::<AtomicU64>::default(), Traces::default());
        let answer: Answer = Arc::new(answer);
        let router = Router::new()
            .route("/api/v1/query", get(query).post(query))
            .route("/api/v1/query_range", get(query).post(query))
            .with_state((answer, asked.clone(), Arc::clone(&traces)));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the stand-in serves") });
        Self { address, asked, traces, _server: server }
    }

    /// Starts one that answers each query with one sample.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn of_one_sample() -> Self {
        Self::start(|_| Reply::data(r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}"#))
            .await
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The header `traceparent` of each query that it was asked.
    ///
    /// # Panics
    /// Never: nobody panics with the lock.
    pub fn traces(&self) -> Vec<Option<String>> {
        self.traces.lock().expect("nobody panics with it").clone()
    }

    /// How many queries it was asked.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn query(
    State((say, asked, traces)): State<(Answer, Arc<AtomicU64>, Traces)>,
    RawQuery(line): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    asked.fetch_add(1, Ordering::Relaxed);
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    traces.lock().expect("nobody panics with it").push(trace);
    let form =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"form-urlencoded"));
    let parameters = if form { body.to_vec() } else { line.unwrap_or_default().into_bytes() };
    let parameter = |wanted: &str| {
        url::form_urlencoded::parse(&parameters)
            .find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
            .unwrap_or_default()
    };
    let reply = say(&parameter("query"), &parameter("time"));
    tokio::time::sleep(reply.delay).await;
    let body = if reply.cut { answer::broken_off(&reply.body) } else { Body::from(reply.body) };
    answer::json(reply.status, body)
}
