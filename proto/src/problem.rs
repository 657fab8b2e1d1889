//! The kinds of problem that a gateway answers with before a stream starts (RFC 9457), shared with clients.

use serde::{Deserialize, Serialize};

/// The `type` of a problem document. Clients branch on it, so a type is never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// The query is missing, too long, or not PromQL.
    InvalidQuery,
    /// A parameter other than the query is unknown, repeated or out of range.
    InvalidParameter,
    /// `Last-Event-ID` is not an id that a gateway gave out.
    InvalidCursor,
    /// The datasource is not one of this installation.
    UnknownDatasource,
    /// The query asks for what is not the caller's to see.
    Forbidden,
    /// No proof of who is asking was sent, or it does not count.
    Unauthenticated,
    /// No such path.
    NotFound,
    /// The path exists, for other methods.
    MethodNotAllowed,
    /// The client does not take what this path gives.
    NotAcceptable,
    /// The request line is too long.
    UriTooLong,
    /// The request's headers are too large.
    HeadersTooLarge,
    /// The request's body is too large.
    BodyTooLarge,
    /// The request's body is not of the type that the path reads.
    UnsupportedMediaType,
    /// Too many new streams from this address.
    RateLimited,
    /// The user holds as many streams, or topics, as one may.
    UserLimit,
    /// This replica holds as many connections as it may.
    AtCapacity,
    /// This replica is going away.
    Draining,
    /// Something this request needs is not there at the moment.
    Unavailable,
    /// A fault of the gateway itself.
    Internal,
}

impl Type {
    /// Every type.
    pub const ALL: &'static [Self] = &[
        Self::InvalidQuery,
        Self::InvalidParameter,
        Self::InvalidCursor,
        Self::UnknownDatasource,
        Self::Forbidden,
        Self::Unauthenticated,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::UserLimit,
        Self::AtCapacity,
        Self::Draining,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The short name: the end of the URI, and the metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidQuery => "invalid-query",
            Self::InvalidParameter => "invalid-parameter",
            Self::InvalidCursor => "invalid-cursor",
            Self::UnknownDatasource => "unknown-datasource",
            Self::Forbidden => "forbidden",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NotAcceptable => "not-acceptable",
            Self::UriTooLong => "uri-too-long",
            Self::HeadersTooLarge => "headers-too-large",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::RateLimited => "rate-limited",
            Self::UserLimit => "user-limit",
            Self::AtCapacity => "at-capacity",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The `type` member: a URN, for it names a kind and is no place to fetch.
    pub fn uri(self) -> String {
        format!("urn:promcast:problem:{}", self.as_str())
    }

    /// The `title` member: the same for every occurrence.
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidQuery => "The query is not valid",
            Self::InvalidParameter => "A parameter is not valid",
            Self::InvalidCursor => "The last event id is not valid",
            Self::UnknownDatasource => "There is no such datasource",
            Self::Forbidden => "This is not yours to see",
            Self::Unauthenticated => "A valid token is needed",
            Self::NotFound => "There is nothing at this path",
            Self::MethodNotAllowed => "The path does not take this method",
            Self::NotAcceptable => "The path cannot answer in a form that the client accepts",
            Self::UriTooLong => "The request line is too long",
            Self::HeadersTooLarge => "The request headers are too large",
            Self::BodyTooLarge => "The request body is too large",
            Self::UnsupportedMediaType => "The path does not read this type of body",
            Self::RateLimited => "Too many new streams",
            Self::UserLimit => "Too much at once for one user",
            Self::AtCapacity => "This replica is full",
            Self::Draining => "This replica is shutting down",
            Self::Unavailable => "Not available at the moment",
            Self::Internal => "The gateway failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn types_are_told_apart() {
        let uris: HashSet<_> = Type::ALL.iter().map(|kind| kind.uri()).collect();
        assert_eq!(uris.len(), Type::ALL.len());
    }
}
