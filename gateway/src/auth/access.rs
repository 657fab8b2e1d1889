//! From a token to a caller and how far they see: the one place where the modes meet.

use std::sync::Arc;

use promcast_proto::tick::Tick;

use super::kubernetes::Outcome;
use super::{Error, Namespaces, Reason, Sight, Token, jwt, kubernetes};

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anybody: nobody is told apart.
    Anonymous,
    /// A user.
    User {
        /// Unique among the users of the installation.
        name: Arc<str>,
        /// Whether they see all metrics, and so the connections of all.
        admin: bool,
    },
}

impl Caller {
    /// The user, where there are users.
    pub fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::Anonymous => None,
            Self::User { name, .. } => Some(name),
        }
    }

    /// The user whose connections they may list and close; nobody in particular where those are all.
    pub fn confined_to(&self) -> Option<String> {
        match self {
            Self::Anonymous | Self::User { admin: true, .. } => None,
            Self::User { name, admin: false } => Some(name.to_string()),
        }
    }
}

/// Who was let in, how far they see with this request, and until when that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub caller: Caller,
    /// How far.
    pub sight: Sight,
    /// From then on their proof does not count any more.
    pub expires: Option<Tick>,
}

impl Access {
    /// The same over the namespaces of `wanted` alone, which must all be theirs.
    pub fn narrowed(self, wanted: Option<&Namespaces>) -> Result<Self, Denied> {
        Ok(Self { sight: narrow(&self.sight, wanted)?, ..self })
    }
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// They have shown nothing.
    #[error("no token was sent")]
    Missing,
    /// What they have shown does not count.
    #[error("the token is refused: {}", .0.as_str())]
    Refused(Reason),
    /// It is known who they are, and they see nothing of what they ask for.
    #[error("not theirs to see")]
    Nothing,
    /// They have to say which namespaces they mean.
    #[error("the namespaces must be named")]
    MustName,
    /// They mean too many.
    #[error("more than {most} namespaces")]
    TooMany {
        /// How many may be meant.
        most: usize,
    },
    /// Whoever knows cannot be asked.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(reason) => Self::Refused(reason),
            Error::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// Tells who is asking. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Authenticator {
    /// Nobody is asked for a proof.
    None,
    /// Tokens of an issuer.
    Jwt(jwt::Verifier),
    /// Tokens that the Kubernetes API server knows.
    Kubernetes(kubernetes::Reviewer),
}

impl Authenticator {
    /// Whether nobody is asked for a proof.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Who it is.
    pub async fn identify(&self, token: Option<&Token>) -> Result<Caller, Denied> {
        match self {
            Self::None => Ok(Caller::Anonymous),
            Self::Jwt(verifier) => {
                let identity = verifier.identify(token.ok_or(Denied::Missing)?).await?;
                Ok(user(&identity.user, identity.sight.as_ref()))
            }
            Self::Kubernetes(reviewer) => {
                let token = token.ok_or(Denied::Missing)?;
                let subject = reviewer.identify(token).await?;
                let sees_all = reviewer.sees_all(&subject).await?;
                Ok(Caller::User { name: subject.username().into(), admin: sees_all })
            }
        }
    }

    /// Who it is, and how far they see: as far as they may, or over the namespaces of `wanted`, which must then all be theirs.
    pub async fn admit(&self, token: Option<&Token>, wanted: Option<&Namespaces>) -> Result<Access, Denied> {
        match self {
            Self::None => {
                let sight = narrow(&Sight::All, wanted)?;
                Ok(Access { caller: Caller::Anonymous, sight, expires: None })
            }
            Self::Jwt(verifier) => {
                let identity = verifier.identify(token.ok_or(Denied::Missing)?).await?;
                let caller = user(&identity.user, identity.sight.as_ref());
                let sight = narrow(identity.sight.as_ref().ok_or(Denied::Nothing)?, wanted)?;
                Ok(Access { caller, sight, expires: Some(identity.expires) })
            }
            Self::Kubernetes(reviewer) => {
                let token = token.ok_or(Denied::Missing)?;
                let subject = reviewer.identify(token).await?;
                let sight = match reviewer.sight(token, &subject, wanted).await? {
                    Outcome::Sees(sight) => sight,
                    Outcome::Nothing => return Err(Denied::Nothing),
                    Outcome::MustName => return Err(Denied::MustName),
                    Outcome::TooMany { most } => return Err(Denied::TooMany { most }),
                };
                let admin = reviewer.sees_all(&subject).await?;
                let caller = Caller::User { name: subject.username().into(), admin };
                Ok(Access { caller, sight, expires: subject.expires() })
            }
        }
    }
}

fn user(name: &str, sight: Option<&Sight>) -> Caller {
    Caller::User { name: name.into(), admin: sight == Some(&Sight::All) }
}

/// The part of `sight` that is wanted. Whoever names one that they do not see gets nothing: half of an answer would look like
/// a whole one.
fn narrow(sight: &Sight, wanted: Option<&Namespaces>) -> Result<Sight, Denied> {
    match wanted {
        None => Ok(sight.clone()),
        Some(wanted) if sight.covers(&Sight::Only(wanted.clone())) => Ok(Sight::Only(wanted.clone())),
        Some(_) => Err(Denied::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Option<Namespaces> {
        Namespaces::new(names.iter().map(|name| name.parse().unwrap()))
    }

    #[test]
    fn naming_narrows_and_never_widens() {
        let own = Sight::Only(names(&["a", "b"]).unwrap());
        assert_eq!(narrow(&own, None), Ok(own.clone()));
        assert_eq!(narrow(&own, names(&["a"]).as_ref()), Ok(Sight::Only(names(&["a"]).unwrap())));
        assert_eq!(narrow(&own, names(&["a", "c"]).as_ref()), Err(Denied::Nothing));
        assert_eq!(narrow(&Sight::All, names(&["c"]).as_ref()), Ok(Sight::Only(names(&["c"]).unwrap())));
    }

    #[tokio::test]
    async fn without_authentication_nobody_is_anybody() {
        let access = Authenticator::None.admit(None, None).await.unwrap();
        assert_eq!(access, Access { caller: Caller::Anonymous, sight: Sight::All, expires: None });
        assert_eq!(access.caller.confined_to(), None);
    }
}
