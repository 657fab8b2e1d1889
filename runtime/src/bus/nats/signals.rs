//! What the client tells by callback. Hints only: its event channel may drop some, so truth is read elsewhere.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::{ClientError, ConnectOptions, Event, ReconnectToServer, Server, ServerAddr};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::metrics::{Fault, Metrics};

/// Shared by the callbacks and the task that follows the connection.
#[derive(Debug)]
pub(super) struct Signals {
    /// Something may have changed: look.
    pub(super) nudge: Notify,
    /// The server asked to be left.
    pub(super) leave: AtomicBool,
    pub(super) metrics: Metrics,
    servers: String,
    attempts: Mutex<Option<String>>,
}

impl Signals {
    /// `servers` is how the configured servers are named in messages.
    pub(super) fn new(metrics: Metrics, servers: String) -> Arc<Self> {
        let (nudge, leave) = (Notify::new(), AtomicBool::new(false));
        Arc::new(Self { nudge, leave, metrics, servers, attempts: Mutex::default() })
    }

    /// Makes the client call us.
    pub(super) fn attach(self: &Arc<Self>, options: ConnectOptions) -> ConnectOptions {
        let (events, attempts) = (Arc::clone(self), Arc::clone(self));
        options
            .event_callback(move |event| {
                events.on(&event);
                ready(())
            })
            .reconnect_to_server_callback(move |pool, _| attempts.on_attempt(&pool))
    }

    /// Why there is no connection, for an operator.
    pub(super) fn why_not_connected(&self) -> String {
        let attempts = self.attempts.lock();
        format!("not connected to {}", attempts.as_ref().unwrap_or(&self.servers))
    }

    fn on(&self, event: &Event) {
        match event {
            Event::Connected => *self.attempts.lock() = None,
            Event::Disconnected | Event::Closed | Event::Draining => {}
            Event::LameDuckMode => {
                info!("the NATS server is shutting down");
                self.leave.store(true, Ordering::Relaxed);
            }
            Event::SlowConsumer(_) => {
                self.metrics.slow.inc();
                warn!("too slow for NATS: a message was dropped");
            }
            Event::ServerError(error) => {
                self.metrics.fault(Fault::from(error));
                warn!(%error, "the NATS server complains");
            }
            // Failed attempts to connect: in the state with their reasons, and logged there when it changes.
            Event::ClientError(ClientError::Other(_)) => {}
            Event::ClientError(error) => warn!(%error, "the NATS client complains"),
        }
        self.nudge.notify_one();
    }

    /// Before each attempt the client shows us what became of the last ones. It goes on to choose the server itself.
    fn on_attempt(&self, pool: &[Server]) -> Ready<Option<ReconnectToServer>> {
        let failed: Vec<_> = pool
            .iter()
            .filter_map(|server| Some(format!("{}: {}", printed(&server.addr), server.last_error.as_ref()?)))
            .collect();
        *self.attempts.lock() = (!failed.is_empty()).then(|| failed.join("; "));
        self.nudge.notify_one();
        ready(None)
    }
}

/// The address without the user and password that a server may advertise in it.
fn printed(address: &ServerAddr) -> String {
    let (host, port) = (address.host(), address.port());
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{}://{host}:{port}", address.scheme())
}
