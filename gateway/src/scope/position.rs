//! Where a query stops making sense. The parser says what is wrong, but not where.
//!
//! A beginning of a query makes sense as long as *something* can follow that makes it whole. So the place is behind
//! the longest such beginning, found by halving, with a fixed list of endings to try.

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

/// The character, counted from 1, at which `query` stops making sense; behind its last where something is missing at
/// the end. Only for queries that do not parse.
pub(super) fn of_error(query: &str) -> usize {
    let tokens: Vec<_> = tokens(query).collect();
    // A beginning of a beginning that makes sense makes sense too, so halving finds the first that does not.
    let sensible = tokens.partition_point_by(|count| makes_sense(query, &tokens[..count]));
    let byte = tokens.get(sensible).map_or(query.trim_end().len(), |token| token.start);
    query.get(..byte).map_or(0, |before| before.chars().count()) + 1
}

/// [`slice::partition_point`], over how many tokens are taken.
trait PartitionPointBy {
    fn partition_point_by(&self, holds: impl Fn(usize) -> bool) -> usize;
}

impl PartitionPointBy for Vec<Token<'_>> {
    fn partition_point_by(&self, holds: impl Fn(usize) -> bool) -> usize {
        let (mut holds_at, mut fails_at) = (0, self.len() + 1);
        while holds_at + 1 < fails_at {
            let middle = usize::midpoint(holds_at, fails_at);
            if holds(middle) {
                holds_at = middle;
            } else {
                fails_at = middle;
            }
        }
        holds_at
    }
}

fn makes_sense(query: &str, taken: &[Token<'_>]) -> bool {
    let Some(last) = taken.last() else { return true };
    let Some(beginning) = query.get(..last.start + last.text.len()) else { return false };
    let closers = closers(taken);
    MIDDLES.iter().any(|middle| {
        TAILS.iter().any(|tail| parser::parse(&format!("{beginning}{middle}{closers}{tail}")).is_ok())
            || parser::parse(&format!("{beginning}{middle}{}", closers.replacen(')', ")[5m:]", 1))).is_ok()
    })
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
        ];
        for (query, position) in cases {
            assert!(parser::parse(query).is_err(), "{query} parses");
            assert_eq!(of_error(query), position, "{query}");
        }
    }
}
