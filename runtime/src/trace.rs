//! Traces: where in a trace something happens, told across processes as W3C Trace Context says.
//!
//! Spans are made by [`spans`], all with the target [`TARGET`], which the log never takes. Where no traces are exported
//! nobody takes it, and then a span is not made at all: its fields are not even computed.
//!
//! A span ends when its last handle is dropped. So it is passed by hand, and entered around a call alone that starts no task:
//! what is started in a span keeps it.

use std::collections::HashMap;

use opentelemetry::Context as Remote;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub mod spans;

/// The target of all spans that are exported, and of nothing else.
pub const TARGET: &str = "promcast::trace";

/// The header that names the trace, the span in it, and whether it is recorded (W3C Trace Context, 3.2).
pub const TRACEPARENT: &str = "traceparent";

/// The header with what vendors add (W3C Trace Context, 3.3).
pub const TRACESTATE: &str = "tracestate";

/// Where in a trace a message was sent: what its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    traceparent: String,
    tracestate: String,
}

impl Context {
    /// From the values of the two headers. Nothing where they name no trace.
    pub fn read(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        let context = Self {
            traceparent: traceparent?.to_owned(),
            tracestate: tracestate.unwrap_or_default().to_owned(),
        };
        context.remote().span().span_context().is_valid().then_some(context)
    }

    /// Of a span; nothing where it does not exist.
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
        Some(Self {
            traceparent: headers.remove(TRACEPARENT)?,
            tracestate: headers.remove(TRACESTATE).unwrap_or_default(),
        })
    }

    /// Of the span that the caller is in.
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// The headers to send: their names, and their values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let state = (!self.tracestate.is_empty()).then_some((TRACESTATE, self.tracestate.as_str()));
        std::iter::once((TRACEPARENT, self.traceparent.as_str())).chain(state)
    }

    /// The first header: version, trace, span and flags.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The trace, in 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.traceparent.split('-').nth(1).unwrap_or_default()
    }

    /// Whether the trace is recorded, as far as its sender knows.
    pub fn is_sampled(&self) -> bool {
        self.remote().span().span_context().is_sampled()
    }

    fn remote(&self) -> Remote {
        let headers: HashMap<_, _> =
            self.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        TraceContextPropagator::new().extract_with_context(&Remote::new(), &headers)
    }
}

/// Puts a span that was just made below another of which only this is known. It is linked to it too, as OpenTelemetry's
/// conventions for messages ask.
pub fn follow(span: &Span, parent: &Context) {
    if !span.is_disabled() {
        let parent = parent.remote();
        span.add_link(parent.span().span_context().clone());
        // Refused where nobody takes the span, or it has begun: then it stays where it is.
        drop(span.set_parent(parent));
    }
}

/// A span for the log, so that what is logged in it names the trace. Unlike others it may be entered for long.
pub fn lines(of: &Span) -> Span {
    match Context::of(of) {
        Some(context) if context.is_sampled() => info_span!("trace", trace.id = context.trace_id()),
        Some(_) | None => Span::none(),
    }
}

/// Says that a span has to do with another one, of another trace perhaps.
pub fn link(span: &Span, to: &Context) {
    if !span.is_disabled() {
        span.add_link(to.remote().span().span_context().clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_sent_on_as_it_was() {
        let context = Context::read(Some(PARENT), Some("a=1,b=2")).unwrap();
        let headers: Vec<_> = context.headers().collect();
        assert_eq!(headers, [(TRACEPARENT, PARENT), (TRACESTATE, "a=1,b=2")]);
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.is_sampled());
        assert_eq!(Context::read(Some(PARENT), None).unwrap().headers().count(), 1);
    }

    #[test]
    fn headers_that_name_no_trace_are_none() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in [None, Some(""), Some("01"), Some(zero), Some("00-xyz-b7ad6b7169203331-01")] {
            assert_eq!(Context::read(bad, Some("a=1")), None, "{bad:?}");
        }
    }

    #[test]
    fn without_an_exporter_there_are_no_spans() {
        let span = spans::serve("GET", Some("/"), "1");
        assert!(span.is_disabled());
        assert_eq!(Context::of(&span), None);
        assert_eq!(Context::current(), None);
    }
}
