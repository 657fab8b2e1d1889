//! HTTP: the router, its layers in the order in which a request passes them, and the listener.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use promcast_proto::problem::Type;
use promcast_proto::tick::{INTERVAL_SECONDS, Interval, Tick};
use promcast_runtime::clock::Clock;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};

use crate::auth::{Authenticator, Pace, Tickets};
use crate::backfill::Backfill;
use crate::connections::Connections;
use crate::fleet::Fleet;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::reads::Reads;
use crate::scope::Scope;
use crate::sse::Rhythm;
use crate::subscribe::Desk;

mod admission;
mod body;
mod client;
mod coding;
mod connection;
mod content;
mod conversation;
mod credentials;
mod description;
mod gathered;
mod handover;
mod listener;
mod pages;
mod params;
mod problem;
mod prometheus;
mod rate;
mod socket;
mod span;
mod stream;
mod ticket;
pub mod tls;
mod together;

pub use client::TrustedProxies;
pub use credentials::Cookie;
pub use gathered::Buffers;
pub use listener::{Server, Transport};
pub use pages::{Missing as MissingPages, Pages};
pub use rate::{InvalidRate, Rate, UserRate};

use params::Defaults;
use problem::Problem;
use span::REQUEST_ID;

/// What handlers work with.
pub struct State {
    /// Who is asking.
    pub authenticator: Authenticator,
    /// Where a token may be besides the header.
    pub cookie: Cookie,
    /// What is shown in place of a token, where that is set up.
    pub tickets: Option<Tickets>,
    /// How often the access of open streams is confirmed.
    pub vigil_pace: Pace,
    /// How many streams a user may open.
    pub user_rate: UserRate,
    /// Whether the text of queries is logged.
    pub log_queries: bool,
    /// What they may see.
    pub scope: Scope,
    /// Where it comes from.
    pub hub: Hub,
    /// Joins what they ask for to that.
    pub desk: Desk,
    /// Where history comes from.
    pub backfill: Backfill,
    /// How many may ask.
    pub connections: Connections,
    /// The other replicas.
    pub fleet: Fleet,
    /// What is asked outside the ticks.
    pub reads: Reads,
    /// How long that may take.
    pub read_timeout: Duration,
    /// How streams behave over time.
    pub rhythm: Arc<Rhythm>,
    /// Whether they are compressed for clients that take that.
    pub gzip: bool,
    /// The interval where the client names none.
    pub default_interval: Interval,
    /// This replica's name.
    pub replica: String,
    /// The time of day.
    pub clock: Clock,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Cancelled when the replica goes away.
    pub soft: CancellationToken,
}

impl State {
    fn defaults(&self) -> Defaults {
        let (interval, backfill_points) = (self.default_interval, self.backfill.points());
        Defaults { interval, backfill_points, now: self.clock.now() }
    }
}

/// What the layers around the handlers need.
pub struct Edge {
    /// Pages of these origins may stream.
    pub origins: Vec<HeaderValue>,
    /// Proxies whose word on the client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// How many streams an address may open.
    pub rate: Rate,
    /// How many other calls it may make: each may cost a look at who it is.
    pub calls: Rate,
    /// What people look at.
    pub pages: Pages,
    /// How many reads it may make: a dashboard makes one for each of its panels.
    pub reads: Rate,
}

/// The path of streams.
const STREAM: &str = "/api/v1/metrics/stream";

/// The path of all connections.
const STATUS: &str = "/api/v1/metrics/stream/status";

/// The path of tickets.
const TICKET: &str = "/api/v1/metrics/stream/ticket";

/// The path of one connection.
const CONNECTION: &str = "/api/v1/metrics/stream/{connection_id}";

/// The path of what describes all of these.
const DESCRIPTION: &str = "/openapi.json";

/// The largest request line and the largest headers, in bytes. Four times what a query of 1000 characters needs when
/// every character is percent-encoded.
const REQUEST_MAX: usize = 32 * 1024;

/// Whether a request for a stream can be read: its parameters, what it accepts, and what it shows of who sent it. Pure; this is
/// the part of a request that anybody can write, before anybody is asked anything.
pub fn is_readable(query_string: &str, headers: &HeaderMap, cookie: &Cookie, now: Tick) -> bool {
    let Ok(interval) = Interval::from_secs(*INTERVAL_SECONDS.start()) else { return false };
    params::accepts_event_stream(headers)
        && params::read(query_string, headers, Defaults { interval, backfill_points: u64::MAX, now })
            .and_then(|params| cookie.shown(headers, params.ticket))
            .is_ok()
}

/// Whether a body can be read that opens a stream, or changes one. Pure.
pub fn is_readable_body(body: &[u8], now: Tick) -> bool {
    let Ok(interval) = Interval::from_secs(*INTERVAL_SECONDS.start()) else { return false };
    body::is_readable(body, Defaults { interval, backfill_points: u64::MAX, now })
}

/// Which limit counts for what an address asks at a path.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// That of new streams.
    Streams,
    /// That of calls about streams.
    Calls,
    /// That of reads.
    Reads,
    /// None: it costs next to nothing.
    Free,
}

/// A path, whose limit counts there, and what it takes.
type Route = (&'static str, Bound, MethodRouter<Arc<State>>);

/// All paths but those of the pages. `docs/openapi.yaml` has the same ones.
fn routes() -> Vec<Route> {
    let mut routes = vec![
        (STREAM, Bound::Streams, get(stream::open).post(stream::post)),
        (TICKET, Bound::Streams, post(ticket::give)),
        (STATUS, Bound::Calls, get(connection::status)),
        (CONNECTION, Bound::Calls, delete(connection::close).patch(connection::change)),
        (DESCRIPTION, Bound::Free, get(description::show)),
    ];
    routes.extend(prometheus::routes().into_iter().map(|(path, route)| (path, Bound::Reads, route)));
    routes
}

/// The router.
pub fn router(state: Arc<State>, edge: Edge) -> Router {
    let metrics = state.metrics.clone();
    let [streams, calls, reads] =
        [&edge.rate, &edge.calls, &edge.reads].map(|rate| rate::layer(rate, metrics.clone()));
    let bounded = |(path, bound, route): Route| {
        let route = match bound {
            Bound::Streams => route.layer(streams.clone()),
            Bound::Calls => route.layer(calls.clone()),
            Bound::Reads => route.layer(reads.clone()),
            Bound::Free => route,
        };
        (path, route)
    };
    let cookies = state.cookie.name.is_some();
    let layers = ServiceBuilder::new()
        .layer(from_fn(span::forget_bad_id))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(from_fn(span::enter))
        .layer(from_fn(prometheus::speak))
        .layer(from_fn_with_state(metrics, problem::count))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            Problem::new(Type::Internal, "the request could not be handled; try again").into_response()
        }))
        .layer(cors(edge.origins, cookies))
        .layer(from_fn(limit_size))
        .layer(from_fn_with_state(edge.trusted_proxies, client::identify));
    let routes = routes().into_iter().map(bounded);
    routes
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(async move |request: Request| edge.pages.answer(request).await)
        .with_state(state)
        .layer(layers)
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("{} is not possible here; the Allow header says what is", request.method());
    Problem::new(Type::MethodNotAllowed, detail)
}

/// Refuses what no client of ours sends, before anything looks at it.
async fn limit_size(request: Request, next: Next) -> Response {
    let line = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if line > REQUEST_MAX {
        let detail = format!("the request line has {line} bytes; at most {REQUEST_MAX} are allowed");
        return Problem::new(Type::UriTooLong, detail).into_response();
    }
    let size: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > REQUEST_MAX {
        let detail = format!("the request headers have {size} bytes; at most {REQUEST_MAX} are allowed");
        return Problem::new(Type::HeadersTooLarge, detail).into_response();
    }
    next.run(request).await
}

fn cors(origins: Vec<HeaderValue>, cookies: bool) -> CorsLayer {
    CorsLayer::new()
        .allow_credentials(cookies)
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
            REQUEST_ID,
        ])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(600))
}
