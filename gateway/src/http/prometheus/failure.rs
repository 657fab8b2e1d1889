//! Errors in Prometheus's own form: `{"status":"error","errorType":"bad_data","error":"…"}`, with the statuses that it gives them.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use promcast_proto::code::ErrorCode;
use promcast_proto::problem::Type;
use promcast_runtime::bus;
use serde::Serialize;
use tracing::warn;

use super::PATHS;
use crate::http::problem::{Problem, Told};
use crate::{line, reads, scope};

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// What any call of the gateway may come to; [`speak`] says it in Prometheus's form.
    Problem(Problem),
    /// What Prometheus itself would say.
    Said(Kind, String),
}

/// The kinds of error, as `errorType` has them. The first five are Prometheus's own, the others those of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    BadData,
    Execution,
    Timeout,
    Canceled,
    Internal,
    Unavailable,
    NotFound,
    Unauthorized,
    Forbidden,
    TooManyRequests,
    TooLargeEntry,
    /// The form did not come in time.
    #[serde(rename = "timeout")]
    Slow,
    /// The upstream's answer, or its refusal of the gateway itself.
    #[serde(rename = "internal")]
    BadGateway,
}

impl Kind {
    /// The status, as Prometheus has it for its own kinds (`web/api/v1/api.go`, `respondError`).
    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout | Self::Canceled | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLargeEntry => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    kind: Kind,
    error: &'a str,
}

fn document(kind: Kind, error: &str) -> String {
    serde_json::to_string(&Document { status: "error", kind, error }).unwrap_or_default()
}

impl Failure {
    /// The call says something that cannot be used.
    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self::Said(Kind::BadData, error.into())
    }

    /// A parameter that cannot be used.
    pub(super) fn parameter(name: &str, error: impl Display) -> Self {
        Self::bad(format!("invalid parameter \"{name}\": {error}"))
    }

    /// The caller gives no time.
    pub(super) fn late() -> Self {
        Self::Said(Kind::Timeout, "query timed out in query execution".to_owned())
    }

    /// The form takes too long to come.
    pub(super) fn slow() -> Self {
        Self::Said(Kind::Slow, "the form did not come in time".to_owned())
    }

    /// The form is too large.
    pub(super) fn large(most: usize) -> Self {
        Self::Said(Kind::TooLargeEntry, format!("the form has more than {most} bytes, or was cut short"))
    }

    /// The parameter `name` has what cannot be granted.
    pub(super) fn scope(name: &str, error: scope::Error) -> Self {
        match error {
            scope::Error::Query(invalid @ scope::Invalid::Syntax { .. }) => {
                Self::parameter(name, format_args!("parse error: {invalid}"))
            }
            scope::Error::Query(invalid) => Self::parameter(name, invalid),
            scope::Error::Forbidden | scope::Error::Datasource(_) | scope::Error::Check(_) => {
                Self::Problem(error.into())
            }
        }
    }
}

impl From<Arc<reads::Error>> for Failure {
    fn from(error: Arc<reads::Error>) -> Self {
        match &*error {
            reads::Error::Line(line::Error::Upstream(failure)) => {
                Self::Said(kind(failure.code), failure.message.clone())
            }
            reads::Error::Line(line::Error::Bus(bus::Error::Unanswered)) => {
                Self::Said(Kind::Unavailable, "no poller answered for the datasource; try again".to_owned())
            }
            reads::Error::Line(line::Error::Late) => {
                Self::Said(Kind::Unavailable, format!("{error}; try again"))
            }
            reads::Error::Line(line::Error::Bus(error)) => {
                warn!(%error, "a read could not be asked");
                let detail = "the datasource cannot be asked at the moment; try again";
                Self::Problem(Problem::new(Type::Unavailable, detail))
            }
            reads::Error::Unrestricted => Self::Said(Kind::Execution, error.to_string()),
            reads::Error::Body(error) => Self::Said(Kind::Execution, error.to_string()),
            reads::Error::Unreadable(cause) => {
                warn!(error = %cause, "an answer cannot be read");
                Self::Said(Kind::BadGateway, error.to_string())
            }
        }
    }
}

/// What Prometheus calls a failure of its own, and what fits best where it is none.
fn kind(code: ErrorCode) -> Kind {
    match code {
        ErrorCode::BadData => Kind::BadData,
        ErrorCode::Execution | ErrorCode::TooLarge | ErrorCode::TooManySeries => Kind::Execution,
        ErrorCode::Timeout => Kind::Timeout,
        ErrorCode::Canceled => Kind::Canceled,
        ErrorCode::Internal => Kind::Internal,
        ErrorCode::Unreachable | ErrorCode::Overloaded | ErrorCode::Unanswered => Kind::Unavailable,
        ErrorCode::Unauthorized | ErrorCode::Malformed => Kind::BadGateway,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (kind, error) = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::Said(kind, error) => (kind, error),
        };
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (kind.status(), headers, document(kind, &error)).into_response();
        if kind == Kind::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// Says the problems of these paths in Prometheus's form; status and headers stay as they are.
pub(in crate::http) async fn speak(request: Request, next: Next) -> Response {
    let ours = request.extensions().get::<MatchedPath>().is_some_and(|path| PATHS.contains(&path.as_str()));
    let mut response = next.run(request).await;
    let Some(told) = response.extensions().get::<Told>().filter(|_| ours).cloned() else { return response };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = document(kind_of(told.kind), &told.detail).into();
    response
}

fn kind_of(problem: Type) -> Kind {
    match problem {
        Type::InvalidQuery
        | Type::InvalidParameter
        | Type::InvalidCursor
        | Type::UnknownDatasource
        | Type::MethodNotAllowed
        | Type::NotAcceptable
        | Type::UriTooLong
        | Type::HeadersTooLarge
        | Type::BodyTooLarge
        | Type::UnsupportedMediaType => Kind::BadData,
        Type::Forbidden => Kind::Forbidden,
        Type::Unauthenticated => Kind::Unauthorized,
        Type::NotFound => Kind::NotFound,
        Type::RateLimited | Type::UserLimit => Kind::TooManyRequests,
        Type::AtCapacity | Type::Draining | Type::Unavailable => Kind::Unavailable,
        Type::Internal => Kind::Internal,
    }
}

/// All kinds of error in their spelling.
#[cfg(test)]
pub(in crate::http) fn kinds() -> std::collections::BTreeSet<String> {
    use Kind::{BadData, BadGateway, Canceled, Execution, Forbidden, Internal, NotFound, Slow, Timeout};
    use Kind::{TooLargeEntry, TooManyRequests, Unauthorized, Unavailable};
    let all = [BadData, Execution, Timeout, Canceled, Internal, Unavailable, NotFound, Unauthorized];
    let ours = [Forbidden, TooManyRequests, TooLargeEntry, Slow, BadGateway];
    let text = |kind: Kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
    all.into_iter().chain(ours).map(text).collect()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn told(failure: Failure) -> (u16, String) {
        let response = failure.into_response();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn errors_are_in_prometheus_form() {
        let (status, body) =
            told(Failure::parameter("time", "cannot parse \"x\" to a valid timestamp")).await;
        assert_eq!(status, 400);
        assert_eq!(
            body,
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": cannot parse \"x\" to a valid timestamp"}"#
        );
    }

    #[tokio::test]
    async fn each_code_of_an_upstream_has_the_status_that_prometheus_gives_it() {
        let status = async |code| {
            let failure = promcast_proto::update::Failure { code, message: "m".to_owned() };
            told(Arc::new(reads::Error::Line(line::Error::Upstream(failure))).into()).await.0
        };
        for (code, expected) in [
            (ErrorCode::BadData, 400),
            (ErrorCode::Execution, 422),
            (ErrorCode::Timeout, 503),
            (ErrorCode::Canceled, 503),
            (ErrorCode::Internal, 500),
            (ErrorCode::Unreachable, 503),
            (ErrorCode::Malformed, 502),
            (ErrorCode::TooLarge, 422),
        ] {
            assert_eq!(status(code).await, expected, "{code:?}");
        }
    }
}
