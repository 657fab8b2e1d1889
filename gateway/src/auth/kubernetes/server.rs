//! The way to the API server: few questions at a time, each with an end, and answers of a bounded size.
//!
//! `kube` brings the credentials and TLS. Its typed calls are not used: what they cannot read they write to the log, and a
//! TokenReview has the token in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::metrics::{Kind, Metrics, Outcome};
use crate::auth;

/// The largest answer that is read, in bytes. A list of 50 projects is some 100 KB; one with thousands, each with all its annotations,
/// is of no use here.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It took too long.
    #[error("the API server did not answer within {0:?}")]
    TimedOut(Duration),
    /// No connection, or a broken one.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// The gateway's own rights.
    #[error(
        "the API server answers {0} to the gateway itself: its credentials must be valid and may create tokenreviews and subjectaccessreviews"
    )]
    NotPermitted(StatusCode),
    /// The API server has a problem.
    #[error("the API server answers {0}")]
    Status(StatusCode),
    /// It cannot be put into a request.
    #[error("the question cannot be put into a request")]
    Unsendable,
    /// More than anybody reads.
    #[error("the answer of the API server is larger than {ANSWER_MAX} bytes")]
    TooLarge,
    /// Not the JSON of what was asked for. What it is instead is not told: there may be a token in it.
    #[error("the answer of the API server cannot be read, from line {line}, column {column}")]
    Unreadable {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// JSON that makes no sense.
    #[error("the API server sent {0}")]
    Contradiction(&'static str),
}

impl Failure {
    fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut(_) => Outcome::TimedOut,
            Self::Unreachable(_) | Self::Unsendable => Outcome::Unreachable,
            Self::NotPermitted(_) => Outcome::NotPermitted,
            Self::Status(_) => Outcome::ErrorStatus,
            Self::TooLarge | Self::Unreadable { .. } | Self::Contradiction(_) => Outcome::BadAnswer,
        }
    }
}

impl From<Failure> for auth::Error {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.to_string())
    }
}

/// Whether the API server said yes or no, for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Yes,
    No,
}

/// An answer: the status and all of the body.
pub(super) type Answer = (StatusCode, Vec<u8>);

/// The API server.
pub(super) struct Server {
    permits: Semaphore,
    timeout: Duration,
    metrics: Metrics,
    /// By [`Kind`]: whether the last question failed. The log tells of a change, not of each failure.
    failing: [AtomicBool; Kind::ALL.len()],
}

impl Server {
    /// One that takes `concurrency` questions at a time, and `timeout` for each.
    pub(super) fn new(concurrency: usize, timeout: Duration, metrics: Metrics) -> Self {
        let permits = Semaphore::new(concurrency);
        Self { permits, timeout, metrics, failing: Default::default() }
    }

    /// Sends `request` by `client`, and gives what `judge` makes of the answer. A wait for a free place is part of the time.
    pub(super) async fn ask<T>(
        &self,
        kind: Kind,
        client: &Client,
        request: Request<Body>,
        judge: impl FnOnce(Answer) -> Result<(T, Said), Failure>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let answer = match timeout(self.timeout, self.send(client, request)).await {
            Ok(answer) => answer.and_then(judge),
            Err(_) => Err(Failure::TimedOut(self.timeout)),
        };
        let outcome = match &answer {
            Ok((_, Said::Yes)) => Outcome::Allowed,
            Ok((_, Said::No)) => Outcome::Denied,
            Err(failure) => failure.outcome(),
        };
        self.metrics.reviewed(kind, outcome, started.elapsed());
        self.tell(kind, answer.as_ref().err());
        answer.map(|(value, _)| value)
    }

    async fn send(&self, client: &Client, request: Request<Body>) -> Result<Answer, Failure> {
        let gone = |_| Failure::Unreachable("the gateway is ending".to_owned());
        let _permit = self.permits.acquire().await.map_err(gone)?;
        let response = client.send(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        match Limited::new(response.into_body(), ANSWER_MAX).collect().await {
            Ok(body) => Ok((status, body.to_bytes().to_vec())),
            Err(error) if error.is::<LengthLimitError>() => Err(Failure::TooLarge),
            Err(_) => Err(Failure::Unreachable("the connection broke within an answer".to_owned())),
        }
    }

    fn tell(&self, kind: Kind, failure: Option<&Failure>) {
        let Some(failing) = self.failing.get(kind as usize) else { return };
        let before = failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !before => {
                warn!(kind = kind.as_str(), %error, "reviews fail: who has no answer in the cache is not let in");
            }
            None if before => info!(kind = kind.as_str(), "reviews work again"),
            Some(_) | None => {}
        }
    }
}

/// The object in an answer to a question that the gateway asked with its own credentials.
pub(super) fn read<A: DeserializeOwned>((status, body): &Answer) -> Result<A, Failure> {
    match *status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::NotPermitted(*status)),
        status if !status.is_success() => Err(Failure::Status(status)),
        _ => serde_json::from_slice(body)
            .map_err(|error| Failure::Unreadable { line: error.line(), column: error.column() }),
    }
}

/// What went wrong on the way, with its causes. Of errors that are none of the connection only the kind is told: those of credentials may
/// hold what a plugin printed.
fn unreachable(error: &kube::Error) -> Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "kube's errors are many, and these two are of the connection"
    )]
    let cause = match error {
        kube::Error::Service(error) => chain(error.as_ref()),
        kube::Error::HyperError(error) => chain(error),
        _ => "the request could not be made with the gateway's credentials".to_owned(),
    };
    Failure::Unreachable(cause)
}

fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
