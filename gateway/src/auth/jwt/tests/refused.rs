//! Tokens that must not count, each for its reason.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::forge::{ISSUER, NOW, Signer, claims, hmac, now, rules, set, unsigned, with};
use crate::auth::jwt::{Keys, verify};
use crate::auth::refusal::Reason;

/// The longest that judging a wrong token may take.
const COST_MAX: Duration = Duration::from_millis(50);

#[track_caller]
fn refused(what: &str, token: &str, keys: &Keys, reason: Reason) {
    // The best of three: others work on the machine, too.
    let judge = |_| {
        let start = Instant::now();
        let verdict = verify(token, keys, &rules(), now());
        let cost = start.elapsed();
        assert_eq!(verdict.map(drop), Err(reason), "{what}");
        cost
    };
    let cost = (0..3).map(judge).min().unwrap();
    assert!(cost < COST_MAX, "{what}: {cost:?}");
}

#[track_caller]
fn refused_claims(changes: &Value, reason: Reason) {
    let signer = Signer::es256();
    let token = signer.token(&with(claims(), changes));
    refused(&changes.to_string(), &token, &signer.keys(), reason);
}

#[test]
fn times_that_are_over_or_not_yet_come_or_are_no_times() {
    refused_claims(&json!({ "exp": NOW - 31 }), Reason::Expired);
    refused_claims(&json!({ "exp": 0 }), Reason::Expired);
    refused_claims(&json!({ "exp": 1.5 }), Reason::Expired);
    refused_claims(&json!({ "nbf": NOW + 31 }), Reason::NotYetValid);
    let numbers = [json!(-1), json!(-1.5), json!(1e300), json!(i64::MAX), json!(u64::MAX)];
    for no_time in [&numbers[..], &[json!("1800000300"), json!(true)]].concat() {
        refused_claims(&json!({ "exp": no_time }), Reason::Claims);
        refused_claims(&json!({ "nbf": no_time }), Reason::Claims);
    }
    for no_time in [json!([NOW + 300]), json!({ "exp": NOW + 300 })] {
        refused_claims(&json!({ "exp": no_time }), Reason::Malformed);
        refused_claims(&json!({ "nbf": no_time }), Reason::Malformed);
    }
    refused_claims(&json!({ "exp": null }), Reason::Claims);
    let signer = Signer::es256();
    for (exp, reason) in [
        ("1e999", Reason::Malformed),
        ("NaN", Reason::Malformed),
        ("null", Reason::Claims),
        ("18000003000000000000000000000000000000", Reason::Claims),
    ] {
        let claims = format!(r#"{{"iss":"{ISSUER}","aud":"promcast","sub":"ann","exp":{exp}}}"#);
        let token = signer.sign_text(r#"{"alg":"ES256","kid":"one"}"#, &claims);
        refused(exp, &token, &signer.keys(), reason);
    }
}

#[test]
fn claims_of_others_for_others_or_missing() {
    refused_claims(&json!({ "aud": "account" }), Reason::Audience);
    refused_claims(&json!({ "aud": ["account", "promcast2"] }), Reason::Audience);
    refused_claims(&json!({ "aud": [] }), Reason::Audience);
    refused_claims(&json!({ "aud": null }), Reason::Claims);
    refused_claims(&json!({ "aud": 5 }), Reason::Claims);
    refused_claims(&json!({ "iss": "https://login.example.com/realms/other" }), Reason::Issuer);
    refused_claims(&json!({ "iss": format!("{ISSUER}/") }), Reason::Issuer);
    refused_claims(&json!({ "iss": [ISSUER] }), Reason::Issuer);
    refused_claims(&json!({ "iss": null }), Reason::Claims);
    for user in [json!(null), json!(""), json!(" "), json!(5), json!("a\nb"), json!("a".repeat(257))] {
        refused_claims(&json!({ "sub": user }), Reason::Claims);
    }
}

#[test]
fn no_signature_and_secrets_that_everybody_knows() {
    for signer in [Signer::rsa("RS256"), Signer::es256(), Signer::ed()] {
        let (keys, pem) = (signer.keys(), signer.pem());
        let by_pem = Keys::read(pem.as_bytes()).unwrap();
        for none in ["none", "None", "NONE", ""] {
            let header = json!({ "alg": none, "kid": "one" });
            refused(none, &unsigned(&header, &claims()), &keys, Reason::Algorithm);
            refused(none, &signer.sign(&header, &claims()), &keys, Reason::Algorithm);
        }
        let bare = unsigned(&json!({ "alg": signer.algorithm }), &claims());
        refused("no signature", &bare, &keys, Reason::Signature);
        for secret in [pem.as_str(), pem.trim(), &signer.jwk().to_string(), ""] {
            for name in ["HS256", "HS384", "HS512", "hs256"] {
                let token = hmac(secret.as_bytes(), &json!({ "alg": name, "kid": "one" }), &claims());
                refused("the public key as a secret", &token, &keys, Reason::Algorithm);
                refused("the public key as a secret", &token, &by_pem, Reason::Algorithm);
                // Its name is not even looked for: that could make the gateway ask the issuer.
                let stranger = hmac(secret.as_bytes(), &json!({ "alg": name, "kid": "two" }), &claims());
                refused("a secret of an unknown name", &stranger, &keys, Reason::Algorithm);
            }
        }
        // The same, under a name that is allowed.
        let lie = hmac(pem.as_bytes(), &json!({ "alg": signer.algorithm, "kid": "one" }), &claims());
        refused("a tag for a signature", &lie, &keys, Reason::Signature);
    }
}

#[test]
fn keys_that_are_not_meant() {
    let (one, two) = (Signer::es256(), Signer::es256());
    let named = |signer: &Signer, name: &str| with(signer.jwk(), &json!({ "kid": name }));
    let keys = set(&[named(&one, "one"), named(&two, "two")]);
    for (changes, reason) in [
        (json!({ "kid": "three" }), Reason::UnknownKey),
        (json!({ "kid": null }), Reason::UnknownKey),
        (json!({ "kid": "ONE" }), Reason::UnknownKey),
        (json!({ "kid": "" }), Reason::UnknownKey),
        (json!({ "kid": "two" }), Reason::Signature),
        (json!({ "alg": "EdDSA" }), Reason::Algorithm),
        (json!({ "alg": "RS256" }), Reason::Algorithm),
        (json!({ "alg": "ES384" }), Reason::Algorithm),
    ] {
        let header = with(json!({ "alg": "ES256", "kid": "one" }), &changes);
        refused(&changes.to_string(), &one.sign(&header, &claims()), &keys, reason);
    }
    // Whoever made the token brings the key along.
    let stranger = Signer::es256();
    let brought =
        json!({ "alg": "ES256", "kid": "one", "jwk": stranger.jwk(), "jku": "https://evil.example" });
    refused("its own key", &stranger.sign(&brought, &claims()), &keys, Reason::Signature);
}

#[test]
fn a_key_signs_by_its_own_algorithm_alone() {
    let keys = |algorithm: &str| {
        set(&[with(Signer::rsa("RS256").jwk(), &json!({ "kid": "one", "alg": algorithm }))])
    };
    for algorithm in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = Signer::rsa(algorithm).token(&claims());
        refused(algorithm, &token, &keys("RS256"), Reason::Algorithm);
        assert!(verify(&token, &keys(algorithm), &rules(), now()).is_ok());
    }
}

#[test]
fn headers_that_ask_for_more_than_is_understood() {
    let signer = Signer::es256();
    for changes in [
        json!({ "crit": ["exp"] }),
        json!({ "crit": [] }),
        json!({ "b64": false, "crit": ["b64"] }),
        json!({ "typ": "logout+jwt" }),
        json!({ "typ": 5 }),
        json!({ "kid": 5 }),
        json!({ "alg": ["ES256"] }),
        json!({ "alg": null }),
    ] {
        let header = with(json!({ "alg": "ES256", "kid": "one" }), &changes);
        let token = signer.sign(&header, &claims());
        refused(&changes.to_string(), &token, &signer.keys(), Reason::Malformed);
    }
    for header in [
        r#"{"alg":"ES256","kid":"one","crit":null}"#,
        r#"{"alg":"none","alg":"ES256","kid":"one"}"#,
        r#"{"alg":"ES256","kid":"two","kid":"one"}"#,
        "[]",
        "",
    ] {
        let token = signer.sign_text(header, &claims().to_string());
        refused(header, &token, &signer.keys(), Reason::Malformed);
    }
}

#[test]
fn claims_that_are_said_twice_or_are_no_claims() {
    let signer = Signer::es256();
    let (keys, base) = (signer.keys(), claims().to_string());
    let open = base.trim_end_matches('}');
    for text in [
        format!(r#"{open},"namespaces":["victim"]}}"#),
        format!(r#"{open},"exp":{}}}"#, NOW + 9_000),
        format!(r#"{open},"sub":"root"}}"#),
        format!(r#"{open},"x":{}{}}}"#, "[".repeat(4_000), "]".repeat(4_000)),
        format!("[{base}]"),
        format!("{base}{base}"),
        open.to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        let token = signer.sign_text(r#"{"alg":"ES256","kid":"one"}"#, &text);
        refused(&text, &token, &keys, Reason::Malformed);
    }
}

#[test]
fn what_is_cut_changed_or_far_too_long() {
    for signer in Signer::all() {
        let (token, keys) = (signer.token(&claims()), signer.keys());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            bytes[at] ^= 1;
            let flipped = format!("{message}.{}", BASE64URL_NOPAD.encode(&bytes));
            refused("a flipped bit", &flipped, &keys, Reason::Signature);
            bytes[at] ^= 1;
        }
        let short = format!("{message}.{}", BASE64URL_NOPAD.encode(&bytes[1..]));
        refused("a short signature", &short, &keys, Reason::Signature);
        refused("no third part", message, &keys, Reason::Malformed);
    }
    let signer = Signer::es256();
    let (keys, token) = (signer.keys(), signer.token(&claims()));
    let long = signer.token(&with(claims(), &json!({ "x": "a".repeat(1 << 20) })));
    assert!(long.len() > 1 << 20);
    refused("a megabyte", &long, &keys, Reason::Malformed);
    let head = format!("{}.e30.AA", BASE64URL_NOPAD.encode("[".repeat(9_000).as_bytes()));
    let garbage =
        ["", ".", "..", "...", "a.b.c", "{}", "e30.e30.e30", "\0.\0.\0", "ä.ä.ä", &".".repeat(16_000), &head];
    for garbage in garbage {
        refused(garbage, garbage, &keys, Reason::Malformed);
    }
    for spoiled in [format!("{token}."), format!(".{token}"), format!(" {token}"), format!("{token}.a.b")] {
        refused(&spoiled, &spoiled, &keys, Reason::Malformed);
    }
}
