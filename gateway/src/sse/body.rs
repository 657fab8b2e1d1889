//! A stream as the body of an HTTP response, for connections that the HTTP library writes: HTTP/2, TLS, HTTP/1.0.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep_until};

use super::{Stream, Turns};
use crate::connections::Pressure;
use crate::hub::Note;

/// The events of one connection, as a body.
pub struct Body {
    stream: Stream,
    driver: Driver,
    /// Of what the stream waits for besides its topics.
    waker: Waker,
    /// Set anew only when it fires, or would fire too late: an event costs no timer.
    timer: Pin<Box<Sleep>>,
    /// Of the timer.
    alarm: Waker,
}

/// Who asks for what comes next.
enum Driver {
    /// A task of its own, while the way to the client is not blocked.
    Task(Arc<Pressure>),
    /// That of its connection. Whether it sits there yet.
    Turns(Turns, bool),
}

impl Body {
    /// A stream to a client, the way to whom is blocked while `pressure` says so.
    pub fn new(stream: Stream, pressure: Arc<Pressure>) -> Self {
        Self::driven(stream, Driver::Task(pressure))
    }

    /// A stream that has its turns with others.
    pub fn in_turns(stream: Stream, turns: Turns) -> Self {
        Self::driven(stream, Driver::Turns(turns, false))
    }

    fn driven(stream: Stream, driver: Driver) -> Self {
        let (signal, timer) = (stream.signal(), Box::pin(sleep_until(stream.deadline())));
        Self { waker: Waker::from(signal.clone()), alarm: signal.waker(Note::Alarm), stream, driver, timer }
    }

    /// Whether it may speak now. If not, or if it has nothing to say, it is called.
    fn is_driven(&mut self, cx: &Context<'_>) -> bool {
        let signal = self.stream.signal();
        match &mut self.driver {
            Driver::Task(pressure) => {
                signal.register(cx.waker());
                !pressure.is_blocked(cx)
            }
            Driver::Turns(turns, sits) => {
                if !std::mem::replace(sits, true) {
                    turns.sit(signal);
                }
                signal.visit_in_all();
                true
            }
        }
    }

    /// The next piece.
    fn next(&mut self) -> Poll<Option<Bytes>> {
        let Self { stream, waker, timer, alarm, .. } = self;
        // The library asks again after each event, which should cost no look at clocks and topics.
        if stream.is_quiet() {
            return Poll::Pending;
        }
        loop {
            let now = stream.now();
            if let Poll::Ready(piece) = stream.next(&mut Context::from_waker(waker), now) {
                stream.count_delivered(now.wall);
                return Poll::Ready(piece.map(|piece| piece.to_bare()));
            }
            let deadline = stream.deadline();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            stream.signal().take_note(Note::Alarm);
            if timer.as_mut().poll(&mut Context::from_waker(alarm)).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if !this.is_driven(cx) {
            return Poll::Pending;
        }
        let next = this.next();
        if let (Poll::Pending, Driver::Turns(turns, _)) = (&next, &this.driver) {
            turns.rest();
        }
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
