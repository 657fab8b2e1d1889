//! The admin listener: health, readiness and metrics, apart from the port that clients see.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::bus;
use crate::lifecycle::Tasks;

/// Prometheus's text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the program should get new work: its bus is usable and it is not going away. Not a function of load: a
/// full replica that called itself unready would push its clients onto the next one.
#[derive(Clone, Debug)]
pub struct Readiness {
    bus: watch::Receiver<bus::State>,
    draining: CancellationToken,
}

impl Readiness {
    /// Readiness of a program on this bus.
    pub fn new(bus: watch::Receiver<bus::State>, tasks: &Tasks) -> Self {
        Self { bus, draining: tasks.soft().clone() }
    }

    /// Why the program is not ready, if it is not.
    pub fn trouble(&self) -> Option<String> {
        if self.draining.is_cancelled() {
            return Some("shutting down".to_owned());
        }
        self.bus.borrow().trouble.as_ref().map(|trouble| format!("bus: {trouble}"))
    }
}

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another with --{option}")]
pub struct Error {
    address: SocketAddr,
    option: &'static str,
    source: std::io::Error,
}

/// Listens on `address`, and says so in the log. `option` is the flag that changes the address.
pub async fn bind(
    listener: &'static str,
    option: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, Error> {
    let failed = |source| Error { address, option, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    info!(listener, address = %socket.local_addr().map_err(failed)?, "listening");
    Ok(socket)
}

#[derive(Clone)]
struct Admin {
    registry: Registry,
    readiness: Readiness,
}

/// Serves the admin paths until everything else has ended.
pub fn serve(listener: TcpListener, registry: Registry, readiness: Readiness, tasks: &Tasks) {
    let router = Router::new()
        .route("/-/healthy", get(async || "healthy\n"))
        .route("/-/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Admin { registry, readiness });
    tasks.background().spawn("admin", async move {
        if let Err(error) = axum::serve(listener, router).await {
            error!(%error, "the admin listener failed");
        }
    });
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.readiness.trouble() {
        None => "ready\n".into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, EXPOSITION)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
