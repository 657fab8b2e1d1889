//! `GET` and `POST /api/v1/metrics/stream`: from a request to an event stream.

use std::sync::Arc;

use axum::extract::{Extension, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use promcast_proto::control::Wanted;
use promcast_proto::problem::Type;
use promcast_proto::tick::Tick;
use tracing::info;
use uuid::Uuid;

use super::State;
use super::admission::Asked;
use super::body;
use super::client::Client;
use super::coding;
use super::handover;
use super::params::{self, Params, parameter};
use super::problem::Problem;
use super::span::Topics;
use crate::auth::Access;
use crate::connections::{Connection, Full, Joined, Opening, Roster};
use crate::hub::Signal;
use crate::metrics::ConnectionError;
use crate::scope::Grant;
use crate::sse::event::Connected;
use crate::sse::{Coding, Parts, Stream};
use crate::subscribe;

/// Opens a stream of the queries in the query string.
pub(super) async fn open(
    Shared(state): Shared<Arc<State>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, Problem> {
    check_accept(request.headers())?;
    let query_string = request.uri().query().unwrap_or_default();
    let params = params::read(query_string, request.headers(), state.defaults())?;
    start(&state, &client, request.headers(), params).await
}

/// Opens a stream of the subscriptions in the body.
pub(super) async fn post(
    Shared(state): Shared<Arc<State>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, Problem> {
    check_accept(request.headers())?;
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(parameter("a stream that is opened by POST takes its parameters from the body alone"));
    }
    let (head, body) = request.into_parts();
    let params = body::opening(&head.headers, body, state.defaults()).await?;
    start(&state, &client, &head.headers, params).await
}

fn check_accept(headers: &HeaderMap) -> Result<(), Problem> {
    if params::accepts_event_stream(headers) {
        return Ok(());
    }
    let detail = "streams are text/event-stream: send `Accept: text/event-stream`, or no Accept header";
    Err(Problem::new(Type::NotAcceptable, detail))
}

async fn start(
    state: &Arc<State>,
    client: &Client,
    headers: &HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let Params { mut wanted, positions, namespaces, ticket, backfill, format, traced } = params;
    let (access, vigil) = state.admit(headers, Asked { wanted: &wanted, namespaces, ticket }).await?;
    check_rate(state, &access)?;
    let grants = state.desk.grants(&access.sight, &wanted).await?;
    go_on(&mut wanted, &grants, &positions);

    let id = Uuid::now_v7().to_string();
    let signal = Arc::new(Signal::default());
    let coding = if state.gzip { coding::of(headers) } else { Coding::Identity };
    let (connection, joined) = place(state, &id, &access, &wanted, &grants, &signal)?;
    log(state, &id, client, &access, &wanted, &grants);
    let hello = Connected {
        connection_id: id,
        replica: state.replica.clone(),
        server_time: state.clock.now(),
        heartbeat_seconds: state.rhythm.heartbeat.as_secs(),
        format,
        subscriptions: subscribe::tell(&wanted, &grants, &joined),
    };
    let stream = Stream::new(Parts {
        connection,
        joined,
        places: wanted.len(),
        hello,
        format,
        traced,
        coding,
        backfill: backfill.map(|depth| (state.backfill.clone(), depth)),
        signal,
        vigil,
        rhythm: state.rhythm.clone(),
        clock: state.clock.clone(),
        metrics: state.metrics.clone(),
    });
    let mut response = respond(stream, coding);
    response.extensions_mut().insert(topics(state, &grants));
    Ok(response)
}

/// What the span of the request says of the stream.
fn topics(state: &State, grants: &[Grant]) -> Topics {
    let keys: Vec<_> = grants.iter().map(|grant| grant.topic().key()).collect();
    let updates = keys.iter().filter_map(|key| state.hub.arrived(*key, None)?.1.sender()).collect();
    Topics { keys, updates }
}

fn check_rate(state: &State, access: &Access) -> Result<(), Problem> {
    if access.caller.user().is_none_or(|user| state.user_rate.allows(user)) {
        return Ok(());
    }
    state.metrics.connection_error(ConnectionError::RateLimited).inc();
    let detail = "this user opens streams too fast; wait, and keep streams open instead of opening new ones";
    Err(Problem::new(Type::RateLimited, detail))
}

/// Sets each subscription to where the cursor says. One position is for one place; a position that cannot be of the topic that
/// is there is of one that was added to the connection later.
fn go_on(wanted: &mut [Wanted], grants: &[Grant], positions: &[Option<Tick>]) {
    let single = positions.len() == 1 && wanted.len() == 1;
    for ((wanted, grant), position) in wanted.iter_mut().zip(grants).zip(positions) {
        let phase = grant.topic().key().phase();
        let fits = |tick: &Tick| single || (tick.millis() - phase.millis()).rem_euclid(1000) == 0;
        wanted.after = wanted.after.or(position.filter(fits));
    }
}

/// A place on this replica, unless it is full or going away, or the user has all that one may have.
fn place(
    state: &State,
    id: &str,
    access: &Access,
    wanted: &[Wanted],
    grants: &[Grant],
    signal: &Arc<Signal>,
) -> Result<(Connection, Vec<Joined>), Problem> {
    let refuse = |reason: ConnectionError, kind: Type, detail: String| {
        state.metrics.connection_error(reason).inc();
        Problem::new(kind, detail)
    };
    if state.soft.is_cancelled() {
        let detail = "this replica is shutting down; connect again to reach another".to_owned();
        return Err(refuse(ConnectionError::Draining, Type::Draining, detail));
    }
    let wishes = subscribe::wishes(wanted, grants);
    let (roster, diff) = Roster::of_request(&wishes, state.connections.limits().subscriptions)
        .map_err(|conflict| parameter(conflict.to_string()))?;
    let opening = Opening {
        id: id.to_owned(),
        user: access.caller.user().cloned(),
        sight: access.sight.clone(),
        opened: state.clock.now(),
        roster,
        signal: signal.clone(),
    };
    let connection = state.connections.open(opening).map_err(|full| match full {
        Full::Replica => refuse(ConnectionError::AtCapacity, Type::AtCapacity, full.to_string()),
        Full::User | Full::UserTopics => {
            refuse(ConnectionError::UserLimit, Type::UserLimit, full.to_string())
        }
    })?;
    Ok((connection, state.desk.join(diff.joined, wanted, grants, signal)))
}

fn log(state: &State, id: &str, client: &Client, access: &Access, wanted: &[Wanted], grants: &[Grant]) {
    for (subscription, grant) in wanted.iter().zip(grants) {
        info!(
            connection.id = id,
            client.address = %client.0,
            user = access.caller.user().map(AsRef::<str>::as_ref),
            sight = %access.sight,
            topic = %grant.topic().key(),
            query = state.log_queries.then(|| grant.given()),
            interval_seconds = subscription.interval.secs(),
            "stream opened"
        );
    }
}

fn respond(stream: Stream, coding: Coding) -> Response {
    let mut response = Response::default();
    handover::put(&mut response, stream);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // no-transform: a proxy that compresses would hold events back until its window is full.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if coding == Coding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
