//! A small picture of how costs grow: logarithmic axes, points and the power law through them, as SVG.

use std::fmt::Write;

use super::fit;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;

/// Told apart by those who see no colours too (Okabe and Ito), on a light and on a dark page.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// Size and cost, both above zero.
    pub points: Vec<(f64, f64)>,
}

/// From a number to its place on an axis.
struct Axis {
    from: f64,
    to: f64,
    begin: f64,
    end: f64,
}

impl Axis {
    /// Whole powers of ten around some numbers.
    fn around(numbers: impl Iterator<Item = f64> + Clone, begin: f64, end: f64) -> Self {
        let from = numbers.clone().fold(f64::MAX, f64::min).log10().floor();
        let to = numbers.fold(f64::MIN_POSITIVE, f64::max).log10().ceil();
        Self { from, to: to.max(from + 1.0), begin, end }
    }

    fn place(&self, number: f64) -> f64 {
        self.begin + (self.end - self.begin) * (number.log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.from), |power| Some(power + 1.0))
            .take_while(|power| *power <= self.to + 1e-9)
            .map(|power| 10f64.powf(power))
    }
}

/// The picture.
///
/// # Panics
/// Where there is no point.
pub fn log_log(title: &str, size: &str, cost: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|one| one.points.iter());
    assert!(points().next().is_some(), "a picture of something");
    let x = Axis::around(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let y = Axis::around(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"#777\">\n<text x=\"{LEFT}\" y=\"18\" font-size=\"13\">{title}</text>\n"
    );
    grid(&mut svg, &x, &y);
    let (middle, low) = (f64::midpoint(x.begin, x.end), HEIGHT - 10.0);
    text(&mut svg, &format!("<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{size}</text>"));
    let half = f64::midpoint(y.begin, y.end);
    text(
        &mut svg,
        &format!("<text transform=\"translate(14 {half}) rotate(-90)\" text-anchor=\"middle\">{cost}</text>"),
    );
    for (number, (one, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
        curve(&mut svg, one, colour, &x, &y);
        let at = TOP + 14.0 + 30.0 * super::number(number);
        let slope = fit::power(&one.points).slope;
        let from = WIDTH - RIGHT + 12.0;
        text(&mut svg, &format!("<text x=\"{from}\" y=\"{at}\" fill=\"{colour}\">{}</text>", one.name));
        let below = at + 13.0;
        text(&mut svg, &format!("<text x=\"{from}\" y=\"{below}\">slope {slope:.2}</text>"));
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    let line = |from: (f64, f64), to: (f64, f64)| {
        format!("<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#8884\"/>", from.0, from.1, to.0, to.1)
    };
    for number in x.powers() {
        let at = x.place(number);
        text(svg, &line((at, y.begin), (at, y.end)));
        let below = HEIGHT - BOTTOM + 15.0;
        text(
            svg,
            &format!("<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", short(number)),
        );
    }
    for number in y.powers() {
        let at = y.place(number);
        text(svg, &line((x.begin, at), (x.end, at)));
        let (left, down) = (LEFT - 6.0, at + 4.0);
        text(
            svg,
            &format!("<text x=\"{left}\" y=\"{down:.1}\" text-anchor=\"end\">{}</text>", short(number)),
        );
    }
}

fn curve(svg: &mut String, one: &Series, colour: &str, x: &Axis, y: &Axis) {
    let place = |(size, cost): &(f64, f64)| (x.place(*size), y.place(*cost));
    let path: Vec<_> = one.points.iter().map(place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    text(
        svg,
        &format!("<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>", path.join("L")),
    );
    for (x, y) in one.points.iter().map(place) {
        text(svg, &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
    }
}

/// `10k` and the like.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.0}M", n / 1e6),
        n if n >= 1e3 => format!("{:.0}k", n / 1e3),
        n if n >= 1.0 => format!("{n:.0}"),
        n => format!("{n}"),
    }
}

fn text(svg: &mut String, line: &str) {
    writeln!(svg, "{line}").expect("text grows");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_every_point_and_the_slope() {
        let points = vec![(10.0, 0.5), (100.0, 5.0), (1_000.0, 50.0)];
        let svg = log_log("CPU", "clients", "ms", &[Series { name: "gateway".to_owned(), points }]);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("slope 1.00") && svg.contains(">1k<") && svg.contains(">0.1<"), "{svg}");
        // Both axes span whole powers of ten, so equal steps of the points are equal steps in the picture.
        assert!(svg.contains(r#"cx="64.0""#) && svg.contains(r#"cx="370.0""#), "{svg}");
    }
}
