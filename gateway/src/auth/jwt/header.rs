//! What a token says about its own signature, before anything of it is believed.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::Algorithm;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::auth::refusal::Reason;
use crate::auth::token;

/// The types of token that count as proof (RFC 8725, 3.11): plain ones, and access tokens of RFC 9068. An issuer signs
/// others with the same key, such as logout tokens.
const TYPES: [&str; 4] = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];

/// The header of a token (RFC 7515, 4.1), as far as it counts. Where a token says its key is to be found (`jku`, `jwk`,
/// `x5u`, `x5c`) does not.
#[derive(Debug)]
pub(super) struct Header {
    /// The algorithm, one that is allowed.
    pub algorithm: Algorithm,
    /// The name of the key.
    pub key: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl Header {
    /// Reads the header of a token in compact form. Costs no cryptography.
    pub(super) fn read(text: &str) -> Result<Self, Reason> {
        if text.len() > token::BYTES_MAX {
            return Err(Reason::Malformed);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::Malformed);
        };
        let json = BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| Reason::Malformed)?;
        let raw: Raw = serde_json::from_slice(&json).map_err(|_| Reason::Malformed)?;
        // An extension that must be understood (RFC 7515, 4.1.11): none is.
        let known_type = raw.typ.is_none_or(|typ| TYPES.contains(&typ.to_ascii_lowercase().as_str()));
        if raw.crit || !known_type {
            return Err(Reason::Malformed);
        }
        Ok(Self { algorithm: allowed(&raw.alg).ok_or(Reason::Algorithm)?, key: raw.kid })
    }
}

/// The algorithm of this name, where it is signed by a private key. With one that is not, whoever knows the public key
/// could make tokens.
fn allowed(name: &str) -> Option<Algorithm> {
    let algorithm = name.parse().ok()?;
    match algorithm {
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Some(algorithm),
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Some(algorithm),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => Some(algorithm),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => None,
        _ => None,
    }
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}
