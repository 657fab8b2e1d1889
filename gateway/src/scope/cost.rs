//! The cost of a query, judged on its tree: what it would ask of the upstream.
//!
//! How many series a selector has, nobody knows before it is asked; the upstream and the pollers bound that. Here is
//! bounded what can be told from the query alone.

use std::time::{Duration, SystemTime};

use promql_parser::label::Matcher;
use promql_parser::parser::{AtModifier, Expr, Offset, VectorSelector};

/// The most selectors. Each is an index lookup of its own upstream, and carries the caller's namespaces.
const SELECTORS_MAX: usize = 64;

/// The longest range, of a selector or a subquery: dashboards look back a month at most, and this one does at each tick.
const RANGE_MAX: Duration = Duration::from_hours(31 * 24);

/// The furthest offset, into the past or the future: the same day a year ago.
const OFFSET_MAX: Duration = Duration::from_hours(366 * 24);

/// The latest time that `@` may name, in seconds: the end of the year 9999. Beyond, times of the parser overflow.
const AT_MAX: u64 = 253_402_300_799;

/// The most points of one subquery: what Prometheus itself allows a range query for each series.
const POINTS_MAX: u128 = 11_000;

/// The most points of a subquery and those inside it, multiplied.
const POINTS_NESTED_MAX: u128 = 110_000;

/// The deepest nesting of subqueries.
const SUBQUERIES_MAX: usize = 2;

/// The step of a subquery that names none. It is the upstream's evaluation interval, which nobody sets shorter.
const STEP_DEFAULT: Duration = Duration::from_secs(15);

/// A value that no series has, but for accident: a matcher that lets it pass leaves nothing out.
const PROBE: &str = "qz_X7";

/// Why a query costs the upstream too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excessive {
    /// Too many selectors.
    #[error("the query has {0} selectors; at most {SELECTORS_MAX} are allowed")]
    Selectors(usize),
    /// A range too long.
    #[error("a range or subquery looks back further than 31 days, which is the most")]
    Range,
    /// An offset too far.
    #[error("an offset is further than 366 days, which is the most")]
    Offset,
    /// A time too far away.
    #[error("a time behind `@` is later than the year 9999")]
    At,
    /// Too many points of a subquery.
    #[error(
        "a subquery has {0} points for each series; at most {1} are allowed: take a longer step or a shorter range"
    )]
    Points(u128, u128),
    /// Subqueries in subqueries in subqueries.
    #[error("subqueries are nested {0} deep; at most {SUBQUERIES_MAX} are allowed")]
    Subqueries(usize),
    /// A selector of everything.
    #[error(
        "a selector leaves nothing out: name a metric, or give a label a value, or a regular expression that does not match \
         everything"
    )]
    Everything,
}

/// Judges a query by its tree, as it will be sent: a selector that was restricted to namespaces leaves something out.
pub(super) fn check(expr: &Expr) -> Result<(), Excessive> {
    let mut selectors = 0;
    walk(expr, Subqueries { depth: 0, points: 1 }, &mut selectors)?;
    if selectors > SELECTORS_MAX { Err(Excessive::Selectors(selectors)) } else { Ok(()) }
}

/// The subqueries around an expression.
#[derive(Clone, Copy)]
struct Subqueries {
    depth: usize,
    points: u128,
}

fn walk(expr: &Expr, around: Subqueries, selectors: &mut usize) -> Result<(), Excessive> {
    match expr {
        Expr::Aggregate(aggregate) => {
            aggregate.param.as_deref().map_or(Ok(()), |param| walk(param, around, selectors))?;
            walk(&aggregate.expr, around, selectors)
        }
        Expr::Unary(unary) => walk(&unary.expr, around, selectors),
        Expr::Binary(binary) => {
            walk(&binary.lhs, around, selectors)?;
            walk(&binary.rhs, around, selectors)
        }
        Expr::Paren(paren) => walk(&paren.expr, around, selectors),
        Expr::Subquery(subquery) => {
            time(subquery.at.as_ref(), subquery.offset.as_ref())?;
            range(subquery.range)?;
            let step = subquery.step.unwrap_or(STEP_DEFAULT).as_millis().max(1);
            walk(&subquery.expr, around.inside(subquery.range.as_millis() / step + 1)?, selectors)
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Ok(()),
        Expr::VectorSelector(vector) => selector(vector, selectors),
        Expr::MatrixSelector(matrix) => {
            range(matrix.range)?;
            selector(&matrix.vs, selectors)
        }
        Expr::Call(call) => call.args.args.iter().try_for_each(|argument| walk(argument, around, selectors)),
    }
}

impl Subqueries {
    fn inside(self, points: u128) -> Result<Self, Excessive> {
        let inside = Self { depth: self.depth + 1, points: self.points.saturating_mul(points) };
        match () {
            () if points > POINTS_MAX => Err(Excessive::Points(points, POINTS_MAX)),
            () if inside.depth > SUBQUERIES_MAX => Err(Excessive::Subqueries(inside.depth)),
            () if inside.points > POINTS_NESTED_MAX => {
                Err(Excessive::Points(inside.points, POINTS_NESTED_MAX))
            }
            () => Ok(inside),
        }
    }
}

fn selector(selector: &VectorSelector, selectors: &mut usize) -> Result<(), Excessive> {
    *selectors += 1;
    time(selector.at.as_ref(), selector.offset.as_ref())?;
    let leaves_out = |matcher: &Matcher| !matcher.is_match(PROBE);
    let narrow = selector.name.is_some() || selector.matchers.matchers.iter().any(leaves_out);
    if narrow { Ok(()) } else { Err(Excessive::Everything) }
}

fn time(at: Option<&AtModifier>, offset: Option<&Offset>) -> Result<(), Excessive> {
    if let Some(AtModifier::At(time)) = at {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() > AT_MAX {
            return Err(Excessive::At);
        }
    }
    match offset {
        Some(Offset::Pos(by) | Offset::Neg(by)) if *by > OFFSET_MAX => Err(Excessive::Offset),
        Some(_) | None => Ok(()),
    }
}

fn range(range: Duration) -> Result<(), Excessive> {
    if range > RANGE_MAX { Err(Excessive::Range) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use promql_parser::parser::parse;

    use super::*;

    fn judge(query: &str) -> Result<(), Excessive> {
        check(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}")))
    }

    #[test]
    fn limits_are_where_they_say() {
        assert_eq!(judge(&["x"; 64].join("+")), Ok(()));
        assert_eq!(judge(&["x"; 65].join("+")), Err(Excessive::Selectors(65)));
        assert_eq!(judge("rate(x[31d])"), Ok(()));
        assert_eq!(judge("rate(x[32d])"), Err(Excessive::Range));
        assert_eq!(judge("max_over_time(x[32d:1d])"), Err(Excessive::Range));
        assert_eq!(judge("x offset 366d"), Ok(()));
        assert_eq!(judge("x offset -367d"), Err(Excessive::Offset));
        assert_eq!(judge("x[1m] offset 367d"), Err(Excessive::Offset));
        assert_eq!(judge("x @ 253402300799"), Ok(()));
        assert_eq!(judge("x @ 1e12"), Err(Excessive::At));
        assert_eq!(judge("x @ 1e300"), Err(Excessive::At));
        assert_eq!(judge("max_over_time(x[1d:10s])"), Ok(()));
        assert_eq!(judge("max_over_time(x[1d:5s])"), Err(Excessive::Points(17_281, 11_000)));
        assert_eq!(judge("max_over_time(x[3d:])"), Err(Excessive::Points(17_281, 11_000)));
        assert_eq!(judge("min_over_time(max_over_time(x[5m:10s])[1h:5m])"), Ok(()));
        assert_eq!(
            judge("min_over_time(max_over_time(x[1d:1m])[1d:1m])"),
            Err(Excessive::Points(1441 * 1441, 110_000))
        );
        let three = "min_over_time(max_over_time(min_over_time(x[1m:1m])[1m:1m])[1m:1m])";
        assert_eq!(judge(three), Err(Excessive::Subqueries(3)));
        assert_eq!(judge("topk(scalar(rate(x[32d])), y)"), Err(Excessive::Range));
    }

    #[test]
    fn a_selector_must_leave_something_out() {
        for wide in [r#"{__name__=~".+"}"#, r#"{a!=""}"#, r#"{a=~".+",b!="c"}"#, r#"{__name__=~".+",a!="x"}"#]
        {
            assert_eq!(judge(wide), Err(Excessive::Everything), "{wide}");
        }
        for narrow in ["x", r#"{__name__=~"DCGM_.*"}"#, r#"{__name__=~".+",a="b"}"#, r#"{"x"}"#] {
            assert_eq!(judge(narrow), Ok(()), "{narrow}");
        }
    }
}
