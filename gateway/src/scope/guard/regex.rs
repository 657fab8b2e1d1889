//! How much work a regular expression is to compile, judged by its syntax tree, which is cheap to make.
//!
//! Prometheus compiles with RE2 and the parser here with the `regex` crate. Both understand nearly the same; what only
//! one of them understands is refused, for it would mean different things here and there.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    Ast, ClassPerlKind, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, GroupKind, RepetitionKind,
    RepetitionRange,
};

/// The deepest nesting of groups and classes.
const NEST_MAX: u32 = 50;

/// The most that RE2 repeats (`maxRepeat` of Go's `regexp/syntax`).
const REPEAT_MAX: u32 = 1000;

// Work in microseconds, rather too much than too little: measured on an optimised build of the `regex` crate, where a literal
// alone took 5, `.*` 22, and each further `\d` 50, `\pL` 550 and `\w` 800 to 1,800.
const EACH: u64 = 120;
const LITERAL: u64 = 1;
const ANY: u64 = 8;
const DIGITS: u64 = 80;
const UNICODE: u64 = 1_000;
/// A range beyond ASCII where case is ignored: each of its characters is looked up.
const FOLDED: u64 = 6_000;

/// Why a regular expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is none.
    #[error("{0}")]
    Syntax(String),
    /// Only one of the two dialects has it.
    #[error("Prometheus does not have {0}")]
    Dialect(&'static str),
}

/// The work of compiling `pattern`, in microseconds, about; never far too little.
pub(super) fn work(pattern: &str) -> Result<u64, Unusable> {
    let ast = ParserBuilder::new()
        .nest_limit(NEST_MAX)
        .build()
        .parse(pattern)
        .map_err(|error| Unusable::Syntax(error.kind().to_string()))?;
    let folds = folds(&ast)?;
    Ok(tree(&ast, folds)?.saturating_add(EACH))
}

/// Whether case is ignored anywhere in it.
fn folds(ast: &Ast) -> Result<bool, Unusable> {
    let any = |asts: &[Ast]| asts.iter().try_fold(false, |any, ast| Ok(folds(ast)? || any));
    match ast {
        Ast::Flags(set) => flags(&set.flags),
        Ast::Group(group) => {
            let own = match &group.kind {
                GroupKind::NonCapturing(set) => flags(set)?,
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } => false,
            };
            Ok(folds(&group.ast)? || own)
        }
        Ast::Repetition(repetition) => folds(&repetition.ast),
        Ast::Alternation(alternation) => any(&alternation.asts),
        Ast::Concat(concat) => any(&concat.asts),
        Ast::Empty(_)
        | Ast::Literal(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => Ok(false),
    }
}

fn flags(flags: &Flags) -> Result<bool, Unusable> {
    let mut folds = false;
    for item in &flags.items {
        match item.kind {
            FlagsItemKind::Flag(Flag::CaseInsensitive) => folds = true,
            FlagsItemKind::Flag(Flag::IgnoreWhitespace | Flag::CRLF | Flag::Unicode) => {
                return Err(Unusable::Dialect("the flags x, R and u"));
            }
            FlagsItemKind::Negation
            | FlagsItemKind::Flag(Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed) => {}
        }
    }
    Ok(folds)
}

fn tree(ast: &Ast, folds: bool) -> Result<u64, Unusable> {
    let sum = |asts: &[Ast]| asts.iter().try_fold(1u64, |sum, ast| Ok(sum.saturating_add(tree(ast, folds)?)));
    match ast {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => Ok(LITERAL),
        Ast::Literal(_) => Ok(if folds { 4 * LITERAL } else { LITERAL }),
        Ast::Dot(_) => Ok(ANY),
        Ast::ClassUnicode(_) => Ok(UNICODE),
        Ast::ClassPerl(class) => Ok(perl(&class.kind)),
        Ast::ClassBracketed(class) => Ok(ANY.saturating_add(set(&class.kind, folds)?)),
        Ast::Repetition(repetition) => {
            let times = times(&repetition.op.kind)?;
            Ok(tree(&repetition.ast, folds)?.saturating_mul(times))
        }
        Ast::Group(group) => tree(&group.ast, folds),
        Ast::Alternation(alternation) => sum(&alternation.asts),
        Ast::Concat(concat) => sum(&concat.asts),
    }
}

fn times(kind: &RepetitionKind) -> Result<u64, Unusable> {
    let most = match kind {
        RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 1,
        RepetitionKind::Range(RepetitionRange::Exactly(n) | RepetitionRange::Bounded(_, n)) => *n,
        RepetitionKind::Range(RepetitionRange::AtLeast(n)) => n.saturating_add(1),
    };
    if most > REPEAT_MAX { Err(Unusable::Dialect("repetitions beyond 1000")) } else { Ok(most.max(1).into()) }
}

fn perl(kind: &ClassPerlKind) -> u64 {
    match kind {
        ClassPerlKind::Space => ANY,
        ClassPerlKind::Digit => DIGITS,
        ClassPerlKind::Word => UNICODE,
    }
}

fn set(class: &ClassSet, folds: bool) -> Result<u64, Unusable> {
    match class {
        ClassSet::Item(item) => set_item(item, folds),
        ClassSet::BinaryOp(_) => Err(Unusable::Dialect("the operators &&, -- and ~~ in classes")),
    }
}

fn set_item(item: &ClassSetItem, folds: bool) -> Result<u64, Unusable> {
    match item {
        ClassSetItem::Empty(_) | ClassSetItem::Literal(_) | ClassSetItem::Ascii(_) => Ok(ANY),
        ClassSetItem::Range(range) if folds && !range.end.c.is_ascii() => Ok(FOLDED),
        ClassSetItem::Range(_) => Ok(ANY),
        ClassSetItem::Unicode(_) => Ok(UNICODE),
        ClassSetItem::Perl(class) => Ok(perl(&class.kind)),
        ClassSetItem::Bracketed(_) => Err(Unusable::Dialect("classes in classes")),
        ClassSetItem::Union(union) => {
            union.items.iter().try_fold(0u64, |sum, item| Ok(sum.saturating_add(set_item(item, folds)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_multiplies_and_alternation_adds() {
        assert!(work("a{300}").unwrap() < 1_000);
        assert!(work(r"\w{30}").unwrap() > 30 * UNICODE);
        assert!(work("((.{10}){10}){10}").unwrap() > 1_000 * ANY);
        assert!(work("team-a|team-b|team-c").unwrap() < 2 * EACH);
        assert!(work("(?i)[a-\u{10ffff}]").unwrap() > FOLDED);
    }

    #[test]
    fn what_only_one_dialect_has_is_refused() {
        for pattern in ["(?x)a # b", "(?R)a", "(?u:a)", "[a&&b]", "[a--b]", "[a[b]]", "a{1001}"] {
            assert!(matches!(work(pattern), Err(Unusable::Dialect(_))), "{pattern}");
        }
        for pattern in ["a)|(b", "(", "[", "a**b{", "*", &"(".repeat(60)] {
            assert!(matches!(work(pattern), Err(Unusable::Syntax(_))), "{pattern}");
        }
    }
}
