//! What a real API server would say, by the table of accounts.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use serde_json::{Value, json};

use super::{API_AUDIENCE, Account, Shared};

impl Shared {
    /// What a real one says of a token.
    pub(super) fn review_token(&self, mut review: TokenReview) -> TokenReview {
        let asked = review.spec.audiences.clone().unwrap_or_else(|| vec![API_AUDIENCE.to_owned()]);
        let account = self.accounts.iter().find(|account| review.spec.token.as_ref() == Some(&account.token));
        let refused =
            |error: String| TokenReviewStatus { error: Some(error), ..TokenReviewStatus::default() };
        review.status = Some(match account {
            None => refused("[invalid bearer token, token lookup failed]".to_owned()),
            Some(account) => {
                let both: Vec<_> =
                    asked.iter().filter(|name| account.audiences.contains(name)).cloned().collect();
                if both.is_empty() {
                    refused(format!(
                        "token audiences {:?} is invalid for the target audiences {asked:?}",
                        account.audiences
                    ))
                } else {
                    TokenReviewStatus {
                        authenticated: Some(true),
                        user: Some(account.user.clone()),
                        audiences: Some(both),
                        error: None,
                    }
                }
            }
        });
        review
    }

    /// Access for nobody but the very user of the table: name, uid, groups in their order, and extra.
    pub(super) fn review_access(&self, mut review: SubjectAccessReview) -> SubjectAccessReview {
        let allowed = self.accounts.iter().any(|account| allows(account, &review.spec));
        review.status = Some(SubjectAccessReviewStatus { allowed, ..SubjectAccessReviewStatus::default() });
        review
    }

    /// The projects of whoever has this token.
    pub(super) fn projects(&self, bearer: Option<&str>) -> Option<Value> {
        let account = self.accounts.iter().find(|account| bearer == Some(&account.token))?;
        let items = account.projects.iter().map(|name| {
            json!({ "metadata": { "name": name, "uid": "x" }, "spec": {}, "status": { "phase": "Active" } })
        });
        Some(json!({
            "kind": "ProjectList",
            "apiVersion": "project.openshift.io/v1",
            "metadata": {},
            "items": items.collect::<Vec<_>>(),
        }))
    }
}

fn allows(account: &Account, spec: &SubjectAccessReviewSpec) -> bool {
    let user = &account.user;
    let same = (&spec.user, &spec.uid, &spec.groups, &spec.extra)
        == (&user.username, &user.uid, &user.groups, &user.extra);
    let attributes = spec.resource_attributes.clone().unwrap_or_default();
    let namespace = attributes.namespace.clone().unwrap_or_default();
    let rule = ResourceAttributes {
        verb: Some("get".to_owned()),
        group: Some("metrics.k8s.io".to_owned()),
        version: Some("v1beta1".to_owned()),
        resource: Some("pods".to_owned()),
        namespace: attributes.namespace.clone(),
        ..ResourceAttributes::default()
    };
    same && attributes == rule && (account.all || account.sees.contains(&namespace))
}
