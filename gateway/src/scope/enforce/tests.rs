//! Queries, callers, and what goes upstream for them.

use proptest::prelude::*;

use super::*;
use crate::auth::Sight;
use crate::scope::{Error, Invalid, scoped};

mod cases;

use cases::{CASES, Case, Expected};

fn only(names: &[&str]) -> Sight {
    Sight::Only(Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap())
}

fn labels(rules: &[&str]) -> Labels {
    if rules.is_empty() { Labels::new(&["*=namespace"]).unwrap() } else { Labels::new(rules).unwrap() }
}

#[test]
fn each_case_is_restricted_or_refused_as_it_says() {
    for Case { query, names, rules, expected } in CASES {
        let got = scoped(query, &only(names), &labels(rules));
        match (expected, &got) {
            (Expected::Print(print), Ok(text)) => assert_eq!(text, print, "{query}"),
            (Expected::Forbidden, Err(Error::Forbidden)) => {}
            (Expected::Unnamed, Err(Error::Query(Invalid::Refused(Refusal::UnnamedMetric)))) => {}
            (Expected::Function, Err(Error::Query(Invalid::Refused(Refusal::Function(_))))) => {}
            (Expected::Invalid, Err(Error::Query(invalid))) => {
                assert!(!matches!(invalid, Invalid::Refused(_)), "{query}: {invalid}");
            }
            _ => panic!("{query}: expected {expected:?}, got {got:?}"),
        }
    }
}

#[test]
fn an_unknown_namespace_is_refused_in_the_words_of_a_forbidden_one() {
    let refusal = |name: &str| {
        let query = format!("x{{namespace=\"{name}\"}}");
        scoped(&query, &only(&["team-a"]), &labels(&[])).unwrap_err().to_string()
    };
    assert_eq!(refusal("team-z"), refusal("there-is-none"));
    assert_eq!(refusal("team-z"), refusal(""));
    assert!(!refusal("team-z").contains("team-z"));
}

#[test]
fn callers_with_the_same_namespaces_share_a_text() {
    let text = |names: &[&str]| scoped("sum(x) / y", &only(names), &labels(&[])).unwrap();
    assert_eq!(text(&["b", "a", "c"]), text(&["c", "b", "b", "a"]));
    assert_ne!(text(&["a"]), text(&["a", "b"]));
}

#[test]
fn a_query_that_grows_too_long_is_refused_and_can_be_narrowed() {
    let names: Vec<String> = (0..1000).map(|number| format!("team-{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sight = only(&names);
    assert!(scoped("x", &sight, &labels(&[])).is_ok());
    let long = scoped("x + y", &sight, &labels(&[]));
    assert!(matches!(long, Err(Error::Query(Invalid::Refused(Refusal::Long)))), "{long:?}");
    let narrow = r#"x{namespace=~"team-00.."} + y{namespace=~"team-00.."}"#;
    assert!(scoped(narrow, &sight, &labels(&[])).is_ok());
}

#[test]
fn what_is_not_restricted_is_told_from_what_is() {
    let Sight::Only(names) = only(&["team-a", "team-b"]) else { unreachable!() };
    let rules = Labels::new(&["DCGM_*=tenant{job=\"x\"}", "*=namespace"]).unwrap();
    let judge = |query: &str| is_restricted(promql_parser::parser::parse(query).unwrap(), &names, &rules);
    for walled in [
        "1",
        r#"x{namespace="team-a"}"#,
        r#"x{namespace=~"team-b|team-a",namespace!="team-z"}"#,
        r#"rate(x{namespace="team-a"}[5m]) + on () y{namespace="team-b"}"#,
        r#"DCGM_X{tenant="team-a",job="x"}"#,
    ] {
        assert!(judge(walled), "{walled}");
    }
    for open in [
        "x",
        r#"x{namespace="team-z"}"#,
        r#"x{namespace=~"team-a|team-z"}"#,
        r#"x{namespace=~"team-.*"}"#,
        r#"x{namespace=~"team-a|"}"#,
        r#"x{namespace!="team-z"}"#,
        r#"x{tenant="team-a"}"#,
        r#"DCGM_X{tenant="team-a"}"#,
        r#"DCGM_X{namespace="team-a",job="x"}"#,
        r#"{namespace="team-a"}"#,
        r#"x{namespace="team-a" or namespace="team-b"}"#,
        r#"topk(scalar(x), y{namespace="team-a"})"#,
        r#"max_over_time(x[5m:1m])"#,
        r#"info(x{namespace="team-a"})"#,
    ] {
        assert!(!judge(open), "{open}");
    }
}

#[test]
fn no_rule_lets_nothing_pass() {
    assert!(scoped("x", &only(&["a"]), &Labels::none()).is_err());
    assert!(scoped("x", &Sight::All, &Labels::none()).is_ok());
}

/// A selector over a small schema, at times with a matcher on a label that may hold the namespace.
fn selector() -> impl Strategy<Value = String> {
    let metric = prop_oneof![
        Just("up"),
        Just("DCGM_FI_DEV_GPU_UTIL"),
        Just("accelerator_gpu_utilization"),
        Just("kube_pod_info"),
        Just(r#"{"quoted.name"}"#),
    ];
    let matcher = prop_oneof![
        3 => Just(String::new()),
        1 => Just("gpu=\"0\"".to_owned()),
        1 => "(namespace|exported_namespace)(=|!=|=~|!~)\"(team-a|team-z|team-\\.\\*|\\.\\+|)\"",
        1 => "pod=~\"[a-z]{1,3}(\\.\\*)?\"",
    ];
    (metric, matcher).prop_map(|(metric, matcher)| match metric.strip_suffix('}') {
        Some(open) if !matcher.is_empty() => format!("{open},{matcher}}}"),
        Some(_) => metric.to_owned(),
        None => format!("{metric}{{{matcher}}}"),
    })
}

fn query() -> impl Strategy<Value = String> {
    selector().prop_recursive(4, 24, 2, |inner| {
        let (one, pair) = (inner.clone(), (inner.clone(), inner));
        prop_oneof![
            one.clone().prop_map(|x| format!("sum by (gpu) ({x})")),
            one.clone().prop_map(|x| format!("abs(-({x}))")),
            one.clone().prop_map(|x| format!("max_over_time(({x})[5m:1m] offset 1m)")),
            one.prop_map(|x| format!("label_replace({x}, \"a\", \"$1\", \"b\", \"(.*)\")")),
            selector().prop_map(|x| format!("rate({x}[5m] @ end() offset -1m)")),
            pair.clone().prop_map(|(x, y)| format!("topk(scalar({x}), {y})")),
            pair.clone().prop_map(|(x, y)| format!("({x}) * on (gpu) group_left (pod) ({y})")),
            pair.clone().prop_map(|(x, y)| format!("({x}) unless ({y})")),
            pair.prop_map(|(x, y)| format!("clamp({x}, scalar({y}), 100)")),
        ]
    })
}

/// The selectors of a printed query, found in its text: those that the generator makes have braces once restricted.
fn selectors_in(print: &str) -> Vec<&str> {
    let starts = print.match_indices('{').map(|(at, _)| at);
    starts.filter_map(|at| print.get(at..)?.split_once('}').map(|(inside, _)| inside)).collect()
}

proptest! {
    #[test]
    fn every_selector_of_the_print_carries_its_matchers(query in query(), several in any::<bool>()) {
        let sight = if several { only(&["team-a", "team-b"]) } else { only(&["team-a"]) };
        match scoped(&query, &sight, &Labels::default()) {
            Ok(print) => {
                for selector in selectors_in(&print) {
                    let of_gpu = ["DCGM", "accelerator"].iter().any(|begin| print.contains(begin));
                    let one = |label: &str| selector.contains(&format!("{label}=\"team-a\""))
                        || selector.contains(&format!("{label}=\"team-b\""))
                        || selector.contains(&format!("{label}=~\"team-a|team-b\""));
                    let gpu = one("exported_namespace") && selector.contains("namespace=\"nvidia-gpu-operator\"");
                    prop_assert!(one("namespace") || (of_gpu && gpu), "{} in {}", selector, print);
                }
                // Restricted again, it is the same text: nothing is added twice, nothing is lost.
                prop_assert_eq!(&scoped(&print, &sight, &Labels::default()).unwrap(), &print);
            }
            Err(Error::Forbidden) => prop_assert!(query.contains("namespace"), "{}", query),
            Err(other) => prop_assert!(matches!(other, Error::Query(Invalid::Costly(_) | Invalid::Excessive(_))), "{query}: {other}"),
        }
    }

    #[test]
    fn whatever_is_granted_to_all_is_restricted_or_refused(query in "[a-c0-9(){}\\[\\]\"=~<+* ,@-]{0,14}") {
        if let Ok(print) = scoped(&query, &only(&["team-a"]), &labels(&[])) {
            let expr = promql_parser::parser::parse(&print).unwrap();
            let Sight::Only(names) = only(&["team-a"]) else { unreachable!() };
            prop_assert!(is_restricted(expr, &names, &labels(&[])));
        }
    }
}
