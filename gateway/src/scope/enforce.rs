//! Restricts each selector of a query to the caller's namespaces.
//!
//! All data that a query can reach comes in through its selectors. So the wall stands there, and nowhere else: what
//! functions, joins and aggregations do with restricted data is the caller's own business.

use promql_parser::parser::{Call, Expr, VectorSelector};

use self::selector::Wall;
use super::labels::Labels;
use crate::auth::sight::Namespaces;

mod selector;

/// Why a query cannot be restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A selector asks for other namespaces than the caller's. It says not which, nor whether they exist.
    #[error("the query asks for namespaces that are not yours to see, or do not exist")]
    Forbidden,
    /// The label of the namespace depends on the metric, and the selector does not say which.
    #[error("each selector must name its metric: write metric{{…}} or {{__name__=\"metric\",…}}")]
    UnnamedMetric,
    /// A function that selects series by itself, or may do so.
    #[error("the function {0}() is not available to callers who see some namespaces only")]
    Function(&'static str),
    /// With the caller's namespaces in each selector it becomes too long.
    #[error(
        "the query is too long with your namespaces in each selector: name those that you mean, in the query or in `namespace`"
    )]
    Long,
    /// A node that this gateway does not know.
    #[error("the query has a part that this gateway does not know")]
    Unknown,
}

/// Experimental functions that only work on their arguments. New functions of Prometheus start as experimental, so what
/// is not listed here was not looked at; `info` was, and selects series by itself.
const HARMLESS: [&str; 15] = [
    "double_exponential_smoothing",
    "end",
    "first_over_time",
    "histogram_quantiles",
    "integral",
    "mad_over_time",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// The most bytes of matchers that are added to one query. The query travels with each job, and each list of namespaces
/// is compiled as a regular expression: 100 of 20 characters cost about 0.7 ms for each selector.
const ADDED_BYTES_MAX: usize = 16 << 10;

/// Adds to each selector of `expr` that its namespace is one of `names`.
pub(super) fn restrict(expr: &mut Expr, names: &Namespaces, labels: &Labels) -> Result<(), Refusal> {
    let mut wall = Wall::new(names, labels, ADDED_BYTES_MAX);
    each_selector(expr, &mut |selector| wall.restrict(selector))
}

/// Whether each selector of `expr` is restricted to `names`. Asked of what was printed and read again, so it trusts
/// neither the printer nor [`restrict`].
pub(super) fn is_restricted(mut expr: Expr, names: &Namespaces, labels: &Labels) -> bool {
    let check = &mut |selector: &mut VectorSelector| {
        if selector::is_restricted(selector, names, labels) { Ok(()) } else { Err(Refusal::Unknown) }
    };
    each_selector(&mut expr, check).is_ok()
}

/// The selectors that select, together, what belongs to `names` of what each of `selectors` selects.
pub(super) fn divide(
    selectors: &[VectorSelector],
    names: &Namespaces,
    labels: &Labels,
) -> Result<Vec<VectorSelector>, Refusal> {
    let mut wall = Wall::new(names, labels, ADDED_BYTES_MAX);
    let mut parts = Vec::new();
    for selector in selectors {
        parts.append(&mut wall.divide(selector)?);
    }
    Ok(parts)
}

/// Whether a selector that was printed and read again is restricted to `names`, whichever metric it is of.
pub(super) fn is_part(selector: &VectorSelector, names: &Namespaces, labels: &Labels) -> bool {
    selector::is_part(selector, names, labels)
}

/// Visits all selectors. An exhaustive match, so that a new kind of node in a later parser does not slip through.
fn each_selector(
    expr: &mut Expr,
    visit: &mut impl FnMut(&mut VectorSelector) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                each_selector(param, visit)?;
            }
            each_selector(&mut aggregate.expr, visit)
        }
        Expr::Unary(unary) => each_selector(&mut unary.expr, visit),
        Expr::Binary(binary) => {
            each_selector(&mut binary.lhs, visit)?;
            each_selector(&mut binary.rhs, visit)
        }
        Expr::Paren(paren) => each_selector(&mut paren.expr, visit),
        Expr::Subquery(subquery) => each_selector(&mut subquery.expr, visit),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::VectorSelector(selector) => visit(selector),
        Expr::MatrixSelector(matrix) => visit(&mut matrix.vs),
        Expr::Call(call) => {
            only_works_on_arguments(call)?;
            call.args.args.iter_mut().try_for_each(|argument| each_selector(argument, visit))
        }
        Expr::Extension(_) => Err(Refusal::Unknown),
    }
}

fn only_works_on_arguments(call: &Call) -> Result<(), Refusal> {
    let function = &call.func;
    let harmless = !function.experimental || HARMLESS.contains(&function.name);
    if harmless && function.name != "info" { Ok(()) } else { Err(Refusal::Function(function.name)) }
}

#[cfg(test)]
mod tests;
