//! A span around each request, so that every line which is logged on its behalf carries its `X-Request-Id`; and one for its trace.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use promcast_proto::topic::Key;
use promcast_runtime::trace::{self, Context, TRACEPARENT, TRACESTATE, spans};
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

/// The header with a request's name, from the client or made here.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that is taken from a client, in bytes. A UUID has 36.
const NAME_MAX: usize = 128;

/// Forgets a name that does not belong into a log: too long, or not plain text. It then gets one from here.
pub(super) async fn forget_bad_id(mut request: Request, next: Next) -> Response {
    if request.headers().get(REQUEST_ID).is_some_and(|name| !is_fit(name)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

fn is_fit(name: &HeaderValue) -> bool {
    let bytes = name.as_bytes();
    (1..=NAME_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// What a response says of itself to its trace: the topics of its stream, and the spans that sent what is here of them.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    /// The topics.
    pub(super) keys: Vec<Key>,
    /// Those that sent their newest updates; of a topic that nobody has streamed until now there is none.
    pub(super) updates: Vec<Context>,
}

/// Runs the rest of the way in a span. The query string is not in it: it may hold more than a log should.
///
/// The span of the trace ends with the head of the response, and so with the first byte of a stream: how long a stream lives is no
/// duration of a request.
pub(super) async fn enter(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let traced = spans::serve(request.method().as_str(), route, id);
    let lines = info_span!(
        "request",
        request.id = id,
        http.method = %request.method(),
        http.route = route.unwrap_or("none"),
        trace.id = Empty,
    );
    if let Some(context) = Context::of(&traced).filter(Context::is_sampled) {
        lines.record("trace.id", context.trace_id());
    }
    if let Some(caller) = caller(request.headers()).filter(|_| !traced.is_disabled()) {
        trace::link(&traced, &caller);
    }
    let response = next.run(request).instrument(lines).await;
    note(&traced, &response);
    response
}

/// The span of whoever asks, if they say.
fn caller(headers: &HeaderMap) -> Option<Context> {
    let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    Context::read(value(TRACEPARENT), value(TRACESTATE))
}

fn note(span: &Span, response: &Response) {
    if span.is_disabled() {
        return;
    }
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        spans::failed(span, status.as_str());
    }
    if let Some(Topics { keys, updates }) = response.extensions().get() {
        let topics: Vec<_> = keys.iter().map(ToString::to_string).collect();
        span.record("promcast.topics", topics.join(","));
        updates.iter().for_each(|update| trace::link(span, update));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_fill_or_forge_a_log_are_not_taken() {
        for good in ["abc-1", "0190d1c5-9b3e-7c62-8a53-0f3f2b6f5c11", &"a".repeat(NAME_MAX)] {
            assert!(is_fit(&HeaderValue::from_str(good).unwrap()), "{good}");
        }
        for bad in ["", "a b", "a\tb", &"a".repeat(NAME_MAX + 1)] {
            assert!(!is_fit(&HeaderValue::from_str(bad).unwrap()), "{bad}");
        }
        assert!(!is_fit(&HeaderValue::from_bytes(b"\xe4").unwrap()));
    }
}
