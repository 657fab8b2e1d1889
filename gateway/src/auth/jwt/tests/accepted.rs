//! Tokens that count.

use serde_json::{Value, json};

use super::forge::{NOW, Signer, claims, millis, now, reach, rules, set, with};
use crate::auth::jwt::verify::LEEWAY;
use crate::auth::jwt::{Identity, Keys, Reach, Rules, verify};
use crate::auth::refusal::Reason;
use crate::auth::sight::{Namespaces, Sight};

#[test]
fn a_token_of_each_allowed_algorithm_says_who_and_how_far_and_until_when() {
    let namespaces = Namespaces::new(["team-a", "team-b"].map(|name| name.parse().unwrap())).unwrap();
    let expected = Identity {
        user: "ann".to_owned(),
        expires: now().plus_millis(300_000 + millis(LEEWAY)),
        sight: Some(Sight::Only(namespaces)),
        ignored_names: 0,
    };
    for signer in Signer::all() {
        let token = signer.token(&claims());
        let pem = Keys::read(signer.pem().as_bytes()).unwrap();
        for keys in [signer.keys(), pem] {
            let verdict = verify(&token, &keys, &rules(), now());
            assert_eq!(verdict, Ok(expected.clone()), "{} {keys:?}", signer.algorithm);
        }
    }
}

#[test]
fn tokens_that_another_library_made_count() {
    let made: Value = serde_json::from_str(include_str!("pyjwt.json")).unwrap();
    let keys = Keys::from_jwks(made.to_string().as_bytes()).unwrap();
    let tokens = made["tokens"].as_object().unwrap();
    assert_eq!((keys.len(), tokens.len()), (4, 9));
    for (algorithm, token) in tokens {
        let identity = verify(token.as_str().unwrap(), &keys, &rules(), now());
        assert_eq!(identity.unwrap().user, "ann", "{algorithm}");
    }
}

#[test]
fn the_leeway_counts_on_both_ends_and_not_a_millisecond_more() {
    let signer = Signer::es256();
    let judge = |claims, millis| {
        verify(&signer.token(&claims), &signer.keys(), &rules(), now().plus_millis(millis)).map(drop)
    };
    let ends = with(claims(), &json!({ "exp": NOW }));
    assert_eq!(judge(ends.clone(), millis(LEEWAY) - 1), Ok(()));
    assert_eq!(judge(ends, millis(LEEWAY)), Err(Reason::Expired));
    let begins = with(claims(), &json!({ "nbf": NOW }));
    assert_eq!(judge(begins.clone(), -millis(LEEWAY)), Ok(()));
    assert_eq!(judge(begins, -millis(LEEWAY) - 1), Err(Reason::NotYetValid));
}

#[test]
fn what_may_be_left_out_or_written_otherwise_does_no_harm() {
    let signer = Signer::es256();
    for changes in [
        json!({ "nbf": null, "iat": null }),
        json!({ "aud": ["account", "other-name"] }),
        // RFC 7519, 2: a time may have a fraction.
        json!({ "exp": 1_800_000_300.25 }),
        json!({ "nested": { "much": ["of", { "this": null }] } }),
    ] {
        let token = signer.token(&with(claims(), &changes));
        assert!(verify(&token, &signer.keys(), &rules(), now()).is_ok(), "{changes}");
    }
    for changes in
        [json!({ "typ": null }), json!({ "typ": "at+JWT" }), json!({ "jku": "https://evil.example" })]
    {
        let header = with(json!({ "alg": "ES256", "typ": "JWT", "kid": "one" }), &changes);
        let token = signer.sign(&header, &claims());
        assert!(verify(&token, &signer.keys(), &rules(), now()).is_ok(), "{header}");
    }
}

#[test]
fn the_user_is_in_the_configured_claim() {
    let signer = Signer::es256();
    let claims = with(claims(), &json!({ "email": "ann@example.com", "profile": { "name": "Ann" } }));
    let user = |claim: &str, claims| {
        let rules = Rules { user: claim.parse().unwrap(), ..rules() };
        verify(&signer.token(&claims), &signer.keys(), &rules, now()).map(|identity| identity.user)
    };
    assert_eq!(user("/profile/name", claims.clone()).unwrap(), "Ann");
    assert_eq!(user("email", claims.clone()).unwrap(), "ann@example.com");
    let verified = with(claims.clone(), &json!({ "email_verified": true }));
    assert_eq!(user("email", verified).unwrap(), "ann@example.com");
    for unverified in [json!(false), json!("true")] {
        let claims = with(claims.clone(), &json!({ "email_verified": unverified }));
        for claim in ["email", "/email"] {
            assert_eq!(user(claim, claims.clone()), Err(Reason::Claims));
        }
        assert_eq!(user("sub", claims).unwrap(), "ann");
    }
    assert_eq!(user("preferred_username", claims), Err(Reason::Claims));
}

#[test]
fn a_token_without_the_name_of_its_key_counts_where_one_key_fits() {
    let (ec, ed) = (Signer::es256(), Signer::ed());
    let both = set(&[with(ec.jwk(), &json!({ "kid": "a" })), with(ed.jwk(), &json!({ "kid": "b" }))]);
    let nameless = json!({ "alg": "ES256" });
    assert!(verify(&ec.sign(&nameless, &claims()), &both, &rules(), now()).is_ok());
}

#[test]
fn a_token_that_gives_no_namespace_is_known_and_sees_nothing() {
    let signer = Signer::es256();
    let rules = Rules { reach: Reach { namespaces: None, ..reach() }, ..rules() };
    let identity = verify(&signer.token(&claims()), &signer.keys(), &rules, now()).unwrap();
    assert_eq!((identity.user.as_str(), identity.sight), ("ann", None));
}
