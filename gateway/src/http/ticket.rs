//! `POST /api/v1/metrics/stream/ticket`: a ticket for the stream that the same parameters would open.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use promcast_proto::problem::Type;
use serde::Serialize;

use super::State;
use super::admission::{Asked, queries};
use super::params::{self, Params};
use super::problem::Problem;
use crate::auth::ticket::LIFETIME;

#[derive(Serialize)]
struct Given {
    /// What to open the stream with, as its parameter `ticket`.
    ticket: String,
    /// For how many seconds it can be shown.
    expires_in: u64,
}

/// Gives a ticket to whoever could open the stream.
pub(super) async fn give(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Problem> {
    let query_string = request.uri().query().unwrap_or_default();
    let params = params::read(query_string, request.headers(), state.defaults())?;
    let Params { wanted, namespaces, ticket, .. } = params;
    if ticket.is_some() {
        let detail = "a ticket is no proof for another ticket; send the token in the Authorization header";
        return Err(Problem::new(Type::InvalidParameter, detail));
    }
    let tickets = state.tickets()?;
    let asked = Asked { wanted: &wanted, namespaces, ticket: None };
    let (access, _) = state.admit(request.headers(), asked).await?;
    // A page learns of a mistake here, where it can read the answer: an EventSource cannot.
    state.desk.grants(&access.sight, &wanted).await?;
    let ticket = tickets.give(&access, &queries(&wanted), state.clock.now());
    let given = Given { ticket, expires_in: LIFETIME.as_secs() };
    match serde_json::to_string(&given) {
        Ok(body) => {
            let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")];
            Ok((headers, body).into_response())
        }
        Err(error) => Err(Problem::new(Type::Internal, error.to_string())),
    }
}
