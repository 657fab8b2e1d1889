//! `healthcheck`: a program asks another process of itself, with the same configuration, whether it is well.
//!
//! For container images, which have no shell and no curl. It goes by the admin listener, as Kubernetes does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::command::Health;
use crate::config::complain;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most bytes of an answer: it is one line.
const ANSWER: usize = 4096;

/// Why it is not known to be well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is chosen when the program starts.
    #[error("`admin.listen` has port 0, so nobody knows where to ask: give it a port")]
    NoPort,
    /// Nobody answers.
    #[error("nobody answers at http://{0}: {1}")]
    Unreachable(SocketAddr, #[source] std::io::Error),
    /// What answers is no admin listener.
    #[error("no usable answer from http://{0}: {1}")]
    Unusable(SocketAddr, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// It takes too long.
    #[error("no answer from http://{0} within {PATIENCE:?}")]
    Late(SocketAddr),
    /// It says no.
    #[error("{}", .0.trim())]
    No(String),
}

/// Asks the admin listener at its configured address: exit code 0 where it says yes. Else it says why, with 1.
pub async fn run(listen: SocketAddr, health: Health) -> ExitCode {
    match ask(listen, health).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn ask(listen: SocketAddr, health: Health) -> Result<(), Error> {
    let address = reachable(listen)?;
    let (status, text) = tokio::time::timeout(PATIENCE, get(address, health.path()))
        .await
        .map_err(|_| Error::Late(address))??;
    if status.is_success() { Ok(()) } else { Err(Error::No(text)) }
}

/// Where a listener on this address is reached from its own machine: one on all addresses is on the loopback one too.
fn reachable(listen: SocketAddr) -> Result<SocketAddr, Error> {
    if listen.port() == 0 {
        return Err(Error::NoPort);
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

async fn get(address: SocketAddr, path: &str) -> Result<(StatusCode, String), Error> {
    let socket = TcpStream::connect(address).await.map_err(|source| Error::Unreachable(address, source))?;
    let call = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let request =
            Request::get(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
        let answer = async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        // The connection ends with its sender, which ends with the answer.
        let (answer, ended) = tokio::join!(answer, connection);
        drop(ended);
        answer
    };
    call.await.map_err(|source| Error::Unusable(address, source))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers the first request with these bytes, and gives the request.
    async fn answered(answer: &'static str) -> (SocketAddr, impl Future<Output = String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let request = async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let read = socket.read(&mut request).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        };
        (address, request)
    }

    async fn asked(answer: &'static str, health: Health) -> (String, Result<(), Error>) {
        let (address, request) = answered(answer).await;
        tokio::join!(request, ask(address, health))
    }

    #[tokio::test]
    async fn a_yes_is_a_success_and_each_question_has_its_path() {
        let yes = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n";
        for (health, line) in
            [(Health::Ready, "GET /-/ready HTTP/1.1"), (Health::Healthy, "GET /-/healthy HTTP/1.1")]
        {
            let (request, outcome) = asked(yes, health).await;
            assert!(request.starts_with(line), "{request}");
            outcome.unwrap();
        }
    }

    #[tokio::test]
    async fn a_no_is_told_in_its_own_words() {
        let no = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\n\r\nbus: not connected\n";
        let error = asked(no, Health::Ready).await.1.unwrap_err();
        assert_eq!(error.to_string(), "bus: not connected");
    }

    #[tokio::test]
    async fn what_does_not_speak_http_is_not_well() {
        let error = asked("SSH-2.0-OpenSSH\r\n\r\n", Health::Ready).await.1.unwrap_err();
        assert!(matches!(error, Error::Unusable(..)), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_its_end() {
        let endless = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        let error = asked(endless, Health::Ready).await.1.unwrap_err();
        assert!(matches!(error, Error::Unusable(..)), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = ask(address, Health::Ready).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(..)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_accepts_and_says_nothing_is_given_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = ask(address, Health::Healthy).await.unwrap_err();
        assert!(matches!(error, Error::Late(..)), "{error}");
        drop(listener);
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_the_loopback_one() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(reached("0.0.0.0:8081").unwrap(), "127.0.0.1:8081");
        assert_eq!(reached("[::]:8081").unwrap(), "[::1]:8081");
        assert_eq!(reached("10.1.2.3:8081").unwrap(), "10.1.2.3:8081");
        assert!(matches!(reached("127.0.0.1:0"), Err(Error::NoPort)));
    }
}
