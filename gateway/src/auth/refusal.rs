//! Why somebody is not let in.

/// Why a token does not count: for the log and the metric. The caller is told none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is no token of the kind that is expected.
    Malformed,
    /// It is signed by an algorithm that is not allowed, or not signed.
    Algorithm,
    /// It is signed by a key that is not the issuer's.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Somebody else issued it.
    Issuer,
    /// It was issued for another service.
    Audience,
    /// A claim that must be there is missing or of the wrong kind.
    Claims,
    /// The identity service says no.
    Rejected,
}

impl Reason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::Algorithm,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::Issuer,
        Self::Audience,
        Self::Claims,
        Self::Rejected,
    ];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims => "claims",
            Self::Rejected => "rejected",
        }
    }
}

/// Why it is not known who is asking, or what they may see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token does not count.
    #[error("the token is refused: {}", .0.as_str())]
    Refused(Reason),
    /// Whoever would know cannot be asked at the moment. Nobody is let in on that ground.
    #[error("the identity service cannot be asked: {0}")]
    Unavailable(String),
}
