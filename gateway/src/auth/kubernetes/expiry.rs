//! When a token ends, as far as it says so itself.
//!
//! Nothing is verified here, so what is read may only shorten what the API server allows.

use data_encoding::BASE64URL_NOPAD;
use promcast_proto::tick::Tick;
use serde::Deserialize;
use serde_json::Number;

use crate::auth::Token;

/// The claim that counts (RFC 7519, 4.1.4): seconds since 1970, with a fraction if need be.
#[derive(Deserialize)]
struct Claims {
    exp: Option<Number>,
}

/// The end of a token that is a JWT and has one. Opaque tokens, as OpenShift's OAuth server makes them, say nothing.
pub(super) fn of(token: &Token) -> Option<Tick> {
    let mut parts = token.expose().split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let seconds = claims.exp?.as_f64()?;
    // Of the two ways to be no span of time, below zero is long past, and beyond all bounds is no end.
    let millis = std::time::Duration::try_from_secs_f64(seconds.max(0.0)).ok()?.as_millis();
    i64::try_from(millis).ok().map(Tick::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(claims: &str) -> Token {
        Token::new(&format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))).unwrap()
    }

    #[test]
    fn the_end_of_a_jwt_is_read() {
        for (claims, millis) in [
            (r#"{"exp":1700000000,"sub":"a"}"#, 1_700_000_000_000),
            (r#"{"exp":1700000000.25}"#, 1_700_000_000_250),
            (r#"{"exp":-5}"#, 0),
        ] {
            assert_eq!(of(&token(claims)), Some(Tick::from_millis(millis)), "{claims}");
        }
    }

    #[test]
    fn what_says_nothing_of_its_end_has_none() {
        for claims in ["{}", r#"{"exp":null}"#, r#"{"exp":"1700000000"}"#, r#"{"exp":1e300}"#, "[]", ""] {
            assert_eq!(of(&token(claims)), None, "{claims}");
        }
        for opaque in ["sha256~abc", "a.b", "a.b.c.d", "a..c", "a.!.c"] {
            if let Ok(token) = Token::new(opaque) {
                assert_eq!(of(&token), None, "{opaque}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_token_is_too_odd_to_look_at(text in "[A-Za-z0-9._~+/-]{1,200}") {
            of(&Token::new(&text).unwrap());
        }
    }
}
