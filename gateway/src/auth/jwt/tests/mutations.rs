//! Whatever is done to a valid token: it counts for what it said, or not at all.

use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::forge::{Signer, claims, now, rules, set, with};
use crate::auth::jwt::{Identity, Keys, verify};

/// Two tokens of different content under two keys, and what they say.
struct Two {
    keys: Keys,
    tokens: [String; 2],
    said: [Identity; 2],
}

fn two() -> Two {
    let signers = [Signer::es256(), Signer::ed()];
    let names = ["one", "two"];
    let keys = set(&[0, 1].map(|at| with(signers[at].jwk(), &json!({ "kid": names[at] }))));
    let tokens = [0, 1].map(|at| {
        let header = json!({ "alg": signers[at].algorithm, "kid": names[at] });
        signers[at].sign(&header, &with(claims(), &json!({ "sub": names[at], "namespaces": [names[at]] })))
    });
    let said = [0, 1].map(|at: usize| verify(&tokens[at], &keys, &rules(), now()).unwrap());
    Two { keys, tokens, said }
}

#[derive(Clone, Debug)]
enum Change {
    /// A bit of a decoded part.
    Bit(usize, Index, u8),
    /// A character of the text.
    Char(Index, char),
    /// A part of the other token in the place of this one's.
    Part(usize),
    /// A piece cut out.
    Cut(Index, usize),
    /// A part twice.
    Twice(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let any_char =
        prop::char::ranges(vec!['a'..='z', 'A'..='Z', '0'..='9', '+'..='/', '='..='=', '_'..='_'].into());
    prop_oneof![
        (0..3usize, any::<Index>(), 0..8u8).prop_map(|(part, at, bit)| Change::Bit(part, at, bit)),
        (any::<Index>(), any_char).prop_map(|(at, to)| Change::Char(at, to)),
        (0..3usize).prop_map(Change::Part),
        (any::<Index>(), 1..40usize).prop_map(|(from, bytes)| Change::Cut(from, bytes)),
        (0..3usize).prop_map(Change::Twice),
    ]
}

fn changed(token: &str, other: &str, change: &Change) -> String {
    let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
    let edit = |part: &mut String| match change {
        Change::Bit(_, at, bit) => {
            let mut bytes = BASE64URL_NOPAD.decode(part.as_bytes()).unwrap_or_default();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                *part = BASE64URL_NOPAD.encode(&bytes);
            }
        }
        Change::Part(at) => other.split('.').nth(*at).unwrap_or_default().clone_into(part),
        Change::Twice(_) => *part = part.repeat(2),
        Change::Char(..) | Change::Cut(..) => {}
    };
    match change {
        Change::Bit(at, ..) | Change::Part(at) | Change::Twice(at) => {
            parts.get_mut(*at).map(edit);
            parts.join(".")
        }
        Change::Char(at, to) => {
            let at = at.index(token.len() + 1);
            token.chars().enumerate().map(|(place, old)| if place == at { *to } else { old }).collect()
        }
        Change::Cut(from, bytes) => {
            let from = from.index(token.len() + 1);
            token
                .chars()
                .enumerate()
                .filter(|(at, _)| !(from..from + bytes).contains(at))
                .map(|(_, c)| c)
                .collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_token_says_what_it_said_or_nothing(
        changes in prop::collection::vec(change(), 1..4),
        first in 0..2usize,
    ) {
        // Keys and signatures differ from run to run; what is tested does not depend on them.
        let two = two();
        let mut token = two.tokens[first].clone();
        for change in &changes {
            token = changed(&token, &two.tokens[1 - first], change);
        }
        if let Ok(identity) = verify(&token, &two.keys, &rules(), now()) {
            prop_assert!(two.said.contains(&identity), "{changes:?} made {identity:?}");
        }
    }

    #[test]
    fn no_text_counts_or_makes_it_panic(
        text in "\\PC{0,200}",
        parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5),
    ) {
        let keys = Signer::ed().keys();
        prop_assert!(verify(&text, &keys, &rules(), now()).is_err());
        prop_assert!(verify(&parts.join("."), &keys, &rules(), now()).is_err());
    }
}
