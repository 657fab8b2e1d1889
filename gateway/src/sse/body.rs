//! A stream as the body of an HTTP response, for connections that the HTTP library writes: HTTP/2, TLS, HTTP/1.0.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep_until};

use super::Stream;
use crate::connections::Pressure;

/// The events of one connection, as a body.
pub struct Body {
    stream: Stream,
    pressure: Arc<Pressure>,
    /// Set anew only when it fires, or would fire too late: an event costs no timer.
    timer: Pin<Box<Sleep>>,
}

impl Body {
    /// A stream to a client, the way to whom is blocked while `pressure` says so.
    pub fn new(stream: Stream, pressure: Arc<Pressure>) -> Self {
        let timer = Box::pin(sleep_until(stream.deadline()));
        Self { stream, pressure, timer }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { stream, pressure, timer } = self.get_mut();
        stream.signal().register(cx.waker());
        if pressure.is_blocked(cx) {
            return Poll::Pending;
        }
        // The library asks again after each event, which should cost no look at clocks and topics.
        if stream.is_quiet() && timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        loop {
            let now = stream.now();
            if let Poll::Ready(piece) = stream.next(cx, now) {
                stream.count_delivered(now.wall);
                return Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.to_bare()))));
            }
            let deadline = stream.deadline();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(deadline);
        }
    }
}
