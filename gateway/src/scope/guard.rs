//! The cost of a query, judged on its text before any parser sees it.
//!
//! Parsing compiles every regular expression, and a few hundred characters can hold some that take seconds. What is
//! refused here is far beyond any dashboard.

/// The longest query, in characters.
pub const QUERY_CHARS_MAX: usize = 1000;

/// The deepest nesting of brackets. The parser recurses.
const DEPTH_MAX: usize = 64;

/// The most string literals: label values, regular expressions, function arguments.
const STRINGS_MAX: usize = 100;

/// The most that the repetition counts in one query's strings, `{130}` in `\w{130}`, may add up to.
const REPETITIONS_MAX: u64 = 300;

/// Why a query is not even parsed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Costly {
    /// There is none.
    #[error("the query is empty: give a PromQL expression, such as DCGM_FI_DEV_GPU_UTIL")]
    Empty,
    /// Too many characters.
    #[error("the query has {0} characters; at most {QUERY_CHARS_MAX} are allowed")]
    Long(usize),
    /// Too many brackets in brackets.
    #[error("the query nests brackets {0} deep; at most {DEPTH_MAX} are allowed")]
    Deep(usize),
    /// Too many strings.
    #[error("the query has {0} string literals; at most {STRINGS_MAX} are allowed")]
    Strings(usize),
    /// Regular expressions that would take long to compile.
    #[error(
        "the repetition counts in the query's regular expressions add up to {0}; at most {REPETITIONS_MAX} are allowed"
    )]
    Repetitions(u64),
}

/// Judges a query by its text.
pub(super) fn check(query: &str) -> Result<(), Costly> {
    if query.trim().is_empty() {
        return Err(Costly::Empty);
    }
    let chars = query.chars().count();
    if chars > QUERY_CHARS_MAX {
        return Err(Costly::Long(chars));
    }
    let (mut depth, mut deepest, mut strings, mut repetitions) = (0usize, 0, 0, 0u64);
    for token in tokens(query) {
        match token.text.chars().next() {
            Some('(' | '[' | '{') => depth += 1,
            Some(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Some('"' | '\'' | '`') => {
                strings += 1;
                repetitions = repetitions.saturating_add(repetitions_in(token.text));
            }
            Some(_) | None => {}
        }
        deepest = deepest.max(depth);
    }
    match () {
        () if deepest > DEPTH_MAX => Err(Costly::Deep(deepest)),
        () if strings > STRINGS_MAX => Err(Costly::Strings(strings)),
        () if repetitions > REPETITIONS_MAX => Err(Costly::Repetitions(repetitions)),
        () => Ok(()),
    }
}

/// The larger bound of each `{n}`, `{n,}` and `{n,m}`, added up.
fn repetitions_in(text: &str) -> u64 {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .filter_map(|(bounds, _)| {
            bounds.split(',').filter_map(|bound| bound.trim().parse::<u64>().ok()).max()
        })
        .fold(0, u64::saturating_add)
}

/// A piece of a query, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The byte at which it starts.
    pub(super) start: usize,
    /// A word, a whole string literal, or one other character.
    pub(super) text: &'a str,
}

/// Cuts a query into words, strings and single characters, leaving out white space and comments.
pub(super) fn tokens(query: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = query.get(at..)?;
            let first = rest.chars().next()?;
            let length = match first {
                '#' => rest.find('\n').unwrap_or(rest.len()),
                '"' | '\'' | '`' => string_length(rest, first),
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let start = at;
            at += length;
            if first != '#' && !first.is_whitespace() {
                return rest.get(..length).map(|text| Token { start, text });
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':' | '.')
}

fn string_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_are_where_they_say() {
        assert_eq!(check(" \n"), Err(Costly::Empty));
        assert_eq!(check(&"ü".repeat(1000)), Ok(()));
        assert_eq!(check(&"ü".repeat(1001)), Err(Costly::Long(1001)));
        assert_eq!(check(&format!("{}x{}", "(".repeat(64), ")".repeat(64))), Ok(()));
        assert_eq!(check(&"(".repeat(65)), Err(Costly::Deep(65)));
        let regexes = [r#"a=~"\\w{130}""#; 3].join(",");
        assert_eq!(check(&format!("x{{{regexes}}}")), Err(Costly::Repetitions(390)));
    }

    #[test]
    fn brackets_and_quotes_in_strings_do_not_count() {
        assert_eq!(check(&format!("x{{a=\"{}\"}}", "(".repeat(100))), Ok(()));
        let texts: Vec<_> = tokens(r#"x{a="\"}"} # (comment"#).map(|token| token.text).collect();
        assert_eq!(texts, ["x", "{", "a", "=", r#""\"}""#, "}"]);
    }

    proptest! {
        #[test]
        fn tokens_are_pieces_of_the_query(query in "\\PC{0,80}") {
            for token in tokens(&query) {
                prop_assert_eq!(query.get(token.start..token.start + token.text.len()), Some(token.text));
            }
        }
    }
}
