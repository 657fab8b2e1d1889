//! Whether a token counts, and what it says: a pure function of its text, the keys, the rules and now.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use promcast_proto::tick::Tick;

use super::Identity;
use super::claims::{Claim, Claims};
use super::header::Header;
use super::keys::Keys;
use super::reach::Reach;
use crate::auth::refusal::Reason;

/// How far the issuer's clock may be from ours, unless it is configured.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// What a token must be to count.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The one `iss`, to the letter.
    pub issuer: String,
    /// At least one of these is in `aud`.
    pub audiences: Vec<String>,
    /// How far the issuer's clock may be from ours, for `exp` and `nbf`.
    pub leeway: Duration,
    /// The claim that names the user.
    pub user: Claim,
    /// What claims give whom.
    pub reach: Reach,
}

/// Judges a token. `exp`, `iss` and `aud` must be there; `nbf` counts where it is there.
///
/// Keys of at most 8192 bits and a text of at most 16 KiB bound what this costs: it may run where it stands.
pub fn verify(text: &str, keys: &Keys, rules: &Rules, now: Tick) -> Result<Identity, Reason> {
    let header = Header::read(text)?;
    let key = keys.choose(&header)?;
    let decoded = decode::<Claims>(text, key, &rules.validation(header.algorithm));
    let claims = decoded.map_err(|error| reason(error.kind()))?.claims;
    if !claims.is_from(&rules.issuer) {
        return Err(Reason::Issuer);
    }
    let expires = rules.expires(&claims, now)?;
    let user = claims.user(&rules.user)?;
    let (sight, ignored_names) = rules.reach.sight(&claims)?;
    Ok(Identity { user, expires, sight, ignored_names })
}

impl Rules {
    /// What the library checks. By itself it takes tokens that name no issuer and no audience. Times are checked here, by
    /// our clock and not by the machine's.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.audiences);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }

    fn expires(&self, claims: &Claims, now: Tick) -> Result<Tick, Reason> {
        let leeway = i64::try_from(self.leeway.as_millis()).unwrap_or(i64::MAX);
        let expires = claims.time("exp")?.ok_or(Reason::Claims)?.plus_millis(leeway);
        let begins = claims.time("nbf")?;
        if expires <= now {
            Err(Reason::Expired)
        } else if begins.is_some_and(|begins| begins > now.plus_millis(leeway)) {
            Err(Reason::NotYetValid)
        } else {
            Ok(expires)
        }
    }
}

fn reason(kind: &ErrorKind) -> Reason {
    match kind {
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidEcdsaKey
        | ErrorKind::InvalidEddsaKey
        | ErrorKind::InvalidRsaKey(_)
        | ErrorKind::InvalidKeyFormat => Reason::Signature,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::MissingAlgorithm
        | ErrorKind::UnsupportedAlgorithm => Reason::Algorithm,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::InvalidSubject => {
            Reason::Claims
        }
        ErrorKind::InvalidIssuer => Reason::Issuer,
        ErrorKind::InvalidAudience => Reason::Audience,
        ErrorKind::ExpiredSignature => Reason::Expired,
        ErrorKind::ImmatureSignature => Reason::NotYetValid,
        ErrorKind::InvalidToken
        | ErrorKind::Base64(_)
        | ErrorKind::Json(_)
        | ErrorKind::Utf8(_)
        | ErrorKind::RsaFailedSigning
        | ErrorKind::Signing(_)
        | ErrorKind::Provider(_) => Reason::Malformed,
        _ => Reason::Malformed,
    }
}
