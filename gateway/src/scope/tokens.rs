//! Cuts the text of a query into pieces, as the parser's lexer does, for what is judged before or beside the parser.

use promql_parser::util::unquote_string;

/// What may stand behind a backslash, besides the quote. The parser's own list.
const ESCAPES: &str = r"abfnrtv\01234567xuU";

/// A piece of a query, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The byte at which it starts.
    pub(super) start: usize,
    /// A word, a whole string literal, or one other character.
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// Whether it is a string literal.
    pub(super) fn is_string(&self) -> bool {
        self.text.starts_with(['"', '\'', '`'])
    }

    /// What a string literal stands for; nothing where it is none, or a bad one. The parser's lexer looks at the escapes
    /// before it unquotes, which would otherwise panic.
    pub(super) fn unquoted(&self) -> Option<String> {
        let quote = self.text.chars().next().filter(|_| self.is_string())?;
        let mut rest = self.text.chars();
        while let Some(c) = rest.next() {
            if c == '\\' && !rest.next().is_some_and(|escape| escape == quote || ESCAPES.contains(escape)) {
                return None;
            }
        }
        unquote_string(self.text).ok()
    }

    /// Where it ends: the byte behind it.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Cuts a query into words, strings and single characters, leaving out white space and comments.
pub(super) fn tokens(query: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = query.get(at..)?;
            let first = rest.chars().next()?;
            let length = match first {
                '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
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

/// A backslash protects the next character, in raw strings too: so the parser's lexer has it, and text that is a string
/// here and code there must not be.
fn string_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
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

    fn texts(query: &str) -> Vec<&str> {
        tokens(query).map(|token| token.text).collect()
    }

    #[test]
    fn strings_are_whole_and_comments_are_gone() {
        assert_eq!(texts(r#"x{a="\"}"} # (comment"#), ["x", "{", "a", "=", r#""\"}""#, "}"]);
        assert_eq!(texts("a # b\rc # d\ne"), ["a", "c", "e"]);
        assert_eq!(texts(r"`a\`b` c"), [r"`a\`b`", "c"]);
        let unquoted: Vec<_> =
            tokens(r#" "a\"b" 'c' "\é" "\xé" "\d" x " "#).map(|token| token.unquoted()).collect();
        assert_eq!(unquoted, [Some("a\"b".to_owned()), Some("c".to_owned()), None, None, None, None, None]);
    }

    proptest! {
        #[test]
        fn tokens_are_pieces_of_the_query(query in "\\PC{0,80}") {
            for token in tokens(&query) {
                prop_assert_eq!(query.get(token.start..token.end()), Some(token.text));
            }
        }
    }
}
