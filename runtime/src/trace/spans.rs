//! The spans there are, with the names and attributes that OpenTelemetry's semantic conventions give them.
//!
//! Those of messages follow "Semantic conventions for messaging spans", those of requests "Semantic conventions for HTTP spans".

use promcast_proto::tick::Tick;
use promcast_proto::topic::{Datasource, Key};
use tracing::field::Empty;
use tracing::{Level, Span, span};

use super::{Context, TARGET, follow};

/// A message on the bus.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The system that carries it.
    pub system: &'static str,
    /// What it is, as its subject begins: `job`, `in`, `out`.
    pub channel: &'static str,
    /// Its datasource.
    pub datasource: &'a Datasource,
    /// Its topic.
    pub topic: Key,
    /// Its tick.
    pub tick: Tick,
}

/// A message is handed to the bus. Below `parent`, or the first of a trace where that is none.
pub fn send(parent: &Span, message: Message<'_>) -> Span {
    let Message { system, channel, datasource, topic, tick } = message;
    span!(
        target: TARGET,
        parent: parent.id(),
        Level::INFO,
        "send",
        "otel.name" = format!("send {channel}.{datasource}"),
        "otel.kind" = "producer",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "messaging.system" = system,
        "messaging.operation.type" = "send",
        "messaging.operation.name" = "send",
        "messaging.destination.template" = format!("{channel}.{datasource}.{{topic}}"),
        "messaging.message.id" = format!("{topic}:{tick}"),
        "promcast.topic" = %topic,
        "promcast.tick" = tick.millis(),
        "promcast.attempt" = Empty,
        "promcast.outcome" = Empty,
    )
}

/// A message that came from the bus is worked on: below the span that sent it, where it says which.
pub fn process(sender: Option<&Context>, message: Message<'_>) -> Span {
    let Message { system, channel, datasource, topic, tick } = message;
    let span = span!(
        target: TARGET,
        parent: None,
        Level::INFO,
        "process",
        "otel.name" = format!("process {channel}.{datasource}"),
        "otel.kind" = "consumer",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "messaging.system" = system,
        "messaging.operation.type" = "process",
        "messaging.operation.name" = "process",
        "messaging.destination.template" = format!("{channel}.{datasource}.{{topic}}"),
        "messaging.message.id" = format!("{topic}:{tick}"),
        "promcast.topic" = %topic,
        "promcast.tick" = tick.millis(),
        "promcast.lateness_ms" = Empty,
        "promcast.outcome" = Empty,
        "promcast.viewers" = Empty,
        "promcast.bytes" = Empty,
        "promcast.skipped" = Empty,
    );
    if let Some(sender) = sender {
        follow(&span, sender);
    }
    span
}

/// A server is asked, below `parent`. Nothing where there is no such span.
pub fn call(parent: &Span, method: &str, host: &str, port: u16, path: &str) -> Span {
    if parent.is_disabled() {
        return Span::none();
    }
    span!(
        target: TARGET,
        parent: parent.id(),
        Level::INFO,
        "call",
        "otel.name" = method,
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "http.request.method" = method,
        "http.response.status_code" = Empty,
        "server.address" = host,
        "server.port" = port,
        "url.template" = path,
    )
}

/// A request is answered. The first of a trace: whoever can reach the listener must not decide what is recorded.
pub fn serve(method: &str, route: Option<&str>, request_id: &str) -> Span {
    span!(
        target: TARGET,
        parent: None,
        Level::INFO,
        "serve",
        "otel.name" = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = Empty,
        "promcast.request_id" = request_id,
        "promcast.topics" = Empty,
    )
}

/// Notes that what a span is about failed, and by which code.
pub fn failed(span: &Span, code: &str) {
    span.record("otel.status_code", "ERROR").record("error.type", code);
}
