//! The public keys of an issuer, and which of them a token must be signed by.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::crypto;
use super::header::Header;
use crate::auth::refusal::Reason;

/// The most keys of a set. Issuers have two or three.
const KEYS_MAX: usize = 100;

/// The shortest RSA modulus, in bytes: 2048 bits (RFC 7518, 3.3).
const RSA_BYTES_MIN: usize = 256;

/// What a key without `alg` may sign: RSA.
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The public keys of an issuer. There is at least one.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

/// One key, and what it signs. A token cannot choose the algorithm: the key does.
#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why a text holds no keys that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// Not a JWK set.
    #[error("it is no JWK set: a JSON object with a list `keys` (RFC 7517)")]
    NotASet,
    /// Too many.
    #[error("it has {0} keys, and more than 100 are not taken")]
    TooMany(usize),
    /// None is left.
    #[error(
        "none of its {0} keys can be used: wanted are RSA of 2048 bits or more, EC on P-256 or P-384, or Ed25519, for signatures"
    )]
    NoneUsable(usize),
    /// Not a PEM public key.
    #[error(
        "it is no PEM file with one public key of RSA, EC on P-256 or P-384, or Ed25519; for several keys take a JWK set"
    )]
    NotPem,
    /// A private key.
    #[error("it holds a private key, which the gateway must not have: give it the public one")]
    Private,
}

impl Keys {
    /// Reads a JWK set (RFC 7517, 5). Keys in it that are of no use for signatures are left out.
    pub fn from_jwks(text: &[u8]) -> Result<Self, InvalidKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        crypto::install();
        let set: Set = serde_json::from_slice(text).map_err(|_| InvalidKeys::NotASet)?;
        if set.keys.len() > KEYS_MAX {
            return Err(InvalidKeys::TooMany(set.keys.len()));
        }
        let count = set.keys.len();
        let keys: Vec<_> = set.keys.into_iter().filter_map(Key::from_jwk).collect();
        if keys.is_empty() { Err(InvalidKeys::NoneUsable(count)) } else { Ok(Self(keys)) }
    }

    /// Reads a PEM file with one public key. It has no name, so it is tried for every token.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidKeys> {
        crypto::install();
        let pem = std::str::from_utf8(text).map_err(|_| InvalidKeys::NotPem)?;
        if pem.contains("PRIVATE KEY-----") {
            return Err(InvalidKeys::Private);
        }
        if pem.matches("-----BEGIN ").count() != 1 || pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(InvalidKeys::NotPem);
        }
        let found = DecodingKey::from_rsa_pem(text).map(|key| (key, RSA.to_vec()));
        let found = found.or_else(|_| DecodingKey::from_ec_pem(text).map(|key| (key, Vec::new())));
        let found =
            found.or_else(|_| DecodingKey::from_ed_pem(text).map(|key| (key, vec![Algorithm::EdDSA])));
        let (key, mut algorithms) = found.map_err(|_| InvalidKeys::NotPem)?;
        if algorithms.is_empty() {
            // An uncompressed point: its length tells the curve (SEC 1, 2.3.3).
            algorithms = match key.try_get_as_bytes().map(<[u8]>::len) {
                Ok(65) => vec![Algorithm::ES256],
                Ok(97) => vec![Algorithm::ES384],
                Ok(_) | Err(_) => return Err(InvalidKeys::NotPem),
            };
        }
        Ok(Self(vec![Key { id: None, algorithms, key }]))
    }

    /// Reads a JWK set or a PEM file, whichever it is.
    pub fn read(text: &[u8]) -> Result<Self, InvalidKeys> {
        if text.trim_ascii_start().starts_with(b"{") { Self::from_jwks(text) } else { Self::from_pem(text) }
    }

    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The one key that a token with this header must be signed by.
    pub(super) fn choose(&self, header: &Header) -> Result<&DecodingKey, Reason> {
        let named: Vec<_> = match &header.key {
            Some(name) if self.0.iter().any(|key| key.id.as_ref() == Some(name)) => {
                self.0.iter().filter(|key| key.id.as_ref() == Some(name)).collect()
            }
            Some(_) => self.0.iter().filter(|key| key.id.is_none()).collect(),
            None => self.0.iter().collect(),
        };
        let fitting: Vec<_> = named.iter().filter(|key| key.algorithms.contains(&header.algorithm)).collect();
        match (fitting.as_slice(), named.is_empty()) {
            ([key], _) => Ok(&key.key),
            ([], false) => Err(Reason::Algorithm),
            // Two that fit: which is meant is not said, and none is guessed.
            (_, _) => Err(Reason::UnknownKey),
        }
    }
}

impl Key {
    fn from_jwk(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let to_verify = jwk.common.key_operations.as_ref();
        if !for_signatures || to_verify.is_some_and(|uses| !uses.contains(&KeyOperations::Verify)) {
            return None;
        }
        let possible = possible(&jwk.algorithm)?;
        let algorithms = match jwk.common.key_algorithm {
            None => possible.to_vec(),
            Some(named) => {
                let named = Algorithm::try_from(named).ok()?;
                possible.contains(&named).then(|| vec![named])?
            }
        };
        Some(Self { key: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id, algorithms })
    }
}

/// What a key of this kind can sign.
fn possible(parameters: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = BASE64URL_NOPAD.decode(rsa.n.as_bytes()).ok()?;
            let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
            (significant >= RSA_BYTES_MIN).then_some(RSA)
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(&[Algorithm::ES256]),
            EllipticCurve::P384 => Some(&[Algorithm::ES384]),
            EllipticCurve::P521 | EllipticCurve::Ed25519 => None,
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            (key.curve == EllipticCurve::Ed25519).then_some(&[Algorithm::EdDSA])
        }
        // A shared secret in a public document is none.
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) => None,
        _ => None,
    }
}
