//! How stand-ins answer: with JSON, whole or broken off.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, header};
use futures_util::{StreamExt, stream};

/// A response of JSON.
pub(crate) fn json(status: u16, body: Body) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .expect("a response")
}

/// The first half of `text`, then a connection that is gone. The pause lets the half out first.
pub(crate) fn broken_off(text: &str) -> Body {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let end = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(std::io::Error::other("broken off on purpose"))
    };
    Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(end)))
}
