//! The three questions to the API server, as requests.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode, header};
use k8s_openapi::Resource;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::client::Body;
use serde::Serialize;

use super::connect::Clients;
use super::metrics::Kind;
use super::review::{self, Access, Identity};
use super::server::{self, Answer, Failure, Said, Server};
use crate::auth::{Namespace, Token};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Who puts them.
pub(super) struct Questions {
    pub(super) clients: Clients,
    pub(super) server: Server,
    /// The audiences of which a token must name one; none for those of the API server.
    pub(super) audiences: Vec<String>,
}

/// What a user's list of projects is.
#[derive(Clone, Debug)]
pub(super) enum Projects {
    /// These, and no others.
    Listed(Arc<[Namespace]>),
    /// More than were asked for.
    TooMany,
    /// The user may not list them.
    Forbidden,
    /// The token does not count.
    Refused,
}

impl Questions {
    /// Whose token it is.
    pub(super) async fn identity(&self, token: &Token) -> Result<Identity, Failure> {
        let audiences = Some(self.audiences.clone()).filter(|audiences| !audiences.is_empty());
        let spec = TokenReviewSpec { token: Some(token.expose().to_owned()), audiences };
        let request = create(&TokenReview { spec, ..TokenReview::default() })?;
        let judge = |answer: Answer| {
            let identity = review::identity(server::read(&answer)?, &self.audiences)?;
            let said = if matches!(identity, Identity::Known(_)) { Said::Yes } else { Said::No };
            Ok((identity, said))
        };
        self.server.ask(Kind::Token, &self.clients.own, request, judge).await
    }

    /// Whether somebody may do what the question says.
    pub(super) async fn access(&self, question: &SubjectAccessReview) -> Result<Access, Failure> {
        let judge = |answer: Answer| {
            let access = review::access(server::read(&answer)?)?;
            Ok((access, if access == Access::Allowed { Said::Yes } else { Said::No }))
        };
        self.server.ask(Kind::Access, &self.clients.own, create(question)?, judge).await
    }

    /// The projects that the owner of the token has any right in, asked for with the token itself.
    pub(super) async fn projects(&self, token: &Token, most: usize) -> Result<Projects, Failure> {
        let judge = |answer: Answer| match answer.0 {
            StatusCode::UNAUTHORIZED => Ok((Projects::Refused, Said::No)),
            StatusCode::FORBIDDEN => Ok((Projects::Forbidden, Said::No)),
            _ => {
                let names = review::projects(server::read(&answer)?, most)?;
                let listed = |names: Vec<Namespace>| Projects::Listed(names.into());
                Ok((names.map_or(Projects::TooMany, listed), Said::Yes))
            }
        };
        self.server.ask(Kind::Projects, &self.clients.bare, list_projects(token, most)?, judge).await
    }
}

/// One more than `most` is asked for, to tell all of them from the first of them. Servers may disregard the limit.
fn list_projects(token: &Token, most: usize) -> Result<Request<Body>, Failure> {
    let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
    let mut bearer = bearer.map_err(|_| Failure::Unsendable)?;
    bearer.set_sensitive(true);
    let limit = most.saturating_add(1);
    Request::get(format!("/apis/project.openshift.io/v1/projects?limit={limit}"))
        .header(header::ACCEPT, JSON)
        .header(header::AUTHORIZATION, bearer)
        .body(Body::empty())
        .map_err(|_| Failure::Unsendable)
}

/// Reviews are objects that are created and kept nowhere: the answer is the object with its status.
fn create<R: Resource + Serialize>(review: &R) -> Result<Request<Body>, Failure> {
    let body = serde_json::to_vec(review).map_err(|_| Failure::Unsendable)?;
    Request::builder()
        .method(Method::POST)
        .uri(format!("/apis/{}/{}", R::API_VERSION, R::URL_PATH_SEGMENT))
        .header(header::CONTENT_TYPE, JSON)
        .header(header::ACCEPT, JSON)
        .body(Body::from(body))
        .map_err(|_| Failure::Unsendable)
}
