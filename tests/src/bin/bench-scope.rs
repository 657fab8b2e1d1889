//! `bench-scope`: what the worst query costs to check, in processor time of this thread.
//!
//! Takes what is dear to the parser or to the regular expressions, as often as it goes into 1,000 characters and each
//! lesser number of times, for a caller with one namespace and one with two hundred. Fails where a limit is exceeded.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::process::ExitCode;
use std::time::Duration;

use promcast_gateway::auth::{Namespaces, Sight};
use promcast_gateway::scope::{Labels, QUERY_CHARS_MAX, scoped};
use rustix::time::{ClockId, clock_gettime};

/// The most processor time of a query that is granted, and of one that is refused.
const GRANTED_MAX: Duration = Duration::from_millis(20);
const REFUSED_MAX: Duration = Duration::from_millis(50);

/// The best of so many runs counts: others use the machine too.
const RUNS: usize = 5;

/// A query of a repeated part: what comes before, the part, what stands between two, what comes behind.
type Family = (&'static str, &'static str, &'static str, &'static str);

const FAMILIES: &[Family] = &[
    // Syntax.
    ("", "a", "+", ""),
    ("", "a", "^", ""),
    ("", "a", "+", " + )"),
    (") ", "a", "+", ""),
    ("(", "a", "+", ""),
    ("a + + ) +", "a{b=\"c\"}", "+", ""),
    ("", "sum by (a) (b)", "+", ")"),
    ("", "-", "", "x"),
    ("", "-", "", ""),
    ("", "(", "", ""),
    ("", "abs(", "", "x"),
    ("", "a[5m]", "+", ""),
    ("", "1", "+", " 1"),
    ("a{", "b=\"c\"", ",", "}"),
    ("a{", "b=\"c\"", ",", "} }"),
    ("a{", "b=\"\\x41\"", ",", "}"),
    ("", "{a=~\"b\"}", "+", ""),
    ("", "{a=\"\"}", "+", ""),
    ("", "a{b=\"c\"}", " or ", " c"),
    ("a @ ", "1", "", ""),
    ("", "1e300", "+", ""),
    ("", "min_over_time(a[5m:1m])", "+", ""),
    // What the caller's namespaces are held against.
    ("", "a{namespace=~\".*m.*\"}", "+", ""),
    ("", "a{namespace!=\"m\"}", "+", ""),
    ("a{", "namespace!=\"m\"", ",", "}"),
    ("a{", "namespace=~\"team-namespace-1[0-9]+\"", ",", "}"),
    // Regular expressions: many, and dear ones.
    ("a{", "b=~\"c\"", ",", "}"),
    ("a{", "b=~\".*\"", ",", "}"),
    ("a{", "b=~\".*c.*\"", ",", "}"),
    ("a{", "b=~\"\\\\w+\"", ",", "}"),
    ("a{", "b=~\"\\\\w+\"", ",", "} }"),
    ("a{", "b=~\"(?i)c.d\"", ",", "} c"),
    ("a{", "namespace=~\".*m.*\"", ",", "}"),
    ("a{b=~\"", "\\\\w", "", "\"}"),
    ("a{b=~\"", "\\\\W", "", "\"}"),
    ("a{b=~\"", "\\\\d", "", "\"}"),
    ("a{b=~\"", "\\\\s", "", "\"}"),
    ("a{b=~\"", "\\\\pL", "", "\"}"),
    ("a{b=~\"", "\\\\p{Greek}", "", "\"}"),
    ("a{b=~\"", ".", "", "\"}"),
    ("a{b=~\"", ".*", "", "\"}"),
    ("a{b=~\"", ".*", "", "\"} c"),
    ("a{b=~\"", "[^c]", "", "\"}"),
    ("a{b=~\"", "(c|d)*", "", "\"}"),
    ("a{b=~\"", "(", "", "\"}"),
    ("a{b=~\"", "c|", "", "\"}"),
    ("a{b=~\"", "c.*", "|", "\"}"),
    ("a{b=~\"(?i)", "k", "", "\"}"),
    ("a{b=~\"(?i)", "σ", "", "\"}"),
    ("a{b=~\"(?i)", "[a-z]", "", "\"}"),
    ("a{b=~\"(?i)", "[a-\u{10ffff}]", "", "\"}"),
    ("a{b=~\"(?i)", "[^\\\\w]", "", "\"}"),
    ("a{b=~\"(?i)", "\\\\pL", "", "\"}"),
    ("a{b=~\"", "[a-\u{10ffff}]", "", "\"}"),
    ("a{b=~\"", "c{9}", "", "\"}"),
    ("a{b=~\"c", "{7}", "", "\"}"),
    ("a{b=~\"", "(.{9}d)", "", "\"}"),
    ("a{b=~\"(.*d){", "1", "", "}\"}"),
    ("a{b=~\"\\\\w{", "1", "", "}\"}"),
    ("a{b=~\"[^c]{", "1", "", "}\"}"),
];

fn main() -> ExitCode {
    let sights = [only(1), only(200)];
    let (mut granted, mut refused) = ((Duration::ZERO, String::new()), (Duration::ZERO, String::new()));
    let mut queries = 0;
    for family in FAMILIES {
        for query in repeated(family) {
            for sight in &sights {
                let (time, is_granted) = measure(&query, sight);
                let worst = if is_granted { &mut granted } else { &mut refused };
                if time > worst.0 {
                    *worst = (time, query.clone());
                }
                queries += 1;
            }
        }
    }
    println!("{queries} checks");
    for (what, (time, query)) in [("granted", &granted), ("refused", &refused)] {
        let shown: String = query.chars().take(60).collect();
        println!(
            "the dearest that is {what}: {:.1} ms, {} characters: {shown}",
            time.as_secs_f64() * 1e3,
            query.chars().count()
        );
    }
    if granted.0 < GRANTED_MAX && refused.0 < REFUSED_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A caller with so many namespaces.
fn only(count: usize) -> Sight {
    let names = (0..count).map(|number| format!("team-namespace-{number:03}").parse().expect("a name"));
    Sight::Only(Namespaces::new(names).expect("at least one"))
}

/// The queries of a family: 1, 2, 3, 4, 6, 8, 12, … times the part, until it is too long by one.
fn repeated((before, part, between, behind): &Family) -> impl Iterator<Item = String> {
    let lengths = [
        1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 30, 32, 40, 48, 56, 64, 80, 100, 128, 160, 200, 256, 320,
        400, 480, 640, 800, 980,
    ];
    lengths
        .into_iter()
        .map(move |times| format!("{before}{}{behind}", vec![*part; times].join(between)))
        .take_while(|query| query.chars().count() <= QUERY_CHARS_MAX)
}

/// The least time of some runs, and whether there was a grant.
fn measure(query: &str, sight: &Sight) -> (Duration, bool) {
    let labels = Labels::default();
    let mut best = (Duration::MAX, false);
    for _ in 0..RUNS {
        let start = processor_time();
        let is_granted = std::hint::black_box(scoped(query, sight, &labels)).is_ok();
        best = best.min((processor_time().saturating_sub(start), is_granted));
    }
    best
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
