//! Where a query stops making sense. The parser says what is wrong, but not where.
//!
//! A beginning of a query makes sense as long as *something* can follow that makes it whole. So the place is behind
//! the longest such beginning, found by halving, with a fixed list of endings to try.
//!
//! That is many parses, so strings are made harmless first, for the regular expressions in them would be compiled each
//! time, and the work is bounded.

use std::ops::ControlFlow;

use promql_parser::parser;

use super::tokens::{Token, tokens};

/// What may follow within the innermost bracket, or at the end.
const MIDDLES: &[&str] = &[
    "",
    "x",
    " x",
    "1",
    " (x)",
    "=\"a\"",
    "\"a\"",
    "=\"a\"}",
    "5m",
    " 5m",
    "[5m]",
    ", x",
    ", 1",
    ", 1, 1",
    ", \"a\"",
    ", \"a\", \"a\"",
    ", \"a\", \"a\", \"a\"",
    ", \"a\", \"a\", \"a\", \"a\"",
    "1, x",
    "x[5m]",
    "1, x[5m]",
    "{x=\"a\"}",
];

/// What may follow once all brackets are closed.
const TAILS: &[&str] = &["", " (x)", " x"];

/// What stands for a string while the place is looked for.
const STRING: &str = "\"a\"";

/// The work that finding the place may be, in the unit of [`cost`]: about 20 ms.
const WORK_MAX: usize = 40_000;

/// Strings of a query up to which it is found out which of them is at fault.
const STRINGS_MAX: usize = 8;

/// The character, counted from 1, at which `query` stops making sense; behind its last where something is missing at
/// the end. In a long query it may be the last one before it that was tried. Only for queries that do not parse.
pub(super) fn of_error(query: &str) -> usize {
    let tokens: Vec<_> = tokens(query).collect();
    let sensible = if parser::parse(&harmless(query, &tokens, 0)).is_ok() {
        first_bad_string(query, &tokens)
    } else {
        sensible_tokens(&harmless(query, &tokens, 0))
    };
    let byte = tokens.get(sensible).map_or(query.trim_end().len(), |token| token.start);
    query.get(..byte).map_or(0, |before| before.chars().count()) + 1
}

/// `query` with its strings replaced, but for the first `kept` and those that are not even strings.
fn harmless(query: &str, tokens: &[Token<'_>], kept: usize) -> String {
    let (mut text, mut copied) = (String::with_capacity(query.len()), 0);
    let strings = tokens.iter().filter(|token| token.unquoted().is_some());
    for token in strings.skip(kept) {
        text.extend([query.get(copied..token.start).unwrap_or_default(), STRING]);
        copied = token.end();
    }
    text + query.get(copied..).unwrap_or_default()
}

/// The token that is the first string without which the query would parse; the end where that is hard to tell.
fn first_bad_string(query: &str, tokens: &[Token<'_>]) -> usize {
    let strings: Vec<_> =
        tokens.iter().enumerate().filter(|(_, token)| token.is_string()).map(|(at, _)| at).collect();
    if strings.len() > STRINGS_MAX {
        return tokens.len();
    }
    let kept = halve(strings.len(), |kept| {
        ControlFlow::Continue(parser::parse(&harmless(query, tokens, kept)).is_ok())
    });
    strings.get(kept).copied().unwrap_or(tokens.len())
}

/// How many tokens of `query`, from the first, make sense.
fn sensible_tokens(query: &str) -> usize {
    let tokens: Vec<_> = tokens(query).collect();
    let mut work = WORK_MAX;
    // A beginning of a beginning that makes sense makes sense too, so halving finds the first that does not.
    halve(tokens.len(), |count| makes_sense(query, tokens.get(..count).unwrap_or_default(), &mut work))
}

/// The largest number up to `most` for which `holds`, if it does for all smaller ones; or how far that was known when
/// `holds` had enough.
fn halve(most: usize, mut holds: impl FnMut(usize) -> ControlFlow<(), bool>) -> usize {
    let (mut holds_at, mut fails_at) = (0, most + 1);
    while holds_at + 1 < fails_at {
        let middle = usize::midpoint(holds_at, fails_at);
        match holds(middle) {
            ControlFlow::Continue(true) => holds_at = middle,
            ControlFlow::Continue(false) => fails_at = middle,
            ControlFlow::Break(()) => break,
        }
    }
    holds_at
}

/// The work of one parse, in about half a microsecond: checking types takes longer the longer an expression is, and each
/// regular expression, harmless as it is now, is compiled.
fn cost(taken: &[Token<'_>]) -> usize {
    let regexes = taken.iter().filter(|token| token.text == "~").count();
    taken.len() + taken.len() * taken.len() / 256 + 40 * regexes
}

fn makes_sense(query: &str, taken: &[Token<'_>], work: &mut usize) -> ControlFlow<(), bool> {
    let Some(last) = taken.last() else { return ControlFlow::Continue(true) };
    let Some(beginning) = query.get(..last.end()) else { return ControlFlow::Continue(false) };
    let closers = closers(taken);
    let in_subquery = closers.replacen(')', ")[5m:]", 1);
    let cost = cost(taken);
    let endings = MIDDLES.iter().flat_map(|middle| {
        let closed = TAILS.iter().map(|tail| (*middle, closers.as_str(), *tail));
        closed.chain([(*middle, in_subquery.as_str(), "")])
    });
    for (middle, closers, tail) in endings {
        let Some(left) = work.checked_sub(cost) else { return ControlFlow::Break(()) };
        *work = left;
        if parser::parse(&format!("{beginning}{middle}{closers}{tail}")).is_ok() {
            return ControlFlow::Continue(true);
        }
    }
    ControlFlow::Continue(false)
}

/// The brackets that close those that are open, innermost first.
fn closers(taken: &[Token<'_>]) -> String {
    let mut open = Vec::new();
    for token in taken {
        match token.text {
            "(" => open.push(')'),
            "[" => open.push(']'),
            "{" => open.push('}'),
            ")" | "]" | "}" => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_where_a_reader_would_point() {
        let cases = [
            ("sum(", 5),
            ("up{", 4),
            ("up +", 5),
            ("foo bar", 5),
            ("sum(up))", 8),
            ("rate(up)", 8),
            ("sum by (gpu) (rate(up[5m])", 27),
            ("up{gpu=\"0\",,}", 12),
            ("üp", 1),
            ("sum(up) + + )", 13),
            ("up offset", 10),
            ("histogram_quantile(0.9, rate(x[5m]) by (le)", 37),
            ("x{a=\"b\"} + {a=\"\"}", 15),
            ("x{a=\"b\", c=\"}", 12),
        ];
        for (query, position) in cases {
            assert!(parser::parse(query).is_err(), "{query} parses");
            assert_eq!(of_error(query), position, "{query}");
        }
    }

    #[test]
    fn a_long_query_has_a_place_too() {
        let query = format!("{} + ) + {}", ["x"; 200].join("+"), ["x"; 200].join("+"));
        let position = of_error(&query);
        assert!((1..=403).contains(&position), "{position}");
    }
}
