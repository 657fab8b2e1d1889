//! Numbers and durations that the parser cannot represent: it panics on some, and reads others as something else.

use super::Costly;
use crate::scope::tokens::{Token, tokens};

/// The most digits in a row of a duration. Nine stay below 2^32, where the parser's arithmetic ends.
const DURATION_DIGITS_MAX: usize = 9;

/// Looks at each number and duration of `query`.
pub(super) fn check(query: &str) -> Result<(), Costly> {
    let (mut in_brackets, mut after_offset) = (false, false);
    for token in tokens(query) {
        // In brackets a colon stands between two durations; elsewhere it is part of a name.
        let parts = if in_brackets { token.text.split(':').collect() } else { vec![token.text] };
        let mut start = token.start;
        for text in parts {
            number(query, Token { start, text }, in_brackets || after_offset)?;
            start += text.len() + 1;
        }
        match token.text {
            "[" => in_brackets = true,
            "]" => in_brackets = false,
            _ => {}
        }
        let sign = matches!(token.text, "+" | "-");
        after_offset = token.text.eq_ignore_ascii_case("offset") || (after_offset && sign);
    }
    Ok(())
}

/// Judges one word, where it is a number.
fn number(query: &str, word: Token<'_>, is_time: bool) -> Result<(), Costly> {
    // The parser would make a duration of these, and panic.
    let is_name = is_time && ["inf", "nan"].iter().any(|name| word.text.eq_ignore_ascii_case(name));
    match whole(query, word) {
        Some(text) if is_number(text, is_time) || is_duration(text) => Ok(()),
        None if !is_name => Ok(()),
        Some(text) => Err(Costly::Number(text.to_owned())),
        None => Err(Costly::Number(word.text.to_owned())),
    }
}

/// The number or duration that begins with this word, with the sign of an exponent, which is a token of its own.
fn whole<'a>(query: &'a str, word: Token<'a>) -> Option<&'a str> {
    let starts = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if !starts(word.text) && !word.text.strip_prefix('.').is_some_and(starts) {
        return None;
    }
    let hex = word.text.starts_with("0x") || word.text.starts_with("0X");
    let rest = query.get(word.end()..)?;
    if hex || !word.text.ends_with(['e', 'E']) || !rest.starts_with(['+', '-']) {
        return Some(word.text);
    }
    let digits = rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
    query.get(word.start..word.end() + 1 + digits)
}

/// A number that is finite; as a time, one of few digits and without an exponent.
fn is_number(text: &str, is_time: bool) -> bool {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).is_ok()
            || (!is_time && i64::from_str_radix(digits, 16).is_ok());
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.len() <= 15;
    text.parse::<f64>().is_ok_and(f64::is_finite) && (!is_time || plain)
}

/// A text of digits and units, each with few digits. Whether the units are right is the parser's to say.
fn is_duration(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphabetic())
        && !text.contains(['e', 'E', 'x', 'X'])
        && text.split(|c: char| !c.is_ascii_digit()).all(|digits| digits.len() <= DURATION_DIGITS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parser_would_panic_on_or_misread_is_refused() {
        for query in [
            "x[1e30]",
            "x[1e+30]",
            "x[5m:1e30]",
            "x[5m :1e30]",
            "x[1e30:5m]",
            "x offset 1e30",
            "x offset - 1e30",
            "x OFFSET Inf",
            "x offset -NaN",
            "x[4294967296s5ms]",
            "4294967296s5ms",
            "1e400",
            "1e+400",
            "x[99999999999999999999]",
            &"9".repeat(400),
        ] {
            assert!(matches!(check(query), Err(Costly::Number(_))), "{query}");
        }
    }

    #[test]
    fn numbers_and_durations_of_every_form_pass() {
        for query in [
            "1",
            "1.5",
            ".5",
            "1e3",
            "1e-3",
            "1E+3",
            "0x1F",
            "017",
            "1e300",
            "Inf",
            "NaN",
            "-Inf",
            "5m",
            "1h30m",
            "x[5m]",
            "x[300]",
            "x[0.5]",
            "x[1d12h:30s]",
            "x[5m:]",
            "x[5m:30]",
            "a:1e400",
            "x offset 5m",
            "x offset -1w",
            "x offset 300",
            "x @ 1609746000.5",
            "x1e400",
            "node_load1",
            "x{a=\"1e400\"}",
            "0x7fffffffffffffff",
        ] {
            assert_eq!(check(query), Ok(()), "{query}");
        }
    }
}
