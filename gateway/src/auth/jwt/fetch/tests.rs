//! Documents by TLS and in clear, from servers that say what the test wants.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Answers each connection with `answer`. Ends with its handle.
struct Server {
    url: Url,
    /// Whom to trust for it.
    ca: NamedTempFile,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(tls: bool, answer: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let ca = NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls { "https" } else { "http" };
        let (mut task, answer) = (JoinSet::new(), answer.to_owned());
        task.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if !tls {
                    speak(socket, &answer).await;
                } else if let Ok(socket) = acceptor.accept(socket).await {
                    speak(socket, &answer).await;
                }
            }
        });
        Self { url: format!("{scheme}://localhost:{port}/keys").parse().unwrap(), ca, _task: task }
    }

    async fn get(&self) -> Result<Document, Error> {
        Http::new(&self.url, Some(self.ca.path())).unwrap().get(&self.url).await
    }
}

/// Reads a request, which is small, and gives the answer. A client that is gone is its own affair.
async fn speak(mut socket: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut request = [0; 4096];
    if socket.read(&mut request).await.is_ok() && socket.write_all(answer.as_bytes()).await.is_ok() {
        socket.shutdown().await.ok();
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=77\r\nConnection: close\r\n\r\n{body}")
}

fn redirect(to: &Url) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_document_comes_by_tls_with_its_age() {
    let server = Server::start(true, &ok("{}")).await;
    let document = server.get().await.unwrap();
    assert_eq!((document.body, document.max_age), (b"{}".to_vec(), Some(Duration::from_secs(77))));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_listened_to() {
    let (server, other) = (Server::start(true, &ok("{}")).await, Server::start(true, &ok("{}")).await);
    let http = Http::new(&server.url, Some(other.ca.path())).unwrap();
    assert!(matches!(http.get(&server.url).await, Err(Error::Transport(_))));
}

#[tokio::test]
async fn a_redirect_is_followed_to_where_it_is_no_less_safe() {
    let clear = Server::start(false, &ok("{}")).await;
    let down = Server::start(true, &redirect(&clear.url)).await;
    assert!(matches!(down.get().await, Err(Error::Status(302))));
    let sideways = Server::start(false, &redirect(&clear.url)).await;
    assert_eq!(sideways.get().await.unwrap().body, b"{}");
    let http = Http::new(&down.url, Some(down.ca.path())).unwrap();
    assert!(matches!(http.get(&clear.url).await, Err(Error::Unsafe)));
}

#[tokio::test]
async fn more_bytes_than_the_bound_are_not_read() {
    let good = Server::start(false, &ok(&"x".repeat(BYTES_MAX))).await;
    assert_eq!(good.get().await.unwrap().body.len(), BYTES_MAX);
    let long = Server::start(false, &ok(&"x".repeat(BYTES_MAX + 1))).await;
    assert!(matches!(long.get().await, Err(Error::TooLong)));
}

#[test]
fn the_age_is_what_cache_control_says() {
    for (header, age) in [
        ("max-age=60", Some(60)),
        ("public, Max-Age=\"5\", must-revalidate", Some(5)),
        ("max-age=60, no-store", Some(0)),
        ("no-cache", Some(0)),
        ("max-age=soon", None),
        ("public", None),
        ("", None),
    ] {
        assert_eq!(directives([header].into_iter()), age.map(Duration::from_secs), "{header}");
    }
}

#[test]
fn no_way_is_less_safe_than_the_configured_one() {
    let [clear, tls, file] =
        ["http://h/", "https://h/", "file:///etc/passwd"].map(|text| text.parse::<Url>().unwrap());
    assert!(is_safe(&tls, true) && is_safe(&tls, false) && is_safe(&clear, true));
    assert!(!is_safe(&clear, false) && !is_safe(&file, true) && !is_safe(&file, false));
}
