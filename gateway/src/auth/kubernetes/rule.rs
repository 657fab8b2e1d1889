//! The one rule: who may `get` `pods.metrics.k8s.io` in a namespace sees the metrics of that namespace.
//!
//! It is the rule by which OpenShift guards the tenants' port of its Thanos (resource attributes of kube-rbac-proxy in the
//! cluster-monitoring-operator), and the right that the stock roles `view`, `edit` and `admin` carry where metrics-server or
//! its like aggregates it into them. The verb is `get` however a client asks: a stream changes nothing.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};

use super::Subject;
use super::server::Failure;
use crate::auth::Namespace;

const VERB: &str = "get";
const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "v1beta1";
const RESOURCE: &str = "pods";

/// Asks whether `subject` may see `namespace`, or all of them where it is none.
pub(super) fn question(subject: &Subject, namespace: Option<&Namespace>) -> SubjectAccessReview {
    let user = subject.user();
    let attributes = ResourceAttributes {
        verb: Some(VERB.to_owned()),
        group: Some(GROUP.to_owned()),
        version: Some(VERSION.to_owned()),
        resource: Some(RESOURCE.to_owned()),
        // None is "", and that is all namespaces.
        namespace: namespace.map(|name| name.as_str().to_owned()),
        ..ResourceAttributes::default()
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: Some(attributes),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    }
}

/// What an answer to `question` is known by in the cache: everything that is asked, hashed.
pub(super) fn key(question: &SubjectAccessReview) -> Result<[u8; 32], Failure> {
    let text = serde_json::to_vec(question).map_err(|_| Failure::Unsendable)?;
    Ok(*blake3::hash(&text).as_bytes())
}
