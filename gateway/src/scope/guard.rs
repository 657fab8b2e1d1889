//! The cost of a query, judged on its text before any parser sees it.
//!
//! Parsing compiles every regular expression, and a few hundred characters can hold some that take seconds. What is
//! refused here is far beyond any dashboard.

use super::tokens::tokens;

mod number;
mod regex;

/// The longest query, in characters.
pub const QUERY_CHARS_MAX: usize = 1000;

/// The deepest nesting of brackets. The parser recurses.
const DEPTH_MAX: usize = 64;

/// The most string literals: label values, regular expressions, function arguments.
const STRINGS_MAX: usize = 100;

/// The most regular expressions. The upstream compiles them too, at each tick.
const REGEXES_MAX: usize = 32;

/// The most that the repetition counts in one query's strings, `{130}` in `a{130}`, may add up to.
const REPETITIONS_MAX: u64 = 300;

/// The most work that compiling one query's regular expressions may be, in the unit of [`regex::work`], about a
/// microsecond: a query is parsed twice, and shall take no more than 20 ms.
const REGEX_WORK_MAX: u64 = 5_000;

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
    /// Too many regular expressions.
    #[error("the query has {0} regular expressions; at most {REGEXES_MAX} are allowed")]
    Regexes(usize),
    /// Regular expressions that would take long to compile.
    #[error(
        "the repetition counts in the query's regular expressions add up to {0}; at most {REPETITIONS_MAX} are allowed"
    )]
    Repetitions(u64),
    /// Regular expressions that would take long to compile.
    #[error(
        "the query's regular expressions take too much work to compile: write [0-9A-Za-z_] for \\w and [0-9] for \\d, and \
         repeat less"
    )]
    RegexWork,
    /// A regular expression that Prometheus would not take, or that cannot be judged.
    #[error("the regular expression `{0}` cannot be used: {1}")]
    Regex(String, regex::Unusable),
    /// A number that no part of the query can stand for.
    #[error("the number `{0}` is out of range")]
    Number(String),
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
        () => {
            regexes([query])?;
            number::check(query)
        }
    }
}

/// Judges several texts, each as a query of its own, and what they cost together as that of one.
pub(super) fn check_all(queries: &[String]) -> Result<(), Costly> {
    queries.iter().try_for_each(|query| check(query))?;
    let chars = queries.iter().map(|query| query.chars().count()).sum();
    if chars > QUERY_CHARS_MAX {
        return Err(Costly::Long(chars));
    }
    regexes(queries.iter().map(String::as_str))
}

/// The strings behind `=~` and `!~`: no others are compiled.
fn regexes<'a>(queries: impl IntoIterator<Item = &'a str>) -> Result<(), Costly> {
    let (mut count, mut work) = (0, 0u64);
    for query in queries {
        let (more, more_work) = regexes_in(query)?;
        (count, work) = (count + more, work.saturating_add(more_work));
    }
    match () {
        () if count > REGEXES_MAX => Err(Costly::Regexes(count)),
        () if work > REGEX_WORK_MAX => Err(Costly::RegexWork),
        () => Ok(()),
    }
}

/// How many there are, and the work that they are.
fn regexes_in(query: &str) -> Result<(usize, u64), Costly> {
    let (mut count, mut work, mut before) = (0, 0u64, "");
    for token in tokens(query) {
        if token.is_string() && before == "~" {
            count += 1;
            // What cannot be unquoted is a syntax error, and compiled by nobody.
            if let Some(pattern) = token.unquoted() {
                let more = regex::work(&pattern).map_err(|error| Costly::Regex(pattern, error))?;
                work = work.saturating_add(more);
            }
        }
        before = token.text;
    }
    Ok((count, work))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_where_they_say() {
        assert_eq!(check(" \n"), Err(Costly::Empty));
        assert_eq!(check(&"ü".repeat(1000)), Ok(()));
        assert_eq!(check(&"ü".repeat(1001)), Err(Costly::Long(1001)));
        assert_eq!(check(&format!("{}x{}", "(".repeat(64), ")".repeat(64))), Ok(()));
        assert_eq!(check(&"(".repeat(65)), Err(Costly::Deep(65)));
        let regexes =
            |regex: &str, count| format!("x{{{}}}", vec![format!("a=~\"{regex}\""); count].join(","));
        assert_eq!(check(&regexes(r"\\w{130}", 3)), Err(Costly::Repetitions(390)));
        assert_eq!(check(&regexes("b", 32)), Ok(()));
        assert_eq!(check(&regexes("b", 33)), Err(Costly::Regexes(33)));
        assert_eq!(check(&regexes(r"\\w+", 3)), Ok(()));
        assert_eq!(check(&regexes(r"\\w+", 8)), Err(Costly::RegexWork));
        assert_eq!(check(&regexes(r"a{10}{10}{10}{10}", 1)), Err(Costly::RegexWork));
    }

    #[test]
    fn several_texts_may_cost_what_one_may() {
        let texts = |text: &str, count| check_all(&vec![text.to_owned(); count]);
        assert_eq!(texts("x", 1000), Ok(()));
        assert_eq!(texts("xyz", 334), Err(Costly::Long(1002)));
        assert_eq!(texts(r#"x{a=~"b"}"#, 33), Err(Costly::Regexes(33)));
        assert_eq!(texts(r#"x{a=~"\\w+"}"#, 8), Err(Costly::RegexWork));
        // An open string in one hides nothing of the next.
        let hidden = ["x{a=\"".to_owned(), r#"y{a=~"\\w{290}"}"#.to_owned()];
        assert_eq!(check_all(&hidden), Err(Costly::RegexWork));
    }

    #[test]
    fn brackets_and_quotes_in_strings_do_not_count() {
        assert_eq!(check(&format!("x{{a=\"{}\"}}", "(".repeat(100))), Ok(()));
    }

    #[test]
    fn a_comment_hides_no_regular_expression() {
        let hidden = "x{a=~ # \r \"\\\\w{290}\"}";
        assert_eq!(check(hidden), Err(Costly::RegexWork));
    }
}
