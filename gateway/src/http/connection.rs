//! `GET /api/v1/metrics/stream/status`, and `PATCH` and `DELETE /api/v1/metrics/stream/{connection_id}`, for all replicas.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use promcast_proto::control::Changed;
use promcast_proto::problem::Type;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use serde::Serialize;
use tracing::info;

use super::State;
use super::body::{self, Change};
use super::problem::Problem;
use crate::fleet::Found;

/// Answers are about this moment.
const NO_STORE: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")];

#[derive(Serialize)]
struct Status {
    /// Replicas that there are.
    replicas_known: usize,
    /// Replicas whose connections are listed. Fewer than known: the list is not whole.
    replicas_answered: usize,
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    connection_id: String,
    /// Whose it is, where users are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    replica: String,
    /// Unix milliseconds.
    opened: Tick,
    subscriptions: Vec<Subscription>,
}

#[derive(Serialize)]
struct Subscription {
    id: String,
    topic: Key,
    interval: Interval,
    /// The last tick sent, in Unix milliseconds.
    last_tick: Option<Tick>,
}

/// The connections on all replicas: the caller's own, or everybody's where the caller sees all metrics.
pub(super) async fn status(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = state.identify(&headers).await?;
    let fleet = state.fleet.status(caller.confined_to()).await;
    let answered = fleet.replicas.len();
    let connections = fleet
        .replicas
        .into_iter()
        .flat_map(|(replica, held)| held.into_iter().map(move |connection| describe(&replica, connection)))
        .collect();
    let status = Status { replicas_known: fleet.known, replicas_answered: answered, connections };
    match serde_json::to_string(&status) {
        Ok(body) => Ok((NO_STORE, body).into_response()),
        Err(error) => Err(Problem::new(Type::Internal, error.to_string())),
    }
}

fn describe(replica: &str, connection: promcast_proto::control::Connection) -> Connection {
    let promcast_proto::control::Connection { id, user, opened, subscriptions } = connection;
    let subscriptions = subscriptions
        .into_iter()
        .map(|held| Subscription {
            id: held.id,
            topic: held.key,
            interval: held.interval,
            last_tick: held.last,
        })
        .collect();
    let replica = replica.to_owned();
    Connection { connection_id: id, user, replica, opened, subscriptions }
}

/// Closes a connection, wherever it is. Somebody else's is as unknown as one that there is not.
pub(super) async fn close(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let caller = state.identify(&headers).await?;
    // What is no id at all is asked of nobody.
    let Ok(id) = id.parse::<uuid::Uuid>() else { return Err(unknown()) };
    match state.fleet.close(&id.to_string(), caller.confined_to()).await {
        Found::Done(()) => {
            info!(connection.id = %id, user = caller.user().map(AsRef::<str>::as_ref), "connection closed by request");
            Ok(StatusCode::NO_CONTENT)
        }
        Found::Unknown => Err(unknown()),
        Found::Undecided => Err(undecided()),
    }
}

/// Changes what a connection streams, wherever it is. The queries see what those see that it was opened with.
pub(super) async fn change(
    Shared(state): Shared<Arc<State>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let caller = state.identify(request.headers()).await?;
    let Ok(id) = id.parse::<uuid::Uuid>() else { return Err(unknown()) };
    let (head, body) = request.into_parts();
    let Change { add, remove } = body::change(&head.headers, body, state.defaults()).await?;
    // Whoever sees all may look at what others stream, and end it, but not make of it what they like.
    let user = caller.user().map(ToString::to_string);
    let changed = match state.fleet.change(&id.to_string(), user, add, remove).await {
        Found::Done(Ok(changed)) => changed,
        Found::Done(Err(refusal)) => return Err(Problem::new(refusal.kind, refusal.detail)),
        Found::Unknown => return Err(unknown()),
        Found::Undecided => return Err(undecided()),
    };
    info!(
        connection.id = %id,
        user = caller.user().map(AsRef::<str>::as_ref),
        added = changed.added.len(),
        removed = changed.removed.len(),
        "stream changed"
    );
    let answer = Answer { connection_id: id.to_string(), changed };
    match serde_json::to_string(&answer) {
        Ok(body) => Ok((NO_STORE, body).into_response()),
        Err(error) => Err(Problem::new(Type::Internal, error.to_string())),
    }
}

#[derive(Serialize)]
struct Answer {
    connection_id: String,
    #[serde(flatten)]
    changed: Changed,
}

fn undecided() -> Problem {
    let detail = "not all replicas answered, and none that did holds this connection; try again";
    Problem::new(Type::Unavailable, detail)
}

fn unknown() -> Problem {
    Problem::new(Type::NotFound, "no replica holds a connection of this id; it may have ended")
}
