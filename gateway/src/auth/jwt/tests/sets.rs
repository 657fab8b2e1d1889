//! Key sets that can be used, and those that cannot.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::forge::{Signer, claims, now, rules, set, with};
use crate::auth::jwt::keys::InvalidKeys;
use crate::auth::jwt::{Keys, verify};

fn read(value: &Value) -> Result<Keys, InvalidKeys> {
    Keys::read(value.to_string().as_bytes())
}

#[test]
fn keys_that_are_of_no_use_for_signatures_are_left_out_and_the_others_stay() {
    let (good, other) = (Signer::es256(), Signer::es256());
    let named =
        with(good.jwk(), &json!({ "kid": "one", "use": "sig", "key_ops": ["verify"], "x5c": ["AA=="] }));
    let useless = [
        with(other.jwk(), &json!({ "use": "enc" })),
        with(other.jwk(), &json!({ "key_ops": ["encrypt"] })),
        with(other.jwk(), &json!({ "alg": "HS256" })),
        with(other.jwk(), &json!({ "alg": "ES384" })),
        with(other.jwk(), &json!({ "crv": "P-521" })),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "RSA", "n": BASE64URL_NOPAD.encode(&[0xff; 255]), "e": "AQAB" }),
        json!({ "kty": "RSA" }),
        json!({ "kty": "new" }),
        json!(5),
    ];
    for key in &useless {
        assert_eq!(read(&json!({ "keys": [key] })).unwrap_err(), InvalidKeys::NoneUsable(1), "{key}");
    }
    let keys = set(&[&useless[..], &[named]].concat());
    assert_eq!(keys.len(), 1);
    assert!(verify(&good.token(&claims()), &keys, &rules(), now()).is_ok());
}

#[test]
fn what_is_no_set_is_told() {
    for text in ["{}", r#"{"keys":5}"#, r#"{"keys":{}}"#, "{", r#"{"issuer":"https://h"}"#] {
        assert_eq!(Keys::read(text.as_bytes()).unwrap_err(), InvalidKeys::NotASet, "{text}");
    }
    assert_eq!(read(&json!({ "keys": [] })).unwrap_err(), InvalidKeys::NoneUsable(0));
    let many = vec![Signer::ed().jwk(); 101];
    assert_eq!(read(&json!({ "keys": many })).unwrap_err(), InvalidKeys::TooMany(101));
}

#[test]
fn a_pem_file_holds_one_public_key() {
    let pem = Signer::es256().pem();
    for (text, error) in [
        (format!("{pem}{pem}"), InvalidKeys::NotPem),
        (pem.replace("PUBLIC KEY", "CERTIFICATE"), InvalidKeys::NotPem),
        (pem.replace("PUBLIC", "EC PUBLIC"), InvalidKeys::NotPem),
        (pem.replace("PUBLIC", "PRIVATE"), InvalidKeys::Private),
        (String::new(), InvalidKeys::NotPem),
        ("\u{feff}hello".to_owned(), InvalidKeys::NotPem),
    ] {
        assert_eq!(Keys::read(text.as_bytes()).unwrap_err(), error, "{text}");
    }
}
