//! A bearer token: what a client proves itself by, and nobody else may read.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The longest token that is looked at, in bytes. Tokens of OpenID Connect with many groups are a few thousand.
pub(super) const BYTES_MAX: usize = 16 * 1024;

/// A token as a client sent it. Its text is never printed, and is wiped when it is dropped.
#[derive(Clone)]
pub struct Token(SecretString);

/// What a token is known by in caches: a hash from which it cannot be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// The text cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bearer token")]
pub struct NotAToken;

impl Token {
    /// Takes the text of a token: `b64token` of RFC 6750, 2.1.
    pub fn new(text: &str) -> Result<Self, NotAToken> {
        let body = text.trim_end_matches('=');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let good = !body.is_empty() && text.len() <= BYTES_MAX && body.bytes().all(allowed);
        if good { Ok(Self(text.into())) } else { Err(NotAToken) }
    }

    /// The text, for whoever has to verify it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What it is known by in caches.
    pub fn digest(&self) -> Digest {
        Digest(*blake3::hash(self.expose().as_bytes()).as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_token_is_refused_before_anybody_looks_at_it() {
        for good in ["abc", "sha256~x_Y-1", "a.b.c", "YWJj=="] {
            assert_eq!(Token::new(good).unwrap().expose(), good);
        }
        for bad in ["", "=", "a b", "a\nb", "ä", &"a".repeat(BYTES_MAX + 1)] {
            assert!(Token::new(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        assert_eq!(format!("{:?}", Token::new("hunter2").unwrap()), "Token");
    }
}
