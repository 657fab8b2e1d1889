//! How the costs of an installation grow: points that were measured, the laws that fit them, and pictures of both.

use crate::measure::fit::{self, Linear};
use crate::measure::plot::{self, Series};
use crate::measure::report::{Report, Table};

/// A cost may grow with this power of its size at most: linear, and a little for what is measured badly.
pub const SLOPE_MAX: f64 = 1.1;

/// What grows, against what.
#[derive(Clone, Debug)]
pub struct Curve {
    /// A word for file names.
    pub name: &'static str,
    /// What is varied, with what stays the same.
    pub size: String,
    /// What was measured, each with the points of size and cost.
    pub costs: Vec<Cost>,
}

/// One cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// What it is, with its unit.
    pub name: &'static str,
    /// Size and cost.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// A curve without points.
    pub fn new(name: &'static str, size: &str, costs: &[&'static str]) -> Self {
        let costs = costs.iter().map(|name| Cost { name, points: Vec::new() }).collect();
        Self { name, size: size.to_owned(), costs }
    }

    /// Adds a point to each cost, in their order.
    ///
    /// # Panics
    /// With more or fewer numbers than there are costs.
    pub fn point(&mut self, size: f64, costs: &[f64]) {
        assert_eq!(costs.len(), self.costs.len(), "a number for each cost");
        for (cost, number) in self.costs.iter_mut().zip(costs) {
            cost.points.push((size, *number));
        }
    }

    /// Puts the points, and what fits them, into the report.
    pub fn tell(&self, report: &mut Report) {
        let head: Vec<_> = [self.name].into_iter().chain(self.costs.iter().map(|cost| cost.name)).collect();
        let mut table = Table::new(&format!("Growth with {}", self.size), &head);
        let sizes = self.costs.first().map(|cost| cost.points.len()).unwrap_or_default();
        for place in 0..sizes {
            let size = format!("{:.0}", self.costs[0].points[place].0);
            let cells = self.costs.iter().map(|cost| rounded(cost.points[place].1));
            table.row([size].into_iter().chain(cells).collect());
        }
        let law = |name: &str, of: &dyn Fn(&Cost) -> String| {
            [name.to_owned()].into_iter().chain(self.costs.iter().map(of)).collect()
        };
        table.row(law("slope (log-log)", &|cost| format!("{:.2}", fit::power(&cost.points).slope)));
        table.row(law("line: base + each", &|cost| {
            let Linear { base, each } = fit::linear(&cost.points);
            let sign = if each < 0.0 { '−' } else { '+' };
            format!("{} {sign} {}", rounded(base), rounded(each.abs()))
        }));
        report.tables.push(table);
        for cost in &self.costs {
            let what = format!("{} with {}: slope", cost.name, self.name);
            report.goal(&what, fit::power(&cost.points).slope, SLOPE_MAX);
        }
    }

    /// The picture of all costs in one unit; their names begin with what they are of.
    pub fn picture(&self, title: &str, unit: &str) -> String {
        let of_unit = self.costs.iter().filter(|cost| cost.name.ends_with(unit));
        let series: Vec<_> = of_unit
            .map(|cost| Series {
                name: cost.name.trim_end_matches(unit).trim_end_matches(", ").to_owned(),
                points: cost.points.clone(),
            })
            .collect();
        plot::log_log(title, self.name, unit, &series)
    }
}

/// Three digits that count.
fn rounded(number: f64) -> String {
    let digits = if number == 0.0 { 0.0 } else { 2.0 - number.abs().log10().floor() };
    if digits <= 0.0 {
        return format!("{number:.0}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of digits")]
    let digits = digits.min(9.0) as usize;
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_cost_misses_its_goal_and_a_linear_one_does_not() {
        let mut curve = Curve::new("clients", "clients", &["gateway, ms", "hub, ms"]);
        for size in [10.0, 100.0, 1_000.0] {
            curve.point(size, &[5.0 + size, 0.001 * size * size]);
        }
        let mut report = Report::new("x");
        curve.tell(&mut report);
        assert_eq!(
            report.goals.iter().map(|goal| goal.measured <= goal.at_most).collect::<Vec<_>>(),
            [true, false]
        );
        assert!(report.markdown().contains("| line: base + each | 5.00 + 1.00 |"), "{}", report.markdown());
        assert!(curve.picture("CPU", "ms").contains(">hub<"));
    }

    #[test]
    fn numbers_have_three_digits() {
        for (number, text) in
            [(0.0, "0"), (0.012_345, "0.0123"), (1.2345, "1.23"), (123.4, "123"), (12_345.0, "12345")]
        {
            assert_eq!(rounded(number), text);
        }
    }
}
