//! The listener: accepts connections, and sets their sockets up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::conversation::{Conversation, HEADER_TIMEOUT, PING};
use super::gathered::Buffers;
use super::socket::Watched;
use super::tls;
use crate::connections::Pressure;
use crate::metrics::Metrics;
use crate::shard::Shards;

/// How much may wait unsent in the kernel. A client that has stopped reading holds this much and no more.
const UNSENT: u32 = 16 * 1024;

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

/// What answers the clients.
pub struct Server {
    /// What they may ask.
    pub router: Router,
    /// TLS, unless they speak in clear.
    pub tls: Option<TlsAcceptor>,
    /// How long they are waited for.
    pub transport: Transport,
    /// Who writes their streams.
    pub shards: Shards,
    /// The time of day.
    pub clock: Clock,
    /// Where cut connections are counted.
    pub metrics: Metrics,
    /// What connections lend each other.
    pub buffers: Buffers,
}

impl Server {
    /// Serves on `listener` until everything else has ended: while the replica drains, newcomers are told so.
    pub fn serve(self, listener: TcpListener, tasks: &Tasks) {
        let lasting = tasks.clone();
        tasks.background().spawn("listener", async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => self.accept(stream, peer, &lasting),
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
    }

    fn accept(&self, stream: TcpStream, peer: SocketAddr, tasks: &Tasks) {
        if let Err(error) = set_up(&stream, self.transport) {
            // The client has most likely gone again.
            debug!(%error, "cannot set up a socket");
        }
        let pressure = Arc::new(Pressure::default());
        let socket = Watched::new(stream, pressure.clone(), self.transport.write_stall, self.metrics.clone());
        let conversation = Conversation::new(self.router.clone(), tasks, peer, pressure);
        let buffers = self.buffers.clone();
        let Some(acceptor) = self.tls.clone() else {
            let (shards, clock) = (self.shards.clone(), self.clock.clone());
            return tasks.spawn("connection", conversation.hold_in_clear(socket, buffers, shards, clock));
        };
        tasks.spawn("connection", async move {
            match tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(socket)).await {
                Ok(Ok(socket)) => {
                    let is_http2 = socket.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
                    conversation.hold(socket, is_http2, buffers).await;
                }
                Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                Err(_) => debug!("a TLS handshake took too long"),
            }
        });
    }
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
