//! Hands a stream from its handler over to the connection: to a shard together with the socket, or as the body of its response.
//!
//! The layers around the handlers see an ordinary response, with no body, and put nothing around the stream. The stream itself goes
//! beside it, to the one place where the connection is at hand.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::http::header;
use axum::http::response::Parts;
use axum::response::Response;
use bytes::Bytes;
use parking_lot::Mutex;
use promcast_proto::tick::Tick;

use crate::sse::Stream;

/// The stream that goes with a response.
#[derive(Clone)]
struct Handed(Arc<Mutex<Option<Stream>>>);

/// Puts a stream beside the response that begins it.
pub(super) fn put(response: &mut Response, stream: Stream) {
    response.extensions_mut().insert(Handed(Arc::new(Mutex::new(Some(stream)))));
}

/// Takes the stream that goes with a response, if one does. The layers around the handlers saw an empty body, and said so.
pub(super) fn take(response: &mut Response) -> Option<Stream> {
    let handed = response.extensions_mut().remove::<Handed>()?;
    response.headers_mut().remove(header::CONTENT_LENGTH);
    handed.0.lock().take()
}

/// The head of a response whose body is chunks, as it stands on the wire (RFC 9112, 4 and 7.1).
pub(super) fn head(response: &Parts, now: Tick) -> Bytes {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(response.status.as_str().as_bytes());
    head.extend_from_slice(b" ");
    head.extend_from_slice(response.status.canonical_reason().unwrap_or_default().as_bytes());
    // The connection closes with the end of the stream.
    head.extend_from_slice(b"\r\ntransfer-encoding: chunked\r\nconnection: close\r\n");
    let since = Duration::from_millis(u64::try_from(now.millis()).unwrap_or_default());
    head.extend_from_slice(format!("date: {}\r\n", httpdate::fmt_http_date(UNIX_EPOCH + since)).as_bytes());
    for (name, value) in &response.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    Bytes::from(head)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn a_head_stands_on_the_wire_as_it_should() {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.headers_mut().append("x-a", HeaderValue::from_static("1"));
        response.headers_mut().append("x-a", HeaderValue::from_static("2"));
        let head = head(&response.into_parts().0, Tick::from_millis(784_111_777_999));
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-type: text/event-stream\r\nx-a: 1\r\nx-a: 2\r\n\r\n"
        );
    }
}
