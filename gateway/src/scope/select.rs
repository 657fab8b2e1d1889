//! Selectors of whole series, as `match[]` has them: restricted to what their caller sees.

use promcast_proto::topic::Datasource;
use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr, VectorSelector};

use super::canonical::{self, Invalid, NO_FIXPOINT};
use super::enforce;
use super::guard::{self, Costly};
use super::labels::Labels;
use crate::auth::Sight;
use crate::auth::sight::Namespaces;

/// Proof that a caller may see what these selectors select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub(super) datasource: Datasource,
    pub(super) selectors: Vec<String>,
    pub(super) is_all: bool,
}

impl Selection {
    /// Of which upstream.
    pub fn datasource(&self) -> &Datasource {
        &self.datasource
    }

    /// The only selectors that go upstream: what any of them selects. None at all is everything, and is for those who see
    /// everything.
    pub fn selectors(&self) -> &[String] {
        &self.selectors
    }

    /// Whether its caller sees everything.
    pub fn is_all(&self) -> bool {
        self.is_all
    }
}

/// What goes upstream for `selectors`, or for everything where there are none.
///
/// Whoever sees everything gets them as they are, and what the upstream says of them. For the others each becomes as many as
/// there are ways in which metrics say whose they are, unless it names its metric. Pure, and bounded in time and memory for any
/// text.
pub fn selected(selectors: &[String], sight: &Sight, labels: &Labels) -> Result<Vec<String>, Invalid> {
    match sight {
        Sight::All => match guard::check_all(selectors) {
            Ok(()) | Err(Costly::Empty) => Ok(selectors.to_vec()),
            Err(costly) => Err(costly.into()),
        },
        Sight::Only(names) => restricted(selectors, names, labels),
    }
}

fn restricted(selectors: &[String], names: &Namespaces, labels: &Labels) -> Result<Vec<String>, Invalid> {
    guard::check_all(selectors)?;
    let mut given = selectors.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    if given.is_empty() {
        given.push(VectorSelector::new(None, Matchers::empty()));
    }
    let parts = enforce::divide(&given, names, labels)?;
    let mut prints: Vec<String> = Vec::with_capacity(parts.len());
    for part in parts {
        let print = Expr::VectorSelector(part).to_string();
        // The printer is not ours: whatever it writes must read as the same text again, with every restriction in it.
        match parser::parse(&print) {
            Ok(Expr::VectorSelector(again))
                if again.to_string() == print && enforce::is_part(&again, names, labels) => {}
            Ok(_) | Err(_) => return Err(Invalid::Unprintable(NO_FIXPOINT)),
        }
        if !prints.contains(&print) {
            prints.push(print);
        }
    }
    Ok(prints)
}

/// A selector and nothing else: a time has no meaning here.
fn read(text: &str) -> Result<VectorSelector, Invalid> {
    let expr = parser::parse(text).map_err(|message| canonical::syntax(text, message))?;
    canonical::faithful(&expr, text)?;
    let selector = if let Expr::VectorSelector(selector) = expr { Some(selector) } else { None };
    selector.filter(|selector| selector.offset.is_none() && selector.at.is_none()).ok_or(
        Invalid::Unprintable("write a selector of series and nothing around it, such as up{job=\"gpu\"}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scope::Refusal;

    fn only(names: &[&str]) -> Sight {
        Sight::Only(Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap())
    }

    fn select(selectors: &[&str], rules: &[&str]) -> Result<Vec<String>, Invalid> {
        let selectors: Vec<_> = selectors.iter().map(|&text| text.to_owned()).collect();
        selected(&selectors, &only(&["a", "b"]), &Labels::new(rules).unwrap())
    }

    const TWO: [&str; 2] = [r#"DCGM_*=exported_namespace{namespace="gpu"}"#, "*=namespace"];

    #[test]
    fn where_one_label_serves_all_metrics_each_selector_gets_it() {
        let one = ["*=namespace"];
        assert_eq!(select(&[], &one).unwrap(), [r#"{namespace=~"a|b"}"#]);
        let both = select(&["up", r#"{job="x"}"#], &one).unwrap();
        assert_eq!(both, [r#"up{namespace=~"a|b"}"#, r#"{job="x",namespace=~"a|b"}"#]);
    }

    #[test]
    fn a_selector_that_names_no_metric_is_divided_by_the_rules() {
        let gpu = r#"__name__=~"DCGM_(?s:.*)",exported_namespace=~"a|b",namespace="gpu""#;
        let rest = r#"__name__!~"DCGM_(?s:.*)",namespace=~"a|b""#;
        assert_eq!(select(&[], &TWO).unwrap(), [format!("{{{gpu}}}"), format!("{{{rest}}}")]);
        let named = select(&["DCGM_x", "up"], &TWO).unwrap();
        assert_eq!(
            named,
            [r#"DCGM_x{exported_namespace=~"a|b",namespace="gpu"}"#, r#"up{namespace=~"a|b"}"#]
        );
    }

    #[test]
    fn a_namespace_that_is_not_theirs_is_forbidden_whatever_the_rules() {
        let forbidden =
            |selector| matches!(select(&[selector], &TWO), Err(Invalid::Refused(Refusal::Forbidden)));
        assert!(forbidden(r#"{namespace="victim"}"#));
        assert!(forbidden(r#"{namespace="there-is-none"}"#));
        assert!(forbidden(r#"up{namespace="victim"}"#));
        let own = select(&[r#"{namespace="a"}"#], &TWO).unwrap();
        assert_eq!(own, [r#"{__name__!~"DCGM_(?s:.*)",namespace="a"}"#]);
        let gpu = select(&[r#"{namespace="gpu"}"#], &TWO).unwrap();
        assert_eq!(gpu.len(), 1, "{gpu:?}");
    }

    #[test]
    fn what_is_no_selector_of_series_is_refused() {
        for text in [
            "",
            "{}",
            "sum(up)",
            "up offset 5m",
            "up @ 5",
            "(up)",
            "up[5m]",
            "up or up",
            "1",
            r#"{a="1" or b="2"}"#,
        ] {
            assert!(select(&[text], &TWO).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn whoever_sees_everything_sends_what_they_like() {
        let raw: Vec<_> = ["up", " {a='b'} ", "sum(", ""].map(str::to_owned).into();
        assert_eq!(selected(&raw, &Sight::All, &Labels::default()).unwrap(), raw);
        assert!(selected(&["x".repeat(1001)], &Sight::All, &Labels::default()).is_err());
    }

    /// Labels of a series, and the matchers of one selector: whether it is selected, as Prometheus would judge.
    fn selects(selector: &str, series: &[(&str, &str)]) -> bool {
        let Ok(Expr::VectorSelector(selector)) = parser::parse(selector) else { panic!("{selector}") };
        let value =
            |name: &str| series.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value);
        selector.name.as_deref().is_none_or(|name| value("__name__") == name)
            && selector.matchers.matchers.iter().all(|matcher| matcher.is_match(value(&matcher.name)))
    }

    proptest! {
        #[test]
        fn what_is_selected_is_the_callers_and_all_of_it(
            name in "(DCGM_|x_|)(a|b)(_total|)",
            namespace in "(a|b|c|gpu|)",
            exported in "(a|b|c|)",
            given in proptest::option::of(prop_oneof![
                Just(r#"{__name__=~".*a.*"}"#), Just(r#"{namespace!=""}"#), Just(r#"{exported_namespace=~"a|c"}"#),
                Just(r#"{namespace=~"gpu|a"}"#), Just(r#"{__name__!="DCGM_a",namespace=~"[^b]+"}"#), Just("DCGM_a"),
            ]),
        ) {
            let rules = [TWO[0], "x_a=namespace", "*_total=exported_namespace", TWO[1]];
            let series = [("__name__", name.as_str()), ("namespace", &namespace), ("exported_namespace", &exported)];
            let owner = match name.as_str() {
                gpu if gpu.starts_with("DCGM_") => if namespace == "gpu" { exported.as_str() } else { "" },
                "x_a" => &namespace,
                total if total.ends_with("_total") => &exported,
                _ => &namespace,
            };
            let own = ["a", "b"].contains(&owner) && given.is_none_or(|given| selects(given, &series));
            let given: Vec<&str> = given.into_iter().collect();
            let selected = select(&given, &rules).unwrap();
            prop_assert_eq!(selected.iter().any(|part| selects(part, &series)), own, "{:?}", selected);
        }

        #[test]
        fn any_text_is_refused_or_restricted(
            text in prop_oneof![any::<String>(), r#"(up|DCGM_a|)\{((namespace|__name__|a)(=|!=|=~|!~)"[a-c.*|+D]{0,4}",?){0,3}\}"#],
        ) {
            if let Ok(parts) = select(&[&text], &TWO) {
                prop_assert!(!parts.is_empty());
                let labels = Labels::new(&TWO).unwrap();
                for part in parts {
                    // Nobody else may ask what it became.
                    let others = selected(std::slice::from_ref(&part), &only(&["c"]), &labels);
                    prop_assert!(others.is_err(), "{part}");
                }
            }
        }
    }
}
