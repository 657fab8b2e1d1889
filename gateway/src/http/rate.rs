//! How many streams one address may open.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use governor::middleware::NoOpMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota};
use promcast_proto::problem::Type;
use promcast_runtime::lifecycle::Tasks;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::client::Client;
use super::problem::Problem;
use crate::metrics::{ConnectionError, Metrics};

/// How often addresses that were quiet are forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// The limiter.
#[derive(Clone, Debug)]
pub struct Rate(Arc<GovernorConfig<ByClient, NoOpMiddleware>>);

/// A rate beyond what the limiter can count.
#[derive(Debug, thiserror::Error)]
#[error("`stream.open_rate` and `http.read_rate` must be below a thousand million")]
pub struct InvalidRate;

impl Rate {
    /// So many a second and, after a quiet time, so many at once.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32, tasks: &Tasks) -> Result<Self, InvalidRate> {
        let config = GovernorConfigBuilder::default()
            .period(Duration::from_secs(1) / per_second.get())
            .burst_size(burst.get())
            .key_extractor(ByClient)
            .finish()
            .ok_or(InvalidRate)?;
        let config = Arc::new(config);
        let limiter = config.limiter().clone();
        tasks.background().spawn("rate limiter", async move {
            loop {
                tokio::time::sleep(FORGET).await;
                limiter.retain_recent();
            }
        });
        Ok(Self(config))
    }
}

/// How many streams a user may open, from however many addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UserRate(Arc<DefaultKeyedRateLimiter<Arc<str>>>);

impl UserRate {
    /// So many a second and, after a quiet time, so many at once.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32, tasks: &Tasks) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = Arc::new(DefaultKeyedRateLimiter::keyed(quota));
        let kept = limiter.clone();
        tasks.background().spawn("user rate limiter", async move {
            loop {
                tokio::time::sleep(FORGET).await;
                kept.retain_recent();
            }
        });
        Self(limiter)
    }

    /// Whether this user may open one more now.
    pub(super) fn allows(&self, user: &Arc<str>) -> bool {
        self.0.check_key(user).is_ok()
    }
}

/// The layer in front of a handler.
pub(super) fn layer(rate: &Rate, metrics: Metrics) -> GovernorLayer<ByClient, NoOpMiddleware, Body> {
    GovernorLayer::new(rate.0.clone()).error_handler(move |error| {
        if let GovernorError::TooManyRequests { .. } = error {
            metrics.connection_error(ConnectionError::RateLimited).inc();
        }
        refusal(&error)
    })
}

fn refusal(error: &GovernorError) -> Response<Body> {
    match error {
        GovernorError::TooManyRequests { .. } => {
            let detail =
                "this address asks too fast; wait, and keep streams open instead of opening new ones";
            Problem::new(Type::RateLimited, detail)
        }
        GovernorError::UnableToExtractKey | GovernorError::Other { .. } => {
            Problem::new(Type::Internal, "the client's address is not known")
        }
    }
    .into_response()
}

/// One bucket for each IPv4 address, and for each IPv6 /64, which is what one host gets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByClient;

impl KeyExtractor for ByClient {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let Client(address) =
            request.extensions().get::<Client>().ok_or(GovernorError::UnableToExtractKey)?;
        Ok(match address {
            IpAddr::V4(_) => *address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }
}
