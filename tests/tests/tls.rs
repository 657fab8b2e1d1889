//! The gateway's own TLS: HTTP/2 where the client speaks it, and a certificate that can be renewed while it runs.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

use e2e::programs::{Gateway, run};
use e2e::stream::{PATH, Stream};
use e2e::upstream::Upstream;
use e2e::wait::{PATIENCE, until};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client, Version};
use tempfile::TempDir;

/// Writes a new certificate for `localhost` and gives a client that trusts it alone.
fn renew(folder: &Path) -> Client {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate.pem"), cert.pem()).unwrap();
    rustls::crypto::ring::default_provider().install_default().ok();
    let trusted = Certificate::from_pem(cert.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap()
}

struct Secure {
    gateway: Gateway,
    folder: TempDir,
    client: Client,
    _upstream: Upstream,
}

impl Secure {
    async fn start() -> Self {
        let upstream = Upstream::of_one_sample().await;
        let folder = TempDir::new().unwrap();
        let client = renew(folder.path());
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let flags = [
            "--prometheus-url",
            &upstream.url(),
            "--http-tls-certificate-file",
            certificate.to_str().unwrap(),
            "--http-tls-key-file",
            key.to_str().unwrap(),
        ];
        let gateway = Gateway::start(&flags).await;
        Self { gateway, folder, client, _upstream: upstream }
    }

    fn url(&self) -> String {
        let port = self.gateway.address().rsplit(':').next().unwrap();
        format!("https://localhost:{port}{PATH}?query=up&interval=5")
    }
}

#[tokio::test]
async fn a_stream_comes_over_http_2_without_connection_headers() {
    let secure = Secure::start().await;
    let head = secure.client.get(secure.url()).send().await.unwrap();
    assert_eq!(head.version(), Version::HTTP_2);
    assert!(head.headers().get("connection").is_none());
    let mut stream = Stream::try_send(secure.client.get(secure.url())).await.unwrap();
    let first = stream.update().await;
    let second = stream.update().await;
    assert_eq!(second.tick().since(first.tick()), 5_000);
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_into_use_and_open_streams_go_on() {
    let secure = Secure::start().await;
    let mut stream = Stream::try_send(secure.client.get(secure.url())).await.unwrap();
    let before = stream.update().await;
    let renewed = renew(secure.folder.path());
    until("the new certificate is served", PATIENCE, || async {
        renewed.get(secure.url()).send().await.ok().map(|answer| assert_eq!(answer.status(), 200))
    })
    .await;
    assert!(stream.update().await.tick() > before.tick());
}

#[tokio::test]
async fn half_a_configuration_is_refused() {
    let flags =
        ["--auth-mode", "none", "--prometheus-url", "http://127.0.0.1:9", "--http-tls-key-file", "k.pem"];
    let (code, output) = run("promcast-gateway", &flags).await;
    assert_eq!(code, Some(64), "{output}");
    assert!(output.contains("tls_certificate_file"), "{output}");
}
