//! The canonical print of a query: one text for all its spellings, and only where the print says the same.

use std::time::{Duration, UNIX_EPOCH};

use promql_parser::parser::{self, AtModifier, Expr, Offset};

use super::cost::{self, Excessive};
use super::enforce::{self, Refusal};
use super::guard::{self, Costly};
use super::labels::Labels;
use super::position;
use super::tokens::tokens;
use crate::auth::Sight;

/// Why a query cannot be streamed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    /// It costs too much to look at.
    #[error(transparent)]
    Costly(#[from] Costly),
    /// It costs the upstream too much.
    #[error(transparent)]
    Excessive(#[from] Excessive),
    /// It cannot be restricted to what the caller may see.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is not PromQL.
    #[error("{message}, at character {position}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where it stops making sense: the character, counted from 1.
        position: usize,
    },
    /// The parser cannot cope with it.
    #[error("the query has a number or duration that is out of range")]
    Unparsable,
    /// It is PromQL, but its print would say something else.
    #[error("{0}")]
    Unprintable(&'static str),
}

/// The canonical print of `query`, restricted to what `sight` lets its caller see: the only text that goes upstream.
pub(super) fn canonical(query: &str, sight: &Sight, labels: &Labels) -> Result<String, Invalid> {
    guard::check(query)?;
    let mut expr = parser::parse(query).map_err(|message| syntax(query, message))?;
    faithful(&expr, query)?;
    if let Sight::Only(names) = sight {
        enforce::restrict(&mut expr, names, labels)?;
    }
    cost::check(&expr)?;
    let print = expr.to_string();
    // The printer is not ours: whatever it writes must read as the same text again, with every restriction in it.
    let again = match parser::parse(&print) {
        Ok(again) if again.to_string() == print => again,
        Ok(_) | Err(_) => return Err(Invalid::Unprintable(NO_FIXPOINT)),
    };
    match sight {
        Sight::Only(names) if !enforce::is_restricted(again, names, labels) => {
            Err(Invalid::Unprintable(NO_FIXPOINT))
        }
        Sight::Only(_) | Sight::All => Ok(print),
    }
}

pub(super) fn syntax(query: &str, message: String) -> Invalid {
    Invalid::Syntax { message, position: position::of_error(query) }
}

/// Refuses what the parser takes and prints with another meaning.
pub(super) fn faithful(expr: &Expr, query: &str) -> Result<(), Invalid> {
    if has_byte_escape(query) {
        return Err(Invalid::Unprintable(
            "byte escapes (\\x80 and above) in strings are not supported; write the character itself",
        ));
    }
    walk(expr)
}

/// `\x80`–`\xff` and their octal forms stand for single bytes in Prometheus; the parser makes characters of them.
fn has_byte_escape(query: &str) -> bool {
    let is_byte = |text: &str| {
        let hex = text.strip_prefix('x').and_then(|digits| digits.get(..2));
        let number = match hex {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.get(..3).and_then(|digits| u32::from_str_radix(digits, 8).ok()),
        };
        number.is_some_and(|number| number >= 0x80)
    };
    tokens(query).filter(|token| token.is_string() && !token.text.starts_with('`')).any(|token| {
        let unescaped = token.text.replace(r"\\", "");
        unescaped.split('\\').skip(1).any(is_byte)
    })
}

pub(super) const NO_FIXPOINT: &str = "the query is written in a way that cannot be printed back; leave out empty `ignoring ()` or `on ()` lists";
const BEFORE_EPOCH: &str = "`@` with a time before 1970 is not supported";
const SELECTOR_OR: &str = "`or` between matchers inside braces is not PromQL; use `or` between two selectors";
const PART_MILLIS: &str =
    "ranges, steps and offsets are whole milliseconds, and a range or step is at least one of them";

/// An exhaustive match, so that a new kind of node in a later parser does not slip through.
fn walk(expr: &Expr) -> Result<(), Invalid> {
    match expr {
        Expr::Aggregate(aggregate) => {
            aggregate.param.as_deref().map_or(Ok(()), walk)?;
            walk(&aggregate.expr)
        }
        Expr::Unary(unary) => walk(&unary.expr),
        Expr::Binary(binary) => {
            walk(&binary.lhs)?;
            walk(&binary.rhs)
        }
        Expr::Paren(paren) => walk(&paren.expr),
        Expr::Subquery(subquery) => {
            at(subquery.at.as_ref())?;
            offset(subquery.offset.as_ref())?;
            whole_millis(Some(subquery.range))?;
            whole_millis(subquery.step)?;
            walk(&subquery.expr)
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::VectorSelector(selector) => vector(selector),
        Expr::MatrixSelector(selector) => {
            whole_millis(Some(selector.range))?;
            vector(&selector.vs)
        }
        Expr::Call(call) => call.args.args.iter().try_for_each(|arg| walk(arg)),
        Expr::Extension(_) => Err(Invalid::Unparsable),
    }
}

fn vector(selector: &parser::VectorSelector) -> Result<(), Invalid> {
    at(selector.at.as_ref())?;
    offset(selector.offset.as_ref())?;
    if selector.matchers.or_matchers.is_empty() { Ok(()) } else { Err(Invalid::Unprintable(SELECTOR_OR)) }
}

fn at(modifier: Option<&AtModifier>) -> Result<(), Invalid> {
    match modifier {
        Some(AtModifier::At(time)) if *time < UNIX_EPOCH => Err(Invalid::Unprintable(BEFORE_EPOCH)),
        Some(AtModifier::At(_) | AtModifier::Start | AtModifier::End) | None => Ok(()),
    }
}

/// Prometheus counts in milliseconds, and the printer leaves out what is smaller.
fn whole_millis(duration: Option<Duration>) -> Result<(), Invalid> {
    match duration {
        Some(duration) if duration.is_zero() || !duration.subsec_nanos().is_multiple_of(1_000_000) => {
            Err(Invalid::Unprintable(PART_MILLIS))
        }
        Some(_) | None => Ok(()),
    }
}

fn offset(offset: Option<&Offset>) -> Result<(), Invalid> {
    match offset {
        Some(Offset::Pos(by) | Offset::Neg(by)) => whole_millis(Some(*by).filter(|by| !by.is_zero())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::{Datasource, Topic};
    use proptest::prelude::*;

    use super::*;

    fn canonical(query: &str) -> Result<String, Invalid> {
        super::canonical(query, &Sight::All, &Labels::default())
    }

    #[test]
    fn what_would_print_with_another_meaning_is_refused() {
        for query in [
            "x @ -5",
            r#"x{a="1" or b="2"}"#,
            r#""\xff""#,
            r#"label_replace(x, "a", "\377", "b", "")"#,
            "x[1e-30]",
            "x[0]",
            "x[0.0015]",
            "x offset 0.0001",
            "x offset -1.0005",
            "rate(x[5m:0s])",
            "rate(x[5m:0.0001])",
            "a * ignoring () group_left b",
            "x @ 1e300",
            "x[9.5e10]",
            "1e400",
            r#"x{a=~"a)|(b"}"#,
            r#"x{a=~"b{1001}"}"#,
            r#"x{a=~"(?x)b"}"#,
        ] {
            assert!(canonical(query).is_err(), "{query} became {:?}", canonical(query));
        }
    }

    #[test]
    fn what_prints_otherwise_means_the_same() {
        for (query, print) in [
            (r#"x{b="1",a="2"}"#, r#"x{a="2",b="1"}"#),
            ("+x", "x"),
            ("- + x", "-x"),
            ("sum by () (x)", "sum(x)"),
            ("a + ignoring () b", "a + b"),
            ("x[300]", "x[5m]"),
            ("x offset 1.5", "x offset 1s500ms"),
            ("0x10 + 017 + 1e3", "16 + 15 + 1000"),
            ("x @ 1.5", "x @ 1.500"),
            (r#"{"a.b"}"#, r#"{__name__="a.b"}"#),
            ("x{a='b\"'}", r#"x{a="b\""}"#),
        ] {
            assert_eq!(canonical(query).as_deref(), Ok(print), "{query}");
        }
    }

    #[test]
    fn what_is_fine_stays_fine() {
        for query in [
            "x{a=~\"\\\\xff\"}",
            "x @ 5",
            "a * on (gpu) group_left (pod) b",
            "\"\\x41\"",
            "rate(x[5m:])",
            "topk(3, x)",
            "1/0",
            "x[1m]",
        ] {
            canonical(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
    }

    /// A query as a list of pieces that take any white space between them.
    fn pieces() -> impl Strategy<Value = Vec<String>> {
        let metric =
            prop_oneof!["DCGM_FI_DEV_GPU_UTIL", "up", "node_load1"].prop_map(|name: String| vec![name]);
        let matchers = metric.prop_flat_map(|metric| {
            (Just(metric), "l_[a-z]{1,4}", "[a-zA-Z0-9 .-]{0,6}").prop_map(|(mut metric, label, value)| {
                metric.extend([
                    "{".to_owned(),
                    label,
                    "=".to_owned(),
                    format!("\"{value}\""),
                    "}".to_owned(),
                ]);
                metric
            })
        });
        matchers.prop_recursive(4, 32, 2, |inner| {
            let call = |name: &'static str, suffix: &'static [&'static str]| {
                move |args: Vec<String>| {
                    let mut all = vec![name.to_owned(), "(".to_owned()];
                    all.extend(args);
                    all.extend(suffix.iter().map(|piece| (*piece).to_owned()));
                    all.push(")".to_owned());
                    all
                }
            };
            prop_oneof![
                inner.clone().prop_map(call("sum", &[])),
                inner.clone().prop_map(call("max", &[])),
                inner.clone().prop_map(call("abs", &[])),
                inner.clone().prop_map(call("rate", &["[5m:]"])),
                (inner.clone(), inner).prop_map(|(left, right)| {
                    [vec!["(".to_owned()], left, vec!["+".to_owned()], right, vec![")".to_owned()]].concat()
                }),
            ]
        })
    }

    fn key(query: &str) -> String {
        Topic::new(Datasource::default(), canonical(query).unwrap()).key().to_string()
    }

    proptest! {
        #[test]
        fn a_key_depends_on_the_query_and_not_on_its_spelling(
            pieces in pieces(),
            spaces in proptest::collection::vec("[ \t\n]{0,2}|\n# a comment\n", 200),
        ) {
            let plain = pieces.join(" ");
            let spaced: String = pieces.iter().zip(&spaces).flat_map(|(piece, space)| [piece.as_str(), " ", space]).collect();
            // More subqueries in each other than are allowed.
            prop_assume!(plain.matches("[5m:]").count() <= 2);
            prop_assume!(plain.len() < 400 && spaced.chars().count() < 1000);
            prop_assert_eq!(key(&plain), key(&spaced));
            prop_assert_ne!(key(&plain), key(&format!("{plain} + 1")));
        }

        #[test]
        fn a_canonical_query_is_its_own_print(pieces in pieces()) {
            let query = pieces.join(" ");
            prop_assume!(query.len() < 900 && query.matches("[5m:]").count() <= 2);
            let once = canonical(&query).unwrap();
            prop_assert_eq!(canonical(&once).unwrap(), once);
        }

        #[test]
        fn any_text_is_refused_or_printed(query in prop_oneof!["\\PC{0,60}", "[a-c0-9(){}\\[\\]\"=~<+* ,@-]{0,12}"]) {
            if let Ok(print) = canonical(&query) {
                prop_assert_eq!(canonical(&print), Ok(print));
            }
        }
    }
}
