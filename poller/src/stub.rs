//! An upstream for tests: a real server on a free port that says what a test wants it to say.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode, Version};
use axum::serve::Listener;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use promcast_proto::topic::Datasource as Name;
use promcast_runtime::lifecycle::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{Datasource, Endpoint, Upstream};

/// An answer of an instant query with one series.
pub(crate) const UP: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"gpu":"0"},"value":[1,"1"]}]}}"#;

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// The parameters, from the body or the URL.
    pub(crate) form: Vec<(String, String)>,
}

/// A running upstream.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: Tasks,
}

/// Gives the n-th answer, counted from 0.
type Script = dyn Fn(usize) -> BoxFuture<'static, Response<Body>> + Send + Sync;

impl Stub {
    /// Always answers the same.
    pub(crate) async fn saying(status: u16, body: &'static str) -> Self {
        Self::playing(move |_| Box::pin(std::future::ready(say(status, body)))).await
    }

    pub(crate) async fn playing(
        script: impl Fn(usize) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(listener, address, Arc::new(script))
    }

    /// Speaks TLS.
    pub(crate) async fn saying_over_tls(acceptor: TlsAcceptor, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = move |_| Box::pin(std::future::ready(say(200, body))) as BoxFuture<'static, _>;
        Self::serve(Tls(listener, acceptor), address, Arc::new(script))
    }

    fn serve<L: Listener<Addr = SocketAddr>>(listener: L, address: SocketAddr, script: Arc<Script>) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, tasks) = (Arc::clone(&asked), Tasks::default());
        let router = Router::new().fallback(move |request: Request| {
            let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
            async move {
                let nth = note(&seen, request).await;
                script(nth).await
            }
        });
        tasks.spawn("stub", async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, _tasks: tasks }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// This upstream, named `default`, with these settings.
    pub(crate) fn upstream(&self, settings: Datasource) -> Upstream {
        upstream(&format!("http://{}", self.address), settings)
    }
}

pub(crate) fn upstream(url: &str, settings: Datasource) -> Upstream {
    Upstream { name: Name::default(), url: url.parse::<Endpoint>().unwrap(), settings }
}

pub(crate) fn say(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(body.into()).unwrap()
}

async fn note(seen: &Mutex<Vec<Asked>>, request: Request) -> usize {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let parameters = if body.is_empty() { head.uri.query().unwrap_or_default().as_bytes() } else { &body };
    let form = url::form_urlencoded::parse(parameters).into_owned().collect();
    let line = format!("{} {}", head.method, head.uri.path());
    let mut seen = seen.lock();
    seen.push(Asked { line, version: head.version, headers: head.headers, form });
    seen.len() - 1
}

/// A listener whose handshakes may fail, as those of a client that does not trust it do.
struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
