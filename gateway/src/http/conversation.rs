//! HTTP/1.1 and HTTP/2 on one connection, until the client leaves, or its socket is handed over to a shard.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::response::Parts;
use axum::http::{HeaderValue, Method, Request, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use super::client::Peer;
use super::content::Content;
use super::gathered::{Buffers, gather};
use super::handover;
use super::socket::Watched;
use super::together::{Newcomers, Together};
use crate::connections::Pressure;
use crate::shard::{Shards, Taken};
use crate::sse::{self, Stream, Turns};

/// How long a client may take to send the head of a request, its first one from the connection on.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// From one HTTP/2 ping to the next, and from one TCP keep-alive to the next: what finds a client that is gone.
pub(super) const PING: Duration = Duration::from_secs(30);

/// hyper's own buffer: room for the largest head that we answer with a problem document, and some.
const BUFFER: usize = 128 * 1024;

/// How long a connection that is made during a drain stays open for its first request.
const NEWCOMER: Duration = Duration::from_secs(1);

/// What HTTP/2 begins with, and no method does (RFC 9113, 3.4).
const PREFACE: &[u8; 4] = b"PRI ";

/// What is needed to answer on one connection.
pub(super) struct Conversation {
    answers: Answers,
    tasks: Tasks,
    /// It was made while the replica drains: it gets a moment to ask, so as to be told.
    newcomer: bool,
    began: Instant,
}

/// Answers requests. Cheap to clone.
#[derive(Clone)]
struct Answers {
    router: Router,
    peer: SocketAddr,
    pressure: Arc<Pressure>,
    asked: CancellationToken,
}

impl Answers {
    /// The answer without its stream, and that one where it begins one.
    async fn answer(self, request: Request<Incoming>) -> (Response, Option<Stream>) {
        self.asked.cancel();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(self.peer));
        let mut response = match self.router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let stream = handover::take(&mut response);
        (response, stream)
    }

    /// HTTP/1, where the stream is the body.
    async fn answer_with_body(self, request: Request<Incoming>) -> Result<Response<Content>, Infallible> {
        let (pressure, head_only) = (self.pressure.clone(), request.method() == Method::HEAD);
        let (mut response, stream) = self.answer(request).await;
        let Some(stream) = stream.filter(|_| !head_only) else { return Ok(response.map(Content::Whole)) };
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        Ok(response.map(|_| Content::Stream(sse::Body::new(stream, pressure))))
    }

    /// HTTP/2, where the streams of a connection have their turns. They share its socket, so that one says nothing about the others.
    async fn answer_in_turns(
        self,
        request: Request<Incoming>,
        turns: Turns,
    ) -> Result<Response<Content>, Infallible> {
        let head_only = request.method() == Method::HEAD;
        let (response, stream) = self.answer(request).await;
        let Some(stream) = stream.filter(|_| !head_only) else { return Ok(response.map(Content::Whole)) };
        Ok(response.map(|_| Content::Stream(sse::Body::in_turns(stream, turns))))
    }

    /// HTTP/1.1 in clear, where a stream is sent away with its head, and there is no answer here.
    async fn answer_or_hand_over(
        self,
        request: Request<Incoming>,
        begun: mpsc::Sender<(Parts, Stream)>,
    ) -> Result<Response<Content>, Infallible> {
        // HTTP/1.0 knows no chunks, and whoever asks for a head wants no more.
        if request.version() != Version::HTTP_11 || request.method() == Method::HEAD {
            return self.answer_with_body(request).await;
        }
        let (response, stream) = self.answer(request).await;
        let Some(stream) = stream else { return Ok(response.map(Content::Whole)) };
        begun.send((response.into_parts().0, stream)).await.ok();
        std::future::pending().await
    }
}

impl Conversation {
    pub(super) fn new(router: Router, tasks: &Tasks, peer: SocketAddr, pressure: Arc<Pressure>) -> Self {
        let answers = Answers { router, peer, pressure, asked: CancellationToken::new() };
        let newcomer = tasks.soft().is_cancelled();
        Self { answers, tasks: tasks.clone(), newcomer, began: Instant::now() }
    }

    /// Answers until the client leaves, or the last stream has ended: by HTTP/2, where that was agreed upon.
    pub(super) async fn hold(
        self,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_http2: bool,
        buffers: Buffers,
    ) {
        if is_http2 { self.hold_http2(socket, buffers).await } else { self.hold_http1(socket).await }
    }

    /// HTTP/1, with its streams as bodies.
    async fn hold_http1(self, socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let answers = self.answers.clone();
        let service = service_fn(move |request| answers.clone().answer_with_body(request));
        let mut connection = pin!(http1(self.newcomer).serve_connection(TokioIo::new(socket), service));
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.silent() => return debug!("a client asked for nothing"),
            () = self.leave() => {
                // An idle connection closes now, another with the end of its request or its stream.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        note_end(served);
    }

    /// HTTP/2.
    async fn hold_http2(
        self,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        buffers: Buffers,
    ) {
        let (answers, turns) = (self.answers.clone(), Turns::default());
        let (newcomers, (socket, sheaf)) = (Newcomers::default(), gather(socket, buffers));
        let mut together = Together::new(newcomers.clone(), turns.clone(), sheaf);
        let service = service_fn(move |request| answers.clone().answer_in_turns(request, turns.clone()));
        let mut connection = pin!(http2(newcomers).serve_connection(TokioIo::new(socket), service));
        let served = tokio::select! {
            served = poll_fn(|cx| together.poll(cx, connection.as_mut())) => served,
            () = self.silent() => return debug!("a client asked for nothing"),
            () = self.leave() => {
                connection.as_mut().graceful_shutdown();
                poll_fn(|cx| together.poll(cx, connection.as_mut())).await
            }
        };
        note_end(served);
    }

    /// The same for a socket in clear: once a stream of HTTP/1.1 has begun, its socket is given to one of the shards.
    pub(super) async fn hold_in_clear(
        self,
        socket: Watched<TcpStream>,
        buffers: Buffers,
        shards: Shards,
        clock: Clock,
    ) {
        let mut begin = [0; PREFACE.len()];
        let peeked = tokio::select! {
            peeked = timeout_at(self.began + HEADER_TIMEOUT, socket.inner().peek(&mut begin)) => peeked,
            () = self.leave() => return,
        };
        match peeked {
            Ok(Ok(0) | Err(_)) => {}
            Ok(Ok(some)) if begin.get(..some) == PREFACE.get(..some) => {
                self.hold_http2(socket, buffers).await
            }
            Ok(Ok(_)) if shards.is_empty() => self.hold_http1(socket).await,
            Ok(Ok(_)) => self.hold_until_stream(socket, &shards, &clock).await,
            Err(_) => debug!("a client asked for nothing"),
        }
    }

    /// HTTP/1, until the client leaves, or a stream begins.
    async fn hold_until_stream(self, socket: Watched<TcpStream>, shards: &Shards, clock: &Clock) {
        let (sender, mut begun) = mpsc::channel(1);
        let answers = self.answers.clone();
        let service = service_fn(move |request| answers.clone().answer_or_hand_over(request, sender.clone()));
        let mut connection = http1(self.newcomer).serve_connection(TokioIo::new(socket), service);
        let served = tokio::select! {
            served = &mut connection => Err(served),
            begun = begun.recv() => Ok(begun),
            () = self.silent() => return debug!("a client asked for nothing"),
            () = self.leave() => {
                // An idle connection closes now, another with the end of its request or its stream.
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    served = &mut connection => Err(served),
                    begun = begun.recv() => Ok(begun),
                }
            }
        };
        match served {
            Ok(Some((head, stream))) => {
                let socket = connection.into_parts().io.into_inner().into_inner();
                let head = handover::head(&head, clock.now());
                shards.take(Taken { socket, head, stream, hold: self.tasks.hold() }).await;
            }
            Ok(None) => {}
            Err(served) => note_end(served),
        }
    }

    /// Ready when the connection is no longer to wait for requests.
    async fn leave(&self) {
        self.tasks.soft().cancelled().await;
        if self.newcomer {
            sleep_until(self.began + NEWCOMER).await;
        }
    }

    /// Ready when the client has asked for nothing for too long. hyper's own timer starts with the first byte.
    async fn silent(&self) {
        if timeout_at(self.began + HEADER_TIMEOUT, self.answers.asked.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }
}

fn http1(is_newcomer: bool) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER);
    builder.half_close(false).keep_alive(!is_newcomer);
    builder
}

fn http2(newcomers: Newcomers) -> http2::Builder<Newcomers> {
    let mut builder = http2::Builder::new(newcomers);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX));
    builder
}

fn note_end(served: Result<(), impl std::fmt::Display>) {
    if let Err(error) = served {
        debug!(%error, "a connection ended");
    }
}
