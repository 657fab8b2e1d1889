//! Problem documents (RFC 9457): the one place where an error becomes a status.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use promcast_proto::problem::Type;
use rand::RngExt;
use serde::Serialize;
use tracing::error;

use crate::auth::Denied;
use crate::metrics::Metrics;
use crate::scope;
use crate::subscribe::Refused;

/// What is wrong with a request, for whoever sent it.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Type,
    detail: String,
    position: Option<usize>,
    /// How a caller who is not known can make itself known (RFC 9110, 11.6.1).
    challenge: Option<&'static str>,
}

/// Where no token was sent (RFC 6750, 3: then there is no error code).
const TOKEN_NEEDED: &str = r#"Bearer realm="promcast""#;

/// Where the token does not count.
const TOKEN_REFUSED: &str = r#"Bearer realm="promcast", error="invalid_token""#;

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    /// Where in the query, as a character counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
}

impl Problem {
    /// `detail` tells the caller what to change.
    pub(super) fn new(kind: Type, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), position: None, challenge: None }
    }
}

/// The status that a type of problem has.
pub(super) fn status(kind: Type) -> StatusCode {
    match kind {
        Type::InvalidQuery | Type::InvalidParameter | Type::InvalidCursor | Type::UnknownDatasource => {
            StatusCode::BAD_REQUEST
        }
        Type::Forbidden => StatusCode::FORBIDDEN,
        Type::Unauthenticated => StatusCode::UNAUTHORIZED,
        Type::NotFound => StatusCode::NOT_FOUND,
        Type::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Type::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Type::UriTooLong => StatusCode::URI_TOO_LONG,
        Type::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Type::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Type::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Type::RateLimited | Type::UserLimit => StatusCode::TOO_MANY_REQUESTS,
        Type::AtCapacity | Type::Draining | Type::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Type::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds after which to try again, another number for each client: many that were turned away together must not
/// come back together.
fn retry_after(kind: Type) -> Option<u64> {
    let seconds = match kind {
        Type::RateLimited => 1..=5,
        Type::AtCapacity | Type::UserLimit => 2..=10,
        Type::Draining | Type::Unavailable => 1..=5,
        Type::InvalidQuery
        | Type::InvalidParameter
        | Type::InvalidCursor
        | Type::UnknownDatasource
        | Type::Forbidden
        | Type::Unauthenticated
        | Type::NotFound
        | Type::MethodNotAllowed
        | Type::NotAcceptable
        | Type::UriTooLong
        | Type::HeadersTooLarge
        | Type::BodyTooLarge
        | Type::UnsupportedMediaType
        | Type::Internal => return None,
    };
    Some(rand::rng().random_range(seconds))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(self.kind);
        let document = Document {
            r#type: self.kind.uri(),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            position: self.position,
        };
        let body = serde_json::to_string(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = retry_after(self.kind) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Told { kind: self.kind, detail: self.detail.into() });
        response
    }
}

/// Tells the layers around what a response is: one counts it, and one says it in another form.
#[derive(Clone)]
pub(super) struct Told {
    /// The type.
    pub(super) kind: Type,
    /// What to change.
    pub(super) detail: Arc<str>,
}

/// Counts problem documents.
pub(super) async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(told) = response.extensions().get::<Told>() {
        metrics.problem(told.kind).inc();
    }
    response
}

impl From<Denied> for Problem {
    /// In words that tell nobody what there is: why a token is refused stands in a metric.
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing => {
                let detail = "send a token: `Authorization: Bearer <token>`";
                Self { challenge: Some(TOKEN_NEEDED), ..Self::new(Type::Unauthenticated, detail) }
            }
            Denied::Refused(_) => {
                let detail = "the token does not count here, or no longer; get a new one";
                Self { challenge: Some(TOKEN_REFUSED), ..Self::new(Type::Unauthenticated, detail) }
            }
            Denied::Nothing => Self::new(Type::Forbidden, scope::Error::Forbidden.to_string()),
            Denied::MustName => {
                let detail = "say which namespaces you mean: `namespace=NAME`, once for each";
                Self::new(Type::InvalidParameter, detail)
            }
            Denied::TooMany { most } => {
                let detail = format!("name at most {most} namespaces: `namespace=NAME`, once for each");
                Self::new(Type::InvalidParameter, detail)
            }
            Denied::Unavailable(_) => {
                let detail = "it cannot be found out at the moment what you may see; try again";
                Self::new(Type::Unavailable, detail)
            }
        }
    }
}

impl From<scope::Error> for Problem {
    fn from(error: scope::Error) -> Self {
        let problem = Self { position: error.position(), ..Self::new(error.kind(), error.to_string()) };
        log_fault(error);
        problem
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let problem = Self::new(refused.kind(), refused.to_string());
        match refused {
            Refused::Query { source, .. } => {
                let problem = Self { position: source.position(), ..problem };
                log_fault(source);
                problem
            }
            Refused::Unchanged(_) => problem,
        }
    }
}

/// A check that failed by itself is the gateway's own fault, and its operator's to know.
fn log_fault(error: scope::Error) {
    if let scope::Error::Check(cause) = error {
        error!(error = %cause, "a query could not be checked");
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn every_type_makes_a_document() {
        for kind in Type::ALL {
            let response = Problem::new(*kind, "change this").into_response();
            assert!(response.status().is_client_error() || response.status().is_server_error());
            let wants_retry = matches!(response.status().as_u16(), 429 | 503);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), wants_retry, "{kind:?}");
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["type"], kind.uri());
            assert_eq!(document["status"], status);
            assert_eq!(document["detail"], "change this");
        }
    }
}
