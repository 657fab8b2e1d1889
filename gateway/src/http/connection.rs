//! `GET /api/v1/metrics/stream/status` and `DELETE /api/v1/metrics/stream/{connection_id}`, for all replicas.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use promcast_proto::problem::Type;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Key;
use serde::Serialize;
use tracing::info;

use super::State;
use super::problem::Problem;
use crate::fleet::Closed;

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
        .map(|held| Subscription { topic: held.key, interval: held.interval, last_tick: held.last })
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
        Closed::Yes => {
            info!(connection.id = %id, user = caller.user().map(AsRef::<str>::as_ref), "connection closed by request");
            Ok(StatusCode::NO_CONTENT)
        }
        Closed::Unknown => Err(unknown()),
        Closed::Undecided => {
            let detail = "not all replicas answered, and none that did holds this connection; try again";
            Err(Problem::new(Type::Unavailable, detail))
        }
    }
}

fn unknown() -> Problem {
    Problem::new(Type::NotFound, "no replica holds a connection of this id; it may have ended")
}
