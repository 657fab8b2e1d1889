//! JSON Web Tokens of one issuer (RFC 7519, OpenID Connect): who sent one, and how far they see.
//!
//! ```text
//! identify ── cache ── verify(text, keys, rules, now) ──▶ Identity
//!                               ▲
//!         issuer or file ── refresh (one fetch at a time)
//! ```
//!
//! [`verify()`] is pure and decides everything; [`Verifier`] keeps it supplied with the issuer's current keys.

use promcast_proto::tick::Tick;

mod cache;
mod claims;
mod crypto;
mod fetch;
mod header;
pub mod keys;
pub mod metrics;
mod reach;
mod refresh;
pub mod settings;
mod source;
mod verifier;
pub mod verify;

pub use claims::{Claim, InvalidClaim};
pub use keys::Keys;
pub use metrics::Metrics;
pub use reach::Reach;
pub use settings::Settings;
pub use source::Error;
pub use verifier::Verifier;
pub use verify::{Rules, verify};

use super::sight::Sight;

/// Who a token speaks of, and what it gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The value of the user claim: unique at the issuer, and there is one issuer.
    pub user: String,
    /// From then on the token is refused: its `exp`, and the leeway.
    pub expires: Tick,
    /// How far they see. None where the token gives them no namespace: they are known, and see nothing.
    pub sight: Option<Sight>,
    /// How many names in the namespaces claim are no names of namespaces. They were left out.
    pub ignored_names: usize,
}

#[cfg(test)]
mod tests;
