//! The upstream's answer on its way out, and what is counted of it.

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use crate::http::State;
use crate::metrics::{Endpoint, ReadOutcome};
use crate::reads::Source;

/// A document of a success, and where it came from.
pub(super) struct Answer {
    pub(super) document: Bytes,
    pub(super) outcome: ReadOutcome,
}

impl From<(Bytes, Source)> for Answer {
    fn from((document, source): (Bytes, Source)) -> Self {
        let outcome = match source {
            Source::Asked => ReadOutcome::Asked,
            Source::Shared => ReadOutcome::Shared,
        };
        Self { document, outcome }
    }
}

/// Sends an answer or says why there is none, and counts it.
pub(super) fn respond(state: &State, endpoint: Endpoint, answer: Result<Answer, Failure>) -> Response {
    let (response, outcome) = match answer {
        Ok(Answer { document, outcome }) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            ((headers, document).into_response(), outcome)
        }
        Err(failure) => {
            let response = failure.into_response();
            let refused = response.status().is_client_error();
            (response, if refused { ReadOutcome::Refused } else { ReadOutcome::Failed })
        }
    };
    state.metrics.read(endpoint, outcome).inc();
    response
}
