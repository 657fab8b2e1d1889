//! The signatures of tokens, checked by ring: the library that reads tokens takes its cryptography through a port, and
//! TLS brings ring along already.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, signature};
use ring::signature as schemes;
use ring::signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};

/// Verification alone. Nothing here signs, and nothing asks for the parts of a private key.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: checker,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes the library verify by ring. Only the first call of a process has an effect.
pub(super) fn install() {
    PROVIDER.install_default().ok();
}

/// A key, and how its signatures are made.
struct Checker {
    algorithm: Algorithm,
    scheme: Scheme,
    key: DecodingKey,
}

#[derive(Clone, Copy)]
enum Scheme {
    Rsa(&'static RsaParameters),
    Curve(&'static dyn schemes::VerificationAlgorithm),
}

fn checker(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match scheme(*algorithm) {
        Some(scheme) if key.family() == algorithm.family() => {
            Ok(Box::new(Checker { algorithm: *algorithm, scheme, key: key.clone() }))
        }
        Some(_) | None => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

/// RFC 7518, 3.1 and RFC 8037, 3.1. ring takes RSA keys of 2048 to 8192 bits.
fn scheme(algorithm: Algorithm) -> Option<Scheme> {
    match algorithm {
        Algorithm::RS256 => Some(Scheme::Rsa(&schemes::RSA_PKCS1_2048_8192_SHA256)),
        Algorithm::RS384 => Some(Scheme::Rsa(&schemes::RSA_PKCS1_2048_8192_SHA384)),
        Algorithm::RS512 => Some(Scheme::Rsa(&schemes::RSA_PKCS1_2048_8192_SHA512)),
        Algorithm::PS256 => Some(Scheme::Rsa(&schemes::RSA_PSS_2048_8192_SHA256)),
        Algorithm::PS384 => Some(Scheme::Rsa(&schemes::RSA_PSS_2048_8192_SHA384)),
        Algorithm::PS512 => Some(Scheme::Rsa(&schemes::RSA_PSS_2048_8192_SHA512)),
        Algorithm::ES256 => Some(Scheme::Curve(&schemes::ECDSA_P256_SHA256_FIXED)),
        Algorithm::ES384 => Some(Scheme::Curve(&schemes::ECDSA_P384_SHA384_FIXED)),
        Algorithm::EdDSA => Some(Scheme::Curve(&schemes::ED25519)),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => None,
        _ => None,
    }
}

impl signature::Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let verdict = match (self.scheme, self.key.kind()) {
            (Scheme::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Scheme::Rsa(parameters), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(parameters, der).verify(message, signature)
            }
            (Scheme::Curve(curve), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(curve, point).verify(message, signature)
            }
            (Scheme::Curve(_), DecodingKeyKind::RsaModulusExponent { .. }) => {
                return Err(signature::Error::new());
            }
        };
        verdict.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
