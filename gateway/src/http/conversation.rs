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
use axum::http::{Method, Request, Version};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
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
use super::gathered::gather;
use super::handover::{self, Offer};
use super::socket::Watched;
use super::together::{Newcomers, Together};
use crate::connections::Pressure;
use crate::shard::{Shards, Taken};
use crate::sse::Stream;

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
    async fn answer(self, request: Request<Incoming>, offer: Option<Offer>) -> Result<Response, Infallible> {
        self.asked.cancel();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(self.peer));
        // Streams of one HTTP/2 connection share its socket, so one of them says nothing about the others.
        if request.version() <= Version::HTTP_11 {
            request.extensions_mut().insert(self.pressure);
        }
        // HTTP/1.0 knows no chunks, and whoever asks for a head wants no more.
        let chunked = request.version() == Version::HTTP_11 && request.method() != Method::HEAD;
        if let Some(offer) = offer.filter(|_| chunked) {
            request.extensions_mut().insert(offer);
        }
        self.router.oneshot(request).await
    }
}

/// Answers, but where the answer is a stream: that one is sent away with its head, and there is no answer here.
async fn answer_or_hand_over(
    answers: Answers,
    request: Request<Incoming>,
    begun: mpsc::Sender<(Parts, Stream)>,
) -> Result<Response, Infallible> {
    let mut response = answers.answer(request, Some(Offer)).await?;
    let Some(stream) = handover::take(&mut response) else { return Ok(response) };
    begun.send((response.into_parts().0, stream)).await.ok();
    std::future::pending().await
}

impl Conversation {
    pub(super) fn new(router: Router, tasks: &Tasks, peer: SocketAddr, pressure: Arc<Pressure>) -> Self {
        let answers = Answers { router, peer, pressure, asked: CancellationToken::new() };
        let newcomer = tasks.soft().is_cancelled();
        Self { answers, tasks: tasks.clone(), newcomer, began: Instant::now() }
    }

    /// Answers until the client leaves, or the last stream has ended.
    pub(super) async fn hold(self, socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let answers = self.answers.clone();
        let service = hyper::service::service_fn(move |request| answers.clone().answer(request, None));
        let (newcomers, (socket, sheaf)) = (Newcomers::default(), gather(socket));
        let mut builder = builder(newcomers.clone());
        builder.http1().keep_alive(!self.newcomer);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
        let mut together = Together::new(newcomers, sheaf);
        let served = tokio::select! {
            served = poll_fn(|cx| together.poll(cx, connection.as_mut())) => served,
            () = self.silent() => return debug!("a client asked for nothing"),
            () = self.leave() => {
                // Idle connections close now, the others with the end of their stream.
                connection.as_mut().graceful_shutdown();
                poll_fn(|cx| together.poll(cx, connection.as_mut())).await
            }
        };
        if let Err(error) = served {
            debug!(%error, "a connection ended");
        }
    }

    /// The same for a socket in clear: once a stream has begun, its socket is given to one of the shards.
    pub(super) async fn hold_in_clear(self, socket: Watched<TcpStream>, shards: Shards, clock: Clock) {
        if shards.is_empty() {
            return self.hold(socket).await;
        }
        let mut begin = [0; PREFACE.len()];
        let peeked = tokio::select! {
            peeked = timeout_at(self.began + HEADER_TIMEOUT, socket.inner().peek(&mut begin)) => peeked,
            () = self.leave() => return,
        };
        match peeked {
            Ok(Ok(0) | Err(_)) => {}
            Ok(Ok(some)) if begin.get(..some) == PREFACE.get(..some) => self.hold(socket).await,
            Ok(Ok(_)) => self.hold_until_stream(socket, &shards, &clock).await,
            Err(_) => debug!("a client asked for nothing"),
        }
    }

    /// HTTP/1, until the client leaves, or a stream begins.
    async fn hold_until_stream(self, socket: Watched<TcpStream>, shards: &Shards, clock: &Clock) {
        let (sender, mut begun) = mpsc::channel(1);
        let answers = self.answers.clone();
        let service = hyper::service::service_fn(move |request| {
            answer_or_hand_over(answers.clone(), request, sender.clone())
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER);
        builder.half_close(false).keep_alive(!self.newcomer);
        let mut connection = builder.serve_connection(TokioIo::new(socket), service);
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
            Ok(None) | Err(Ok(())) => {}
            Err(Err(error)) => debug!(%error, "a connection ended"),
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

fn builder(newcomers: Newcomers) -> auto::Builder<Newcomers> {
    let mut builder = auto::Builder::new(newcomers);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX));
    builder
}
