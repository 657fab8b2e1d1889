//! Where in a trace a message was sent, in its headers. Payloads do not know of it.

use async_nats::{HeaderMap, Message};

use crate::trace::{Context, TRACEPARENT, TRACESTATE};

/// Adds the span that the caller is in, if any.
pub(super) fn write(headers: &mut HeaderMap) {
    if let Some(context) = Context::current() {
        for (name, value) in context.headers() {
            headers.insert(name, value);
        }
    }
}

/// The span that sent a message, if it says.
pub(super) fn read(message: &Message) -> Option<Context> {
    let headers = message.headers.as_ref()?;
    let value = |name| headers.get(name).map(|value: &async_nats::HeaderValue| value.as_str());
    Context::read(value(TRACEPARENT), value(TRACESTATE))
}
