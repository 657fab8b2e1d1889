//! The span of a call, and what the upstream is told of it. The query is no part of it: it may hold more than a trace should.

use promcast_runtime::trace::{Context, spans};
use reqwest::RequestBuilder;
use tracing::Span;
use url::Url;

use super::Reply;
use super::call::{Call, Method};
use super::classify::Failed;

/// Statuses from here on are errors to a client ("Semantic conventions for HTTP spans", Status).
const ERRORS: u16 = 400;

/// The span of a call, below `parent`; nothing where there is none.
pub(super) fn begin(parent: &Span, call: &Call, url: &Url) -> Span {
    let method = match call.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    spans::call(parent, method, host, port, &call.path)
}

/// Names the span in the headers of the request.
pub(super) fn carry(request: RequestBuilder, span: &Span) -> RequestBuilder {
    let Some(context) = Context::of(span) else { return request };
    context.headers().fold(request, |request, (name, value)| request.header(name, value))
}

/// Notes what came of it.
pub(super) fn end(span: &Span, reply: &Result<Reply, Failed>) {
    match reply {
        Ok(reply) => {
            span.record("http.response.status_code", reply.status);
            if reply.status >= ERRORS {
                spans::failed(span, &reply.status.to_string());
            }
        }
        Err(failed) => spans::failed(span, failed.failure.code.as_str()),
    }
}
