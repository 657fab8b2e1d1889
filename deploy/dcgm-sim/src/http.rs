//! The listener: `/metrics`, a pointer to it at `/`, and nothing else.

use std::io::{self, Write};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock;
use crate::config::Config;
use crate::exposition::Exporter;

/// The Content-Type of Prometheus's text format, as dcgm-exporter sends it.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why the program could not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Bind { address: std::net::SocketAddr, source: io::Error },
    /// Signals, stdout or the accept loop.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT, then returns at once: a scrape under way is cut, as Prometheus tries again anyway.
pub(crate) async fn run(config: &Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| Error::Bind { address: config.listen, source })?;
    writeln!(io::stdout(), "listening on http://{}/metrics", listener.local_addr()?)?;
    let app = router(Arc::new(Exporter::new(config)));
    tokio::select! {
        served = axum::serve(listener, app) => Ok(served?),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

fn router(exporter: Arc<Exporter>) -> Router {
    Router::new()
        .route("/", get(async || "dcgm-sim: simulated DCGM metrics are at /metrics\n"))
        .route("/metrics", get(metrics))
        .with_state(exporter)
}

async fn metrics(State(exporter): State<Arc<Exporter>>) -> Response {
    // A thousand nodes take long enough to render to be kept off the threads that serve sockets.
    let rendered = tokio::task::spawn_blocking(move || exporter.render(clock::unix_ms())).await;
    match rendered {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
