//! The socket side of the stand-in: TLS, who calls, what is recorded, and the faults.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Response, header};
use axum::routing::{get, post};
use axum::serve::Listener;
use rcgen::{Certificate, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Call, Fault, GATEWAY, Recorded, Shared};
use crate::answer;

/// A listener that speaks TLS.
struct Secure {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.tcp.accept().await.expect("a listener accepts");
            // A client that goes away within the handshake is none.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves on a free port until the tasks are dropped.
pub(super) async fn start(
    certificate: &Certificate,
    key: &KeyPair,
    shared: Arc<Shared>,
) -> (SocketAddr, JoinSet<()>) {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("certificate and key");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = tcp.local_addr().expect("a bound listener has an address");
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(token))
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(access))
        .route("/apis/project.openshift.io/v1/projects", get(projects))
        .with_state(shared);
    let listener = Secure { tcp, tls: TlsAcceptor::from(Arc::new(config)) };
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.expect("the stand-in serves") });
    (address, server)
}

type Context = (State<Arc<Shared>>, OriginalUri, HeaderMap);

async fn token(context: Context, body: Bytes) -> Response<Body> {
    let shared = context.0.0.clone();
    review(context, Call::Token, &body, |review| shared.review_token(review)).await
}

async fn access(context: Context, body: Bytes) -> Response<Body> {
    let shared = context.0.0.clone();
    review(context, Call::Access, &body, |review| shared.review_access(review)).await
}

async fn review<R: DeserializeOwned + Serialize>(
    (State(shared), OriginalUri(uri), headers): Context,
    call: Call,
    body: &Bytes,
    answer: impl FnOnce(R) -> R,
) -> Response<Body> {
    let object = serde_json::from_slice(body).expect("a review is JSON");
    let bearer = shared.record(call, uri.to_string(), &headers, object);
    if bearer.as_deref() != Some(GATEWAY) {
        return status(401);
    }
    let review = serde_json::from_slice(body).expect("a review is of its type");
    shared.answer(call, 201, json!(answer(review))).await
}

async fn projects((State(shared), OriginalUri(uri), headers): Context) -> Response<Body> {
    let bearer = shared.record(Call::Projects, uri.to_string(), &headers, Value::Null);
    match shared.projects(bearer.as_deref()) {
        None => status(401),
        Some(list) => shared.answer(Call::Projects, 200, list).await,
    }
}

impl Shared {
    fn record(&self, call: Call, uri: String, headers: &HeaderMap, body: Value) -> Option<String> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(ToOwned::to_owned);
        let recorded = Recorded { call, uri, bearer: bearer.clone(), body };
        self.recorded.lock().expect("no handler panicked").push(recorded);
        bearer
    }

    async fn answer(&self, call: Call, code: u16, right: Value) -> Response<Body> {
        let _under_way = UnderWay::new(self);
        let fault = self.faults.lock().expect("no handler panicked").get(&call).cloned();
        let text = right.to_string();
        match fault {
            None => answer::json(code, Body::from(text)),
            Some(Fault::Status(code)) => status(code),
            Some(Fault::Body(text)) => answer::json(code, Body::from(text)),
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                answer::json(code, Body::from(text))
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Cut) => answer::json(code, answer::broken_off(&text)),
        }
    }
}

/// Counts a call as under way.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut counts = shared.under_way.lock().expect("no handler panicked");
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        Self(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().expect("no handler panicked").0 -= 1;
    }
}

/// An error as Kubernetes has them.
fn status(code: u16) -> Response<Body> {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "on purpose",
        "code": code,
    });
    answer::json(code, Body::from(body.to_string()))
}
