//! A client of the Prometheus HTTP API: one call at a time, never more of an answer than its limits.

use std::error::Error as _;
use std::time::Duration;

use promcast_proto::code::ErrorCode;
use promcast_proto::tick::Tick;
use promcast_runtime::tls;
use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;
use tracing::Span;

use crate::config::{Endpoint, Upstream};
use crate::secret;

pub mod call;
pub mod classify;
pub mod meter;
mod trace;

use call::{Call, Method};
use classify::{Failed, Lost, lost};
use meter::Meter;

/// How much longer than the upstream itself we wait: its own account of a timeout says more than ours.
const MARGIN: Duration = Duration::from_secs(1);

/// Finds connections whose other end went away without a word.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A token or password file.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// The certificate authorities.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The HTTP client.
    #[error("cannot set up the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// What a query is sent with.
#[derive(Debug)]
enum Credentials {
    None,
    Bearer(secret::File),
    Basic(String, secret::File),
}

/// A client of one upstream.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Endpoint,
    credentials: Credentials,
    max_bytes: usize,
    max_series: usize,
}

/// An answer that was read to its end, whatever it says.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// Reads the files that the settings name; connects to nothing yet.
    pub fn new(upstream: &Upstream) -> Result<Self, Error> {
        let settings = &upstream.settings;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client(upstream.url.is_tls(), settings.ca_file.as_deref())?)
            .user_agent(concat!("promcast-poller/", env!("CARGO_PKG_VERSION")))
            .default_headers(settings.headers.as_map().clone())
            // A redirect could carry credentials to another host, and would double every query.
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .tcp_keepalive(KEEPALIVE)
            .pool_max_idle_per_host(settings.max_concurrent.get())
            .build()?;
        let credentials = match (&settings.bearer_token_file, &settings.username, &settings.password_file) {
            (Some(token), _, _) => Credentials::Bearer(secret::File::open(token.clone())?),
            (None, Some(user), Some(password)) => {
                Credentials::Basic(user.clone(), secret::File::open(password.clone())?)
            }
            (None, _, _) => Credentials::None,
        };
        Ok(Self {
            http,
            url: upstream.url.clone(),
            credentials,
            max_bytes: settings.max_response_bytes.get(),
            max_series: settings.max_series.get(),
        })
    }

    /// Runs `query` at `tick`, traced below `parent`. The upstream is given `timeout`, and little longer is waited for.
    pub async fn instant(
        &self,
        query: &str,
        tick: Tick,
        timeout: Duration,
        parent: &Span,
    ) -> Result<Reply, Failed> {
        self.call(&Call::instant(query, tick, timeout), self.max_bytes, parent).await
    }

    /// Makes a call, traced below `parent`. Of its answer no more than `max_bytes` are read, and little longer than its timeout is
    /// waited for.
    pub async fn call(&self, call: &Call, max_bytes: usize, parent: &Span) -> Result<Reply, Failed> {
        let span = trace::begin(parent, call, &self.url.call(&call.path));
        let exchange = async {
            let request = self.authenticate(trace::carry(self.request(call), &span)).await;
            self.read(self.send(request).await?, max_bytes).await
        };
        let answered = tokio::time::timeout(call.timeout + MARGIN, exchange).await;
        let reply = answered.unwrap_or_else(|_| Err(lost(Lost::Timeout)));
        trace::end(&span, &reply);
        reply
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let mut url = self.url.call(&call.path);
        let request = match call.method {
            Method::Post => self.http.post(url).form(&call.parameters),
            Method::Get => {
                if !call.parameters.is_empty() {
                    url.query_pairs_mut().extend_pairs(&call.parameters);
                }
                self.http.get(url)
            }
        };
        request.header(ACCEPT, "application/json")
    }

    async fn authenticate(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::None => request,
            Credentials::Bearer(token) => request.bearer_auth(token.current().await.expose_secret()),
            Credentials::Basic(user, password) => {
                request.basic_auth(user, Some(password.current().await.expose_secret()))
            }
        }
    }

    /// A connection that was kept open may turn out to be dead when it is used: after a restart of the upstream all
    /// of them are. Queries change nothing, so one that got no answer at all is sent once more.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let again = request.try_clone();
        match (request.send().await, again) {
            (Ok(response), _) => Ok(response),
            (Err(error), Some(again)) if !error.is_connect() && !error.is_timeout() => {
                again.send().await.map_err(|error| unanswered(&error))
            }
            (Err(error), _) => Err(unanswered(&error)),
        }
    }

    /// Reads the body as it comes, and stops at once where it is over a limit; what is left of the connection is
    /// then closed.
    async fn read(&self, mut response: Response, max_bytes: usize) -> Result<Reply, Failed> {
        let status = response.status().as_u16();
        if let Some(announced) = response.content_length().and_then(|length| usize::try_from(length).ok()) {
            check_bytes(announced, max_bytes)?;
        }
        let (mut body, mut meter) = (Vec::new(), Meter::default());
        while let Some(chunk) = response.chunk().await.map_err(|error| cut_short(&error))? {
            check_bytes(body.len() + chunk.len(), max_bytes)?;
            self.check_series(meter.feed(&chunk))?;
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }

    fn check_series(&self, series: usize) -> Result<(), Failed> {
        let limit = self.max_series;
        if series <= limit {
            return Ok(());
        }
        let message = format!(
            "the result has {series} series or more, over the limit of {limit}; select less, or aggregate"
        );
        Err(Failed::query(ErrorCode::TooManySeries, message))
    }
}

fn check_bytes(bytes: usize, limit: usize) -> Result<(), Failed> {
    if bytes <= limit {
        return Ok(());
    }
    let message = format!(
        "the datasource sends {bytes} bytes or more, over the limit of {limit}; select less, or aggregate"
    );
    Err(Failed::query(ErrorCode::TooLarge, message))
}

fn unanswered(error: &reqwest::Error) -> Failed {
    let how = if error.is_timeout() && !error.is_connect() { Lost::Timeout } else { Lost::Unreachable };
    lost(how).because(causes(error))
}

fn cut_short(error: &reqwest::Error) -> Failed {
    lost(if error.is_timeout() { Lost::Timeout } else { Lost::CutShort }).because(causes(error))
}

/// What lies under an error of the HTTP client. Its own text is left out: it holds the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.dedup();
    causes.join(": ")
}

#[cfg(test)]
mod tests;
