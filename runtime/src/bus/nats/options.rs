//! Where the servers are and who we are to them. What is secret here never shows in a text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use secrecy::{ExposeSecret, SecretString};

use super::Error;

/// From one sign of life asked of the server to the next. A link that is dead without a word is noticed after three
/// of them (with the client's own 60 s it would take minutes).
const PING: Duration = Duration::from_secs(5);

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest pause between two attempts to connect, before jitter.
const RECONNECT_MAX: Duration = Duration::from_secs(4);

/// Calls on their way to the connection. The client would hold 2048 of them through an outage; we want them to fail.
const CLIENT_CAPACITY: usize = 256;

/// How to reach NATS.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers, at least one; tried in random order.
    pub servers: Vec<Server>,
    /// A user and its password.
    pub login: Option<Login>,
    /// A token, where the servers ask for one instead of a user.
    pub token: Option<SecretString>,
    /// A file with a JWT and an NKey seed, as written by `nsc`.
    pub credentials_file: Option<PathBuf>,
    /// PEM certificates to trust instead of the platform's.
    pub ca_file: Option<PathBuf>,
    /// How this process is named in the server's connection list.
    pub name: String,
    /// The first tokens of the subjects on which replies come in; `_INBOX` unless permissions ask for another.
    pub inbox_prefix: String,
}

/// A user and its password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

impl Options {
    /// Options that say no more than where the servers are.
    pub fn new(servers: Vec<Server>) -> Self {
        Self {
            servers,
            login: None,
            token: None,
            credentials_file: None,
            ca_file: None,
            name: "promcast".to_owned(),
            inbox_prefix: "_INBOX".to_owned(),
        }
    }

    /// The servers as one text for a message.
    pub(super) fn servers_text(&self) -> String {
        self.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn addresses(&self) -> Result<Vec<ServerAddr>, Error> {
        if self.servers.is_empty() {
            return Err(Error::Address("no server is given".to_owned()));
        }
        Ok(self.servers.iter().map(|server| server.0.clone()).collect())
    }

    /// The client's options, with files read once so that a wrong path is told at the start.
    pub(super) async fn for_client(&self) -> Result<ConnectOptions, Error> {
        let mut options = ConnectOptions::new()
            .name(&self.name)
            .custom_inbox_prefix(&self.inbox_prefix)
            .ping_interval(PING)
            .connection_timeout(CONNECT_TIMEOUT)
            .client_capacity(CLIENT_CAPACITY)
            .reconnect_delay_callback(|attempt| jittered(reconnect_delay(attempt)));
        if let Some(Login { user, password }) = &self.login {
            options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
        }
        if let Some(token) = &self.token {
            options = options.token(token.expose_secret().to_owned());
        }
        if let Some(path) = &self.credentials_file {
            options = options.credentials_file(path).await.map_err(|source| unreadable(path, source))?;
        }
        if let Some(path) = &self.ca_file {
            tokio::fs::metadata(path).await.map_err(|source| unreadable(path, source))?;
            options = options.add_root_certificates(path.clone());
        }
        Ok(options)
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

/// The pause before so many-th attempt in a row: none before the first, then doubling up to [`RECONNECT_MAX`].
fn reconnect_delay(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(2)).unwrap_or(u32::MAX);
    match attempt {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_millis(50).saturating_mul(2u32.saturating_pow(doublings)).min(RECONNECT_MAX),
    }
}

/// Something from half of `pause` to all of it, so that many clients do not come back as one.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..1.0))
}

/// The address of one server: `nats://host:port`, or `tls://` where TLS is a must. Prints as such.
#[derive(Clone)]
pub struct Server(ServerAddr);

impl FromStr for Server {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| Error::Address(why.to_owned());
        // The parser's own words are kept, the text is not: it may hold a password.
        let address: ServerAddr =
            text.trim().parse().map_err(|error: std::io::Error| refuse(&error.to_string()))?;
        if !matches!(address.scheme(), "nats" | "tls") || address.host().is_empty() {
            return Err(refuse("it is neither nats://host:port nor tls://host:port"));
        }
        if address.username().is_some() || address.password().is_some() {
            return Err(refuse("it holds a user or a password: give these apart, the password in a file"));
        }
        Ok(Self(address))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host();
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{host}{close}:{}", self.0.scheme(), self.0.port())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_with_its_port() {
        for (text, printed) in [
            ("localhost", "nats://localhost:4222"),
            (" nats://10.0.0.1:5 ", "nats://10.0.0.1:5"),
            ("tls://[::1]", "tls://[::1]:4222"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn a_refused_address_does_not_show_its_password() {
        for text in [
            "nats://me:hunter2@host",
            "nats://hunter2@host",
            "http://hunter2@host",
            "nats://me:hunter2@ho st:x",
        ] {
            let error = text.parse::<Server>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("nats://host:port") || error.contains("in a file"), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let mut options = Options::new(vec!["localhost".parse().unwrap()]);
        options.login = Some(Login { user: "me".to_owned(), password: "hunter2".into() });
        options.token = Some("hunter2".into());
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn reconnecting_starts_at_once_and_slows_down() {
        let delays: Vec<_> = [1, 2, 3, 8, 9, 1000].map(|n| reconnect_delay(n).as_millis()).into();
        assert_eq!(delays, [0, 50, 100, 3200, 4000, 4000]);
    }
}
