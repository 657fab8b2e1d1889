//! The listener: accepts connections, sets their sockets up, and serves HTTP/1.1 and HTTP/2 on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use promcast_runtime::lifecycle::Tasks;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::client::Peer;
use super::socket::Watched;
use crate::connections::Pressure;
use crate::metrics::Metrics;

/// How long a client may take to send the head of a request, its first one from the connection on.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// hyper's own buffer: room for the largest head that we answer with a problem document, and some.
const BUFFER: usize = 128 * 1024;

/// How much may wait unsent in the kernel. A client that has stopped reading holds this much and no more.
const UNSENT: u32 = 16 * 1024;

/// From one HTTP/2 ping to the next, and from one TCP keep-alive to the next: what finds a client that is gone.
const PING: Duration = Duration::from_secs(30);

/// How long a connection that is made during a drain stays open for its first request.
const NEWCOMER: Duration = Duration::from_secs(1);

/// The wait after the system refused to accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long sockets are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    /// A socket that takes no byte for so long is closed.
    pub write_stall: Duration,
    /// A connection whose bytes are not acknowledged for so long is closed.
    pub unacknowledged: Duration,
}

/// Serves `router` on `listener`, in clear or over TLS, until everything else has ended: while the replica drains,
/// newcomers are told so.
pub fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    transport: Transport,
    metrics: Metrics,
    tasks: &Tasks,
) {
    let server = Server { router, tls, transport, metrics, tasks: tasks.clone() };
    tasks.background().spawn("listener", async move {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => server.accept(stream, peer),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
}

struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    transport: Transport,
    metrics: Metrics,
    tasks: Tasks,
}

impl Server {
    fn accept(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = set_up(&stream, self.transport) {
            // The client has most likely gone again.
            debug!(%error, "cannot set up a socket");
        }
        let pressure = Arc::new(Pressure::default());
        let socket = Watched::new(stream, pressure.clone(), self.transport.write_stall, self.metrics.clone());
        let conversation =
            Conversation { router: self.router.clone(), soft: self.tasks.soft().clone(), peer, pressure };
        let tls = self.tls.clone();
        self.tasks.spawn("connection", async move {
            let Some(tls) = tls else { return conversation.hold(socket).await };
            match tokio::time::timeout(HEADER_TIMEOUT, tls.accept(socket)).await {
                Ok(Ok(socket)) => conversation.hold(socket).await,
                Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                Err(_) => debug!("a TLS handshake took too long"),
            }
        });
    }
}

/// What is needed to answer on one connection.
struct Conversation {
    router: Router,
    soft: CancellationToken,
    peer: SocketAddr,
    pressure: Arc<Pressure>,
}

impl Conversation {
    /// Answers until the client leaves, or the last stream has ended.
    async fn hold(self, socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { router, soft, peer, pressure } = self;
        let asked = CancellationToken::new();
        let first = asked.clone();
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            first.cancel();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            // Streams of one HTTP/2 connection share its socket, so one of them says nothing about the others.
            if request.version() <= axum::http::Version::HTTP_11 {
                request.extensions_mut().insert(pressure.clone());
            }
            router.clone().oneshot(request)
        });
        // Whoever comes while the replica drains gets a moment to ask, so as to be told.
        let newcomer = soft.is_cancelled();
        let leave = async {
            soft.cancelled().await;
            if newcomer {
                tokio::time::sleep(NEWCOMER).await;
            }
        };
        // hyper's own timer starts with the first byte.
        let silent = async {
            if tokio::time::timeout(HEADER_TIMEOUT, asked.cancelled()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let mut builder = builder();
        builder.http1().keep_alive(!newcomer);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = silent => return debug!("a client asked for nothing"),
            () = leave => {
                // Idle connections close now, the others with the end of their stream.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            debug!(%error, "a connection ended");
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
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

fn set_up(stream: &TcpStream, transport: Transport) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PING).with_interval(PING))?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_notsent_lowat(UNSENT)?;
        socket.set_tcp_user_timeout(Some(transport.unacknowledged))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (transport, UNSENT);
    Ok(())
}
