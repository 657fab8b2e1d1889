//! How far claims let somebody see.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::forge::{Signer, claims, now, reach, rules, with};
use crate::auth::jwt::{Claim, InvalidClaim, Reach, Rules, verify};
use crate::auth::refusal::Reason;
use crate::auth::sight::{Namespaces, Sight};

/// What `changes` to the claims give by `reach`: names with spaces between, `*` for all; and how many were left out.
fn seen(reach: Reach, changes: &Value) -> Result<(String, usize), Reason> {
    let signer = Signer::ed();
    let token = signer.token(&with(claims(), changes));
    let identity = verify(&token, &signer.keys(), &Rules { reach, ..rules() }, now())?;
    let names = match identity.sight {
        None => String::new(),
        Some(Sight::All) => "*".to_owned(),
        Some(Sight::Only(names)) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    Ok((names, identity.ignored_names))
}

fn names(names: &[&str]) -> Namespaces {
    Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap()
}

fn groups() -> Reach {
    let a = ("/gpu/a".to_owned(), names(&["a", "shared"]));
    let group_namespaces = BTreeMap::from([a, ("b".to_owned(), names(&["b", "shared"]))]);
    Reach { namespaces: None, group_namespaces, admins: ["ops".to_owned()].into(), ..reach() }
}

#[test]
fn namespaces_come_as_a_list_or_as_a_text_with_spaces() {
    for (claim, expected, ignored) in [
        (json!(["b", "a", "b"]), "a b", 0),
        (json!("b  a"), "a b", 0),
        (json!([]), "", 0),
        (json!(""), "", 0),
        (json!(null), "", 0),
        (json!(["a", "*", ".*", "A", "a|b", "kube-system,x", ""]), "a", 6),
        (json!([".*"]), "", 1),
    ] {
        let found = seen(reach(), &json!({ "namespaces": claim })).unwrap();
        assert_eq!(found, (expected.to_owned(), ignored), "{claim}");
    }
    for wrong in [json!(5), json!(true), json!({ "a": 1 }), json!(["a", 5]), json!([["a"]]), json!([null])] {
        assert_eq!(seen(reach(), &json!({ "namespaces": wrong })), Err(Reason::Claims), "{wrong}");
    }
}

#[test]
fn groups_give_the_namespaces_of_the_map_and_nothing_else() {
    for (claim, expected) in [
        (json!(["/gpu/a"]), "a shared"),
        (json!(["/gpu/a", "b", "c"]), "a b shared"),
        (json!("b"), "b shared"),
        (json!(["gpu/a", "B", "b ", "*"]), ""),
        (json!([]), ""),
        (json!(null), ""),
    ] {
        assert_eq!(seen(groups(), &json!({ "groups": claim })).unwrap().0, expected, "{claim}");
    }
}

#[test]
fn both_claims_add_up() {
    let both = Reach { namespaces: reach().namespaces, ..groups() };
    let changes = json!({ "namespaces": "own", "groups": ["b"] });
    assert_eq!(seen(both, &changes).unwrap().0, "b own shared");
}

#[test]
fn an_admin_group_sees_everything_and_a_part_of_a_name_is_no_group() {
    for claim in [json!(["b", "ops"]), json!("ops")] {
        assert_eq!(seen(groups(), &json!({ "groups": claim })).unwrap().0, "*");
    }
    for near in [json!("dev ops"), json!(["dev ops"]), json!(["Ops"]), json!(["ops/x"]), json!("ops,b")] {
        assert_eq!(seen(groups(), &json!({ "groups": near })).unwrap().0, "", "{near}");
    }
    for wrong in [json!({ "ops": true }), json!(1), json!(["ops", 1])] {
        assert_eq!(seen(groups(), &json!({ "groups": wrong })), Err(Reason::Claims), "{wrong}");
    }
}

#[test]
fn groups_that_nothing_hangs_on_are_not_looked_at() {
    assert_eq!(seen(reach(), &json!({ "groups": 5 })).unwrap().0, "team-a team-b");
}

#[test]
fn a_claim_may_lie_deeper_or_have_a_url_for_a_name() {
    let at = |claim: &str| Reach { namespaces: Some(claim.parse().unwrap()), ..reach() };
    let changes = json!({
        "https://promcast.example/ns.list": ["url"], "resource": { "a/b": { "roles": ["deep"] } }, "a.b": "dot",
    });
    assert_eq!(seen(at("https://promcast.example/ns.list"), &changes).unwrap().0, "url");
    assert_eq!(seen(at("/resource/a~1b/roles"), &changes).unwrap().0, "deep");
    assert_eq!(seen(at("a.b"), &changes).unwrap().0, "dot");
    for bad in ["", " ", "/", "/a~2", "/a~"] {
        assert_eq!(bad.parse::<Claim>(), Err(InvalidClaim), "{bad:?} was taken");
    }
}
