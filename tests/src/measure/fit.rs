//! How a cost grows: the power law that fits some points best.

/// `cost = factor × size ^ slope`, by least squares over the logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// 1 is linear, 2 is quadratic, 0 does not grow.
    pub slope: f64,
    /// The cost of one.
    pub factor: f64,
    /// How much of the spread it explains, from 0 to 1.
    pub r2: f64,
}

/// The power law of some points, of which both numbers are above zero.
///
/// # Panics
/// With fewer than two sizes, or a number that is not above zero.
pub fn power(points: &[(f64, f64)]) -> Power {
    assert!(points.iter().all(|(size, cost)| *size > 0.0 && *cost > 0.0), "logarithms need more than zero");
    let logs: Vec<_> = points.iter().map(|(size, cost)| (size.ln(), cost.ln())).collect();
    let Line { slope, height, r2 } = line(&logs);
    Power { slope, factor: height.exp(), r2 }
}

/// `cost = base + each × size`, by least squares over relative errors, so that small sizes count as much as large ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// What is there with none.
    pub base: f64,
    /// What one more costs.
    pub each: f64,
}

/// The line through some points, each weighted by the square of its inverse cost.
///
/// # Panics
/// With fewer than two sizes.
pub fn linear(points: &[(f64, f64)]) -> Linear {
    let weight = |cost: f64| 1.0 / (cost * cost);
    let sum = |of: fn(f64, f64) -> f64| points.iter().map(|(x, y)| weight(*y) * of(*x, *y)).sum::<f64>();
    let (w, wx, wy) = (sum(|_, _| 1.0), sum(|x, _| x), sum(|_, y| y));
    let (wxx, wxy) = (sum(|x, _| x * x), sum(|x, y| x * y));
    let spread = w * wxx - wx * wx;
    assert!(spread > 0.0, "a line needs two sizes");
    let each = (w * wxy - wx * wy) / spread;
    Linear { base: (wy - each * wx) / w, each }
}

struct Line {
    slope: f64,
    height: f64,
    r2: f64,
}

fn line(points: &[(f64, f64)]) -> Line {
    let count = super::number(points.len());
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(a, b)| of(a - x, b - y)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|a, _| a * a), sum(&|a, b| a * b), sum(&|_, b| b * b));
    assert!(xx > 0.0, "a line needs two sizes");
    let slope = xy / xx;
    let r2 = if yy > 0.0 { xy * xy / (xx * yy) } else { 1.0 };
    Line { slope, height: y - slope * x, r2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 4] = [1.0, 10.0, 100.0, 1_000.0];

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6 * b.abs().max(1.0)
    }

    #[test]
    fn a_power_law_is_found_exactly() {
        for (slope, factor) in [(1.0, 3.0), (2.0, 0.5), (0.0, 7.0), (0.5, 2.0)] {
            let fit = power(&SIZES.map(|size| (size, factor * size.powf(slope))));
            assert!(near(fit.slope, slope) && near(fit.factor, factor) && near(fit.r2, 1.0), "{fit:?}");
        }
    }

    #[test]
    fn a_base_lowers_the_slope_and_a_square_shows() {
        let with_base = power(&SIZES.map(|size| (size, 100.0 + size)));
        assert!(with_base.slope < 0.5, "{with_base:?}");
        let square = power(&SIZES.map(|size| (size, size + 0.1 * size * size)));
        assert!(square.slope > 1.3, "{square:?}");
    }

    #[test]
    fn a_line_has_its_base_and_its_slope() {
        let fit = linear(&SIZES.map(|size| (size, 40.0 + 2.5 * size)));
        assert!(near(fit.base, 40.0) && near(fit.each, 2.5), "{fit:?}");
    }
}
