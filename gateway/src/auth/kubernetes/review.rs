//! What the answers of the API server mean. Whatever is not a clear yes is no yes.

use k8s_openapi::api::authentication::v1::{TokenReview, UserInfo};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use serde::Deserialize;

use super::server::Failure;
use crate::auth::{Namespace, Reason};

/// What a TokenReview says.
#[derive(Debug, PartialEq)]
pub(super) enum Identity {
    /// The token is this user's.
    Known(UserInfo),
    /// The token does not count.
    Refused(Reason),
    /// The token does not count, or could not be checked: the API server reports both alike, for a token that it does not know is an
    /// error of one of its authenticators.
    Unsure,
}

/// What a SubjectAccessReview says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Yes.
    Allowed,
    /// No.
    Denied,
    /// No, but something went wrong on the way there. That may be for good: RBAC reports each binding to a role that is gone.
    Unsure,
}

/// Reads a TokenReview that was asked for with these audiences.
pub(super) fn identity(review: TokenReview, audiences: &[String]) -> Result<Identity, Failure> {
    let status = review.status.ok_or(Failure::Contradiction("a TokenReview without a status"))?;
    let error = status.error.is_some_and(|error| !error.is_empty());
    match (status.authenticated.unwrap_or_default(), error) {
        (false, false) => return Ok(Identity::Refused(Reason::Rejected)),
        (false, true) => return Ok(Identity::Unsure),
        (true, true) => {
            return Err(Failure::Contradiction("a TokenReview that is authenticated and an error"));
        }
        (true, false) => {}
    }
    // An authenticator that knows of no audiences names none: then the token is one for the API server, and not for this gateway.
    let named = status.audiences.unwrap_or_default();
    if !audiences.is_empty() && !audiences.iter().any(|audience| named.contains(audience)) {
        return Ok(Identity::Refused(Reason::Audience));
    }
    let user = status.user.filter(|user| user.username.as_ref().is_some_and(|name| !name.is_empty()));
    user.map(Identity::Known)
        .ok_or(Failure::Contradiction("a TokenReview that is authenticated with no user"))
}

/// Reads a SubjectAccessReview.
pub(super) fn access(review: SubjectAccessReview) -> Result<Access, Failure> {
    let status = review.status.ok_or(Failure::Contradiction("a SubjectAccessReview without a status"))?;
    let error = status.evaluation_error.is_some_and(|error| !error.is_empty());
    match (status.allowed, status.denied.unwrap_or_default()) {
        (true, false) => Ok(Access::Allowed),
        (true, true) => Err(Failure::Contradiction("a SubjectAccessReview that is allowed and denied")),
        (false, _) if error => Ok(Access::Unsure),
        (false, _) => Ok(Access::Denied),
    }
}

/// A list of `project.openshift.io/v1`, as much of it as is needed.
#[derive(Debug, Deserialize)]
pub(super) struct ProjectList {
    kind: String,
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<Project>>,
}

#[derive(Debug, Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue")]
    more: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Project {
    metadata: Named,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// The names on a list of projects, unless there are more than `most`.
pub(super) fn projects(list: ProjectList, most: usize) -> Result<Option<Vec<Namespace>>, Failure> {
    if list.kind != "ProjectList" {
        return Err(Failure::Contradiction("something else for a ProjectList"));
    }
    let items = list.items.unwrap_or_default();
    if items.len() > most || list.metadata.more.is_some_and(|more| !more.is_empty()) {
        return Ok(None);
    }
    let names = items.iter().map(|project| project.metadata.name.parse());
    let names = names.collect::<Result<_, _>>();
    names.map(Some).map_err(|_| Failure::Contradiction("a project whose name is none of a namespace"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::TokenReviewStatus;
    use k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus;
    use proptest::prelude::*;

    use super::*;

    fn user() -> UserInfo {
        UserInfo { username: Some("ada".into()), ..UserInfo::default() }
    }

    fn known() -> TokenReviewStatus {
        TokenReviewStatus { authenticated: Some(true), user: Some(user()), ..TokenReviewStatus::default() }
    }

    fn token(status: TokenReviewStatus, audiences: &[&str]) -> Result<Identity, Failure> {
        let audiences: Vec<_> = audiences.iter().map(ToString::to_string).collect();
        identity(TokenReview { status: Some(status), ..TokenReview::default() }, &audiences)
    }

    #[test]
    fn a_token_counts_where_the_review_says_so_and_names_a_user() {
        assert_eq!(token(known(), &[]).unwrap(), Identity::Known(user()));
        let nobody = TokenReviewStatus { user: Some(UserInfo::default()), ..known() };
        assert!(token(nobody, &[]).is_err());
        assert!(token(TokenReviewStatus { user: None, ..known() }, &[]).is_err());
        let rejected = TokenReviewStatus { authenticated: None, ..known() };
        assert_eq!(token(rejected, &[]).unwrap(), Identity::Refused(Reason::Rejected));
        assert!(identity(TokenReview::default(), &[]).is_err());
    }

    #[test]
    fn an_error_beside_the_user_is_no_yes() {
        let error = Some("webhook: timed out".to_owned());
        assert!(token(TokenReviewStatus { error: error.clone(), ..known() }, &[]).is_err());
        let unknown = TokenReviewStatus { error, authenticated: Some(false), ..known() };
        assert_eq!(token(unknown, &[]).unwrap(), Identity::Unsure);
    }

    #[test]
    fn where_audiences_were_asked_for_one_of_them_must_come_back() {
        let named = |names: &[&str]| TokenReviewStatus {
            audiences: Some(names.iter().map(ToString::to_string).collect()),
            ..known()
        };
        assert_eq!(token(named(&["x", "promcast"]), &["promcast", "y"]).unwrap(), Identity::Known(user()));
        for foreign in [named(&["x"]), named(&[]), known()] {
            assert_eq!(token(foreign, &["promcast"]).unwrap(), Identity::Refused(Reason::Audience));
        }
    }

    proptest! {
        #[test]
        fn access_is_given_only_where_it_is_allowed_and_not_denied(
            allowed: bool,
            denied: Option<bool>,
            evaluation_error in proptest::option::of("[a-z]{0,3}"),
        ) {
            let status = SubjectAccessReviewStatus { allowed, denied, evaluation_error, reason: None };
            let review = SubjectAccessReview { status: Some(status), ..SubjectAccessReview::default() };
            let given = matches!(access(review), Ok(Access::Allowed));
            prop_assert_eq!(given, allowed && denied != Some(true));
        }
    }

    #[test]
    fn a_list_of_projects_gives_all_names_or_none() {
        let list = |json: &str| serde_json::from_str::<ProjectList>(json).unwrap();
        let two = r#"{"kind":"ProjectList","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#;
        let names = projects(list(two), 2).unwrap().unwrap();
        assert_eq!(names.iter().map(Namespace::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(projects(list(two), 1).unwrap(), None);
        let paged = r#"{"kind":"ProjectList","metadata":{"continue":"x"},"items":[]}"#;
        assert_eq!(projects(list(paged), 9).unwrap(), None);
        assert_eq!(projects(list(r#"{"kind":"ProjectList","items":null}"#), 9).unwrap(), Some(vec![]));
        assert!(projects(list(r#"{"kind":"Status"}"#), 9).is_err());
        assert!(projects(list(r#"{"kind":"ProjectList","items":[{"metadata":{"name":".*"}}]}"#), 9).is_err());
    }
}
