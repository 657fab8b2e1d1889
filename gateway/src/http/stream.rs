//! `GET /api/v1/metrics/stream`: from a request to an event stream.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State as Shared};
use axum::http::{HeaderValue, Version, header};
use axum::response::Response;
use promcast_proto::problem::Type;
use promcast_proto::tick::Interval;
use promcast_proto::topic::Key;
use tracing::info;
use uuid::Uuid;

use super::State;
use super::admission::Wanted;
use super::client::Client;
use super::params::{self, Params};
use super::problem::Problem;
use crate::connections::{Connection, Full, Pressure};
use crate::hub::Signal;
use crate::metrics::ConnectionError;
use crate::scope::Grant;
use crate::sse::event::{Connected, Subscribed};
use crate::sse::{Parts, Stream};

/// Opens a stream.
pub(super) async fn open(
    Shared(state): Shared<Arc<State>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, Problem> {
    if !params::accepts_event_stream(request.headers()) {
        let detail = "streams are text/event-stream: send `Accept: text/event-stream`, or no Accept header";
        return Err(Problem::new(Type::NotAcceptable, detail));
    }
    let query_string = request.uri().query().unwrap_or_default();
    let params = params::read(query_string, request.headers(), state.default_interval, state.clock.now())?;
    let Params { query, interval, datasource, after, namespaces, ticket } = params;
    let wanted = Wanted { datasource: &datasource, query: &query, namespaces, ticket };
    let (access, vigil) = state.admit(request.headers(), wanted).await?;
    let user = access.caller.user();
    if user.is_some_and(|user| !state.user_rate.allows(user)) {
        state.metrics.connection_error(ConnectionError::RateLimited).inc();
        let detail =
            "this user opens streams too fast; wait, and keep streams open instead of opening new ones";
        return Err(Problem::new(Type::RateLimited, detail));
    }
    let grant = state.scope.authorise(&access.sight, datasource, query).await?;

    let id = Uuid::now_v7().to_string();
    let connection = place(&state, &id, user.cloned(), (grant.topic().key(), interval))?;
    let signal = Arc::new(Signal::default());
    let (feed, resume) = state.hub.attach(&grant, interval, after, signal.clone(), 0);
    info!(
        connection.id = id,
        client.address = %client.0,
        user = user.map(AsRef::<str>::as_ref),
        sight = %access.sight,
        topic = %grant.topic().key(),
        query = state.log_queries.then(|| grant.given()),
        interval_seconds = interval.secs(),
        "stream opened"
    );
    let hello = Connected {
        connection_id: id,
        replica: state.replica.clone(),
        server_time: state.clock.now(),
        heartbeat_seconds: state.rhythm.heartbeat.as_secs(),
        subscriptions: vec![subscribed(&grant, interval, resume)],
    };
    let stream = Stream::new(Parts {
        connection,
        feeds: vec![(feed, after)],
        hello,
        signal,
        pressure: request.extensions().get::<Arc<Pressure>>().cloned().unwrap_or_default(),
        vigil,
        soft: state.soft.clone(),
        rhythm: state.rhythm,
        clock: state.clock.clone(),
        metrics: state.metrics.clone(),
    });
    Ok(respond(request.version(), stream))
}

/// A place on this replica, unless it is full or going away, or the user has all that one may have.
fn place(
    state: &State,
    id: &str,
    user: Option<Arc<str>>,
    subscription: (Key, Interval),
) -> Result<Connection, Problem> {
    let refuse = |reason: ConnectionError, kind: Type, detail: &str| {
        state.metrics.connection_error(reason).inc();
        Problem::new(kind, detail)
    };
    if state.soft.is_cancelled() {
        let detail = "this replica is shutting down; connect again to reach another";
        return Err(refuse(ConnectionError::Draining, Type::Draining, detail));
    }
    state.connections.open(id, user, state.clock.now(), [subscription]).map_err(|full| match full {
        Full::Replica => {
            let detail = "this replica holds as many streams as it may; try again, or reach another";
            refuse(ConnectionError::AtCapacity, Type::AtCapacity, detail)
        }
        Full::User => {
            let detail = "you hold as many streams here as one user may; close one, or reach another replica";
            refuse(ConnectionError::UserLimit, Type::UserLimit, detail)
        }
        Full::UserTopics => {
            let detail = "you stream as many different queries here as one user may; close one first";
            refuse(ConnectionError::UserLimit, Type::UserLimit, detail)
        }
    })
}

fn subscribed(grant: &Grant, interval: Interval, resume: crate::hub::Resume) -> Subscribed {
    Subscribed {
        id: "0".to_owned(),
        topic: grant.topic().key(),
        query: grant.given().to_owned(),
        datasource: grant.topic().datasource().clone(),
        interval,
        resume: resume.into(),
    }
}

fn respond(version: Version, stream: Stream) -> Response {
    let mut response = Response::new(Body::new(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // no-transform: a proxy that compresses would hold events back until its window is full.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    // Connection-specific headers are malformed in HTTP/2 (RFC 9113, 8.2.2).
    if version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    response
}
