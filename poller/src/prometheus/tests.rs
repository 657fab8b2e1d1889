//! The client against a real server that behaves well, badly, and not at all.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Version;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::Datasource;
use crate::stub::{Stub, UP, say, upstream};

const TICK: Tick = Tick::MIN;
const SOON: Duration = Duration::from_secs(5);

fn client(stub: &Stub, settings: Datasource) -> Client {
    Client::new(&stub.upstream(settings)).unwrap()
}

async fn code(client: &Client) -> ErrorCode {
    match client.instant("up", TICK, SOON, &Span::none()).await {
        Ok(reply) => classify::answer(reply.status, &reply.body).unwrap_err().failure.code,
        Err(failed) => failed.failure.code,
    }
}

fn settings(toml: &str) -> Datasource {
    let nothing: [(&str, &str); 0] = [];
    let document: toml::Table = toml::from_str(toml).unwrap();
    <Datasource as conf::Conf>::conf_builder()
        .args(["x"])
        .env(nothing)
        .doc("x", document)
        .try_parse()
        .unwrap()
}

#[tokio::test]
async fn a_query_is_a_form_with_the_tick_as_time() {
    let stub = Stub::saying(200, UP).await;
    let url = format!("http://{}/prefix/", stub.address);
    let client = Client::new(&upstream(&url, settings("headers = { X-Scope-OrgID = 'tenant' }"))).unwrap();
    let tick = Tick::from_millis(1_764_000_003_007);
    let reply = client
        .instant("sum(up{a=\"b&c\"})", tick, Duration::from_millis(9_500), &Span::none())
        .await
        .unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, UP.as_bytes()));
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /prefix/api/v1/query");
    let expected = [("query", "sum(up{a=\"b&c\"})"), ("time", "1764000003.007"), ("timeout", "9.500")];
    assert_eq!(asked.form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(asked.headers["x-scope-orgid"], "tenant");
    assert_eq!(asked.headers["user-agent"], concat!("promcast-poller/", env!("CARGO_PKG_VERSION")));
    assert!(!asked.headers.contains_key("authorization"));
}

/// A body that never ends by itself, and tells when it is dropped.
fn endless(piece: &'static str) -> (Body, oneshot::Receiver<()>) {
    let (alive, dropped) = oneshot::channel::<()>();
    let pieces = stream::repeat(piece).map(move |piece| {
        let _held = &alive;
        std::io::Result::Ok(piece)
    });
    (Body::from_stream(stream::once(async { Ok(r#"{"data":{"result":["#) }).chain(pieces)), dropped)
}

async fn reads_no_further(piece: &'static str, settings: Datasource, message: &str) {
    let (body, dropped) = endless(piece);
    let body = parking_lot::Mutex::new(Some(body));
    let stub =
        Stub::playing(move |_| Box::pin(std::future::ready(say(200, body.lock().take().unwrap())))).await;
    let failed = client(&stub, settings).instant("up", TICK, SOON, &Span::none()).await.unwrap_err();
    assert!(failed.failure.message.contains(message), "{}", failed.failure.message);
    // The sender goes with the body: the connection was closed on it.
    dropped.await.unwrap_err();
}

#[tokio::test]
async fn reading_stops_at_the_byte_limit() {
    let limit = settings("max_response_bytes = 100000");
    reads_no_further("[1, 2, 3, 4, 5, 6, 7, 8, 9],", limit, "over the limit of 100000").await;
}

#[tokio::test]
async fn reading_stops_at_the_series_limit() {
    let limit = settings("max_series = 500");
    reads_no_further(r#"{"metric":{}},"#, limit, "series or more, over the limit of 500").await;
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_not_read_at_all() {
    let stub = Stub::saying(200, UP).await;
    let failed = client(&stub, settings("max_response_bytes = 20"))
        .instant("up", TICK, SOON, &Span::none())
        .await
        .unwrap_err();
    assert_eq!(failed.failure.code, ErrorCode::TooLarge);
    assert!(failed.failure.message.contains(&format!("{} bytes", UP.len())), "{}", failed.failure.message);
}

#[tokio::test]
async fn an_answer_that_trickles_in_is_complete_and_one_that_breaks_off_is_not() {
    let stub = Stub::playing(|nth| {
        let pieces = UP.as_bytes().chunks(1).map(Ok);
        let end = (nth > 0).then(|| Err(std::io::Error::other("gone")));
        let pieces: Vec<_> = pieces.take(if nth > 0 { 50 } else { usize::MAX }).chain(end).collect();
        Box::pin(std::future::ready(say(200, Body::from_stream(stream::iter(pieces)))))
    })
    .await;
    let client = client(&stub, Datasource::default());
    assert_eq!(client.instant("up", TICK, SOON, &Span::none()).await.unwrap().body, UP.as_bytes());
    let failed = client.instant("up", TICK, SOON, &Span::none()).await.unwrap_err();
    assert_eq!(failed.failure, lost(Lost::CutShort).failure);
}

#[tokio::test]
async fn answers_of_other_kinds_get_their_codes() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error"}"#;
    for (status, body, expected) in [
        (400, bad, ErrorCode::BadData),
        (401, "", ErrorCode::Unauthorized),
        (502, "<html>Bad Gateway</html>", ErrorCode::Internal),
        (503, "busy", ErrorCode::Overloaded),
        (200, "Prometheus is Healthy.", ErrorCode::Malformed),
    ] {
        let stub = Stub::saying(status, body).await;
        assert_eq!(code(&client(&stub, Datasource::default())).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Stub::saying(200, UP).await;
    let location = format!("http://{}/api/v1/query", other.address);
    let stub = Stub::playing(move |_| {
        let mut response = say(307, "");
        response.headers_mut().insert("location", location.parse().unwrap());
        Box::pin(std::future::ready(response))
    })
    .await;
    assert_eq!(code(&client(&stub, Datasource::default())).await, ErrorCode::Malformed);
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unreachable_and_not_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [format!("http://{free}"), format!("https://{free}"), "http://nowhere.invalid".to_owned()] {
        let client = Client::new(&upstream(&url, Datasource::default())).unwrap();
        let failed = client.instant("up", TICK, SOON, &Span::none()).await.unwrap_err();
        assert_eq!(failed.failure, lost(Lost::Unreachable).failure);
        assert!(!failed.cause.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_upstream_that_stays_silent_is_given_up_soon_after_its_time() {
    let stub = Stub::playing(|_| Box::pin(std::future::pending())).await;
    let client = client(&stub, Datasource::default());
    let started = tokio::time::Instant::now();
    let failed = client.instant("up", TICK, Duration::from_millis(100), &Span::none()).await.unwrap_err();
    assert_eq!(failed, lost(Lost::Timeout));
    assert!(started.elapsed() >= MARGIN && started.elapsed() < MARGIN * 3);
}

#[tokio::test]
async fn a_kept_connection_that_died_is_not_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{UP}", UP.len());
    let serve = async {
        let mut buffer = [0; 4096];
        let (mut first, _) = listener.accept().await.unwrap();
        assert!(first.read(&mut buffer).await.unwrap() > 0);
        first.write_all(answer.as_bytes()).await.unwrap();
        // The second query arrives, and gets no answer.
        assert!(first.read(&mut buffer).await.unwrap() > 0);
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        assert!(second.read(&mut buffer).await.unwrap() > 0);
        second.write_all(answer.as_bytes()).await.unwrap();
    };
    let client = Client::new(&upstream(&url, Datasource::default())).unwrap();
    let ask = async {
        client.instant("up", TICK, SOON, &Span::none()).await.unwrap();
        client.instant("up", TICK, SOON, &Span::none()).await.unwrap()
    };
    assert_eq!(tokio::join!(ask, serve).0.body, UP.as_bytes());
}

#[tokio::test]
async fn a_renewed_token_is_used_and_a_password_sent_as_basic_authentication() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "one\n").unwrap();
    let stub = Stub::saying(200, UP).await;
    let bearer = Datasource { bearer_token_file: Some(path.clone()), ..Datasource::default() };
    let bearer = client(&stub, bearer);
    bearer.instant("up", TICK, SOON, &Span::none()).await.unwrap();
    std::fs::write(&path, "two").unwrap();
    tokio::time::pause();
    tokio::time::advance(secret::FRESH_FOR).await;
    tokio::time::resume();
    bearer.instant("up", TICK, SOON, &Span::none()).await.unwrap();
    let basic =
        Datasource { username: Some("user".to_owned()), password_file: Some(path), ..Datasource::default() };
    client(&stub, basic).instant("up", TICK, SOON, &Span::none()).await.unwrap();
    let sent: Vec<_> = stub.asked().iter().map(|asked| asked.headers["authorization"].clone()).collect();
    assert_eq!(sent, ["Bearer one", "Bearer two", "Basic dXNlcjp0d28="]);
    assert!(!format!("{bearer:?}").contains("two"));
}

#[test]
fn files_are_checked_at_start() {
    let gone = || Some("/does/not/exist".into());
    for settings in [
        Datasource { bearer_token_file: gone(), ..Datasource::default() },
        Datasource { username: Some("u".to_owned()), password_file: gone(), ..Datasource::default() },
        Datasource { ca_file: gone(), ..Datasource::default() },
    ] {
        assert!(Client::new(&upstream("http://h", settings)).is_err());
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_configured_and_http_2_is_spoken() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, signed.cert.pem()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stub = Stub::saying_over_tls(TlsAcceptor::from(Arc::new(server)), UP).await;
    let url = format!("https://localhost:{}", stub.address.port());
    let trusting = Datasource { ca_file: Some(path), ..Datasource::default() };
    let client = Client::new(&upstream(&url, trusting)).unwrap();
    assert_eq!(client.instant("up", TICK, SOON, &Span::none()).await.unwrap().body, UP.as_bytes());
    assert_eq!(stub.asked()[0].version, Version::HTTP_2);
    let client = Client::new(&upstream(&url, Datasource::default())).unwrap();
    let failed = client.instant("up", TICK, SOON, &Span::none()).await.unwrap_err();
    assert_eq!(failed.failure.code, ErrorCode::Unreachable);
    assert!(failed.cause.unwrap().contains("certificate"));
}
