//! What a token claims (RFC 7519, 4), and how a configured claim is found in it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use promcast_proto::tick::Tick;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::auth::refusal::Reason;

/// The end of the year 9999, in Unix seconds. What claims to be later is no time.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// The longest name of a user, in bytes.
const USER_MAX: usize = 256;

/// The claims of a token. No name stands twice: of two readers each could believe another one (RFC 7519, 4).
#[derive(Clone, Debug)]
pub(super) struct Claims(Value);

impl Claims {
    /// The moment that `name` names, where it is there (`NumericDate` of RFC 7519, 2: a fraction is allowed).
    pub(super) fn time(&self, name: &str) -> Result<Option<Tick>, Reason> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
        let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let millis = seconds.and_then(|since| i64::try_from(since.as_millis()).ok());
        millis.map(|millis| Some(Tick::from_millis(millis))).ok_or(Reason::Claims)
    }

    /// Whether `iss` is exactly this one.
    pub(super) fn is_from(&self, issuer: &str) -> bool {
        self.0.get("iss").and_then(Value::as_str) == Some(issuer)
    }

    /// Who the token speaks of: a text without control characters, for it goes into logs. An address that the issuer has
    /// not verified can be anybody's.
    pub(super) fn user(&self, claim: &Claim) -> Result<String, Reason> {
        let user = claim.of(self).and_then(Value::as_str).ok_or(Reason::Claims)?;
        let unverified = self.0.get("email_verified").is_some_and(|verified| verified != &Value::Bool(true));
        let good = !user.trim().is_empty() && user.len() <= USER_MAX && !user.contains(char::is_control);
        if good && !(claim.0.trim_start_matches('/') == "email" && unverified) {
            Ok(user.to_owned())
        } else {
            Err(Reason::Claims)
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands twice"));
            }
        }
        Ok(Claims(Value::Object(claims)))
    }
}

/// Where a claim is found: by its name, or by a JSON pointer (RFC 6901) where it lies deeper, such as
/// `/realm_access/roles`. A name may hold dots and slashes, and often is a URL; it just does not begin with a slash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Claim(String);

/// The text does not say where a claim is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a claim is given by its name, such as `groups`, or by a JSON pointer where it lies deeper, such as `/realm_access/roles`"
)]
pub struct InvalidClaim;

impl Claim {
    /// What the token claims there. `null` is nothing.
    pub(super) fn of<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let found = if self.0.starts_with('/') { claims.0.pointer(&self.0) } else { claims.0.get(&self.0) };
        found.filter(|value| !value.is_null())
    }
}

impl FromStr for Claim {
    type Err = InvalidClaim;

    fn from_str(text: &str) -> Result<Self, InvalidClaim> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        let good = !text.trim().is_empty() && text != "/" && (!text.starts_with('/') || escapes);
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidClaim) }
    }
}

impl TryFrom<String> for Claim {
    type Error = InvalidClaim;

    fn try_from(text: String) -> Result<Self, InvalidClaim> {
        text.parse()
    }
}
