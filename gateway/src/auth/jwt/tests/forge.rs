//! Makes tokens and key sets as an issuer does, and as somebody does who would like to be one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXUPPER};
use promcast_proto::tick::Tick;
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::auth::jwt::verify::LEEWAY;
use crate::auth::jwt::{Keys, Reach, Rules};

pub(super) const ISSUER: &str = "https://login.example.com/realms/gpu";
pub(super) const AUDIENCE: &str = "promcast";

/// The time at which the tests judge, in Unix seconds.
pub(super) const NOW: i64 = 1_800_000_000;

/// ring makes no RSA keys, so this one was made once, for these tests alone.
const RSA_KEY: &[u8] = include_bytes!("rsa-2048.pk8");

/// A key pair, and the name of what it signs by.
pub(super) struct Signer {
    pub algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub(super) fn es256() -> Self {
        Self::ec("ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(super) fn es384() -> Self {
        Self::ec("ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    fn ec(algorithm: &'static str, kind: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        Self { algorithm, pair: Pair::Ec(pair) }
    }

    pub(super) fn ed() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { algorithm: "EdDSA", pair: Pair::Ed(pair) }
    }

    pub(super) fn rsa(algorithm: &'static str) -> Self {
        let scheme: &'static dyn RsaEncoding = match algorithm {
            "RS256" => &signature::RSA_PKCS1_SHA256,
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            "PS256" => &signature::RSA_PSS_SHA256,
            "PS384" => &signature::RSA_PSS_SHA384,
            "PS512" => &signature::RSA_PSS_SHA512,
            _ => panic!("{algorithm} is no algorithm of RSA"),
        };
        Self { algorithm, pair: Pair::Rsa(RsaKeyPair::from_pkcs8(RSA_KEY).unwrap(), scheme) }
    }

    /// One of each algorithm that is allowed.
    pub(super) fn all() -> Vec<Self> {
        let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(Self::rsa);
        rsa.into_iter().chain([Self::es256(), Self::es384(), Self::ed()]).collect()
    }

    /// A token with the usual header and these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm, "typ": "JWT", "kid": "one" }), claims)
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let bytes = message.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair, scheme) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*scheme, &random, bytes, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    /// The public key as a JWK, with no name and no `alg`.
    pub(super) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match &self.pair {
            Pair::Rsa(pair, _) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encode(&public.n), "e": encode(&public.e) })
            }
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
        }
    }

    /// The public key in PEM (RFC 7468, 13): what comes before the bits of a key is the same for all of a kind.
    pub(super) fn pem(&self) -> String {
        let (prefix, key): (&str, &[u8]) = match &self.pair {
            Pair::Rsa(pair, _) => {
                ("30820122300D06092A864886F70D01010105000382010F00", pair.public().as_ref())
            }
            Pair::Ec(pair) if self.algorithm == "ES256" => {
                ("3059301306072A8648CE3D020106082A8648CE3D030107034200", pair.public_key().as_ref())
            }
            Pair::Ec(pair) => ("3076301006072A8648CE3D020106052B81040022036200", pair.public_key().as_ref()),
            Pair::Ed(pair) => ("302A300506032B6570032100", pair.public_key().as_ref()),
        };
        let body = BASE64.encode(&[&HEXUPPER.decode(prefix.as_bytes()).unwrap(), key].concat());
        let lines: Vec<_> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A set with this key, called `one`.
    pub(super) fn keys(&self) -> Keys {
        set(&[with(self.jwk(), &json!({ "kid": "one" }))])
    }
}

/// A token by HMAC, as whoever knows `secret` can make it.
pub(super) fn hmac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(&header.to_string(), &claims.to_string());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

/// A token without a signature.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", message(&header.to_string(), &claims.to_string()))
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()))
}

pub(super) fn set(keys: &[Value]) -> Keys {
    Keys::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// `base` with the members of `changes`; one that is null is taken away.
pub(super) fn with(mut base: Value, changes: &Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}

/// Claims that are in order.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10,
        "namespaces": ["team-a", "team-b"],
    })
}

pub(super) fn rules() -> Rules {
    Rules {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), "other-name".to_owned()],
        leeway: LEEWAY,
        user: "sub".parse().unwrap(),
        reach: reach(),
    }
}

pub(super) fn reach() -> Reach {
    Reach {
        namespaces: Some("namespaces".parse().unwrap()),
        groups: "groups".parse().unwrap(),
        group_namespaces: BTreeMap::new(),
        admins: BTreeSet::new(),
    }
}

pub(super) fn now() -> Tick {
    Tick::from_millis(NOW * 1000)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}
