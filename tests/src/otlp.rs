//! A receiver of traces that speaks OTLP, over HTTP and over gRPC, and keeps what it is sent.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::routing::post;
use http_body::Frame;
use http_body_util::StreamBody;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{Span as Sent, span::SpanKind};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::wait::until;

/// Bytes before a message in gRPC: whether it is compressed, and its length.
const GRPC_PREFIX: usize = 5;

/// How long spans may take to get here: a tick of the shortest interval, and as long again for what is around it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A span as it was received, its ids in hexadecimal digits.
#[derive(Clone, Debug)]
pub struct Span {
    /// The program that it is of.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its trace.
    pub trace: String,
    /// Itself.
    pub id: String,
    /// The span above it, or nothing.
    pub parent: String,
    /// The spans it is linked to: trace and span.
    pub links: Vec<(String, String)>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// When it began, in nanoseconds since the epoch.
    pub begin: u64,
    /// When it ended, likewise.
    pub end: u64,
    attributes: Vec<KeyValue>,
}

impl Span {
    fn new(service: &str, sent: Sent) -> Self {
        Self {
            service: service.to_owned(),
            kind: sent.kind(),
            trace: hex(&sent.trace_id),
            id: hex(&sent.span_id),
            parent: hex(&sent.parent_span_id),
            links: sent.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            failed: sent.status.is_some_and(|status| status.code == 2),
            begin: sent.start_time_unix_nano,
            end: sent.end_time_unix_nano,
            name: sent.name,
            attributes: sent.attributes,
        }
    }

    /// An attribute in words, or nothing.
    pub fn attribute(&self, key: &str) -> String {
        value(&self.attributes, key)
    }
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// A running receiver; it ends with its handle.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    spans: Spans,
    _server: JoinSet<()>,
}

impl Receiver {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// Starts one at this address.
    ///
    /// # Panics
    /// Where it is taken.
    pub async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let spans = Spans::default();
        let router = Router::new()
            .route("/v1/traces", post(http))
            .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(grpc))
            .with_state(Arc::clone(&spans));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the receiver serves") });
        Self { address, spans, _server: server }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    ///
    /// # Panics
    /// Never: nobody panics with the lock.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("nobody panics with it").clone()
    }

    /// What `find` makes of the spans, as soon as it makes something of them.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn find<T>(&self, what: &str, find: impl Fn(&[Span]) -> Option<T>) -> T {
        until(what, PATIENCE, || async { find(&self.spans()) }).await
    }
}

async fn http(State(spans): State<Spans>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    keep(&spans, &body);
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    Response::builder()
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .body(Body::from(answer))
        .expect("an answer")
}

/// One message each way, and the status in the trailers.
async fn grpc(State(spans): State<Spans>, body: Bytes) -> Response<Body> {
    keep(&spans, body.get(GRPC_PREFIX..).expect("a message"));
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from(0))]);
    let frames = [Frame::data(Bytes::from_static(&[0; GRPC_PREFIX])), Frame::trailers(trailers)];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    Response::builder()
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
        .expect("an answer")
}

fn keep(spans: &Spans, message: &[u8]) {
    let request = ExportTraceServiceRequest::decode(message).expect("OTLP");
    let mut spans = spans.lock().expect("nobody panics with it");
    for group in request.resource_spans {
        let service = value(&group.resource.unwrap_or_default().attributes, "service.name");
        let sent = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(sent.map(|sent| Span::new(&service, sent)));
    }
}

fn value(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()) {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text.clone(),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => number.to_string(),
        Some(AnyValue { value: Some(Value::BoolValue(truth)) }) => truth.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}
