//! Whose token it was, as the API server says.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::authentication::v1::UserInfo;
use promcast_proto::tick::Tick;

/// An identity that the API server vouched for. Cheap to clone.
///
/// All four parts go into each question for access unchanged: restrictions of a token live in `extra` (the scopes of
/// OpenShift do), and a question without them would be answered for the whole user.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    user: Arc<UserInfo>,
    expires: Option<Tick>,
}

impl Subject {
    pub(super) fn new(user: UserInfo, expires: Option<Tick>) -> Self {
        Self { user: Arc::new(user), expires }
    }

    pub(super) fn user(&self) -> &UserInfo {
        &self.user
    }

    /// The name, unique among the users of the cluster. Never empty.
    pub fn username(&self) -> &str {
        self.user.username.as_deref().unwrap_or_default()
    }

    /// What tells two users apart that had the name one after the other.
    pub fn uid(&self) -> Option<&str> {
        self.user.uid.as_deref()
    }

    /// The groups.
    pub fn groups(&self) -> &[String] {
        self.user.groups.as_deref().unwrap_or_default()
    }

    /// What else the authenticator says.
    pub fn extra(&self) -> Option<&BTreeMap<String, Vec<String>>> {
        self.user.extra.as_ref()
    }

    /// When the token ends, where it says so itself.
    pub fn expires(&self) -> Option<Tick> {
        self.expires
    }
}
