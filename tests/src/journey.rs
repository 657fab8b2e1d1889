//! The way of an update from its tick to a client's socket, by part: from the spans of the programs and what clients saw.

use std::collections::HashMap;

use crate::otlp::Span;
use crate::part::Seen;

/// The parts, in order.
pub const PARTS: [&str; 8] = [
    "the tick is asked for",
    "bus: to a poller",
    "poller: to the query",
    "the query",
    "poller: reading, rendering, packing",
    "bus: to the gateway",
    "hub: unpacked, framed, told",
    "written, and read by the client",
];

/// Which of them is the query.
pub const QUERY: usize = 3;

/// One update's way to one client, in milliseconds by part.
pub type Way = [f64; PARTS.len()];

/// What one update's spans say, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug)]
struct Steps {
    asked: u64,
    taken: u64,
    query: (u64, u64),
    published: u64,
    arrived: (u64, u64),
}

/// The ways of all updates whose spans are all there.
pub fn ways(spans: &[Span], seen: &[Seen]) -> Vec<Way> {
    let steps = steps(spans);
    let way = |seen: &Seen| Some(way(steps.get(&(seen.topic.clone(), seen.tick))?, seen));
    seen.iter().filter_map(way).collect()
}

fn way(steps: &Steps, seen: &Seen) -> Way {
    let (tick, at) = (unsigned(seen.tick) * 1_000_000, unsigned(seen.at) * 1_000);
    let Steps { asked, taken, query, published, arrived } = *steps;
    let points = [tick, asked, taken, query.0, query.1, published, arrived.0, arrived.1, at];
    let mut way = Way::default();
    for (part, pair) in way.iter_mut().zip(points.windows(2)) {
        *part = between(pair[0], pair[1]);
    }
    way
}

/// By topic and tick.
fn steps(spans: &[Span]) -> HashMap<(String, i64), Steps> {
    let mut below: HashMap<(&str, &str), Vec<&Span>> = HashMap::new();
    for span in spans {
        below.entry((&span.trace, &span.parent)).or_default().push(span);
    }
    let child = |of: &Span, name: &str| {
        let children = below.get(&(of.trace.as_str(), of.id.as_str()))?;
        children.iter().copied().find(|span| span.name.starts_with(name))
    };
    let read = |job: &Span| {
        let work = child(job, "process job")?;
        let (query, update) = (child(work, "POST")?, child(work, "send in")?);
        let arrival = child(update, "process out")?;
        let tick = job.attribute("promcast.tick").parse().ok()?;
        let steps = Steps {
            asked: job.begin,
            taken: work.begin,
            query: (query.begin, query.end),
            published: update.begin,
            arrived: (arrival.begin, arrival.end),
        };
        Some(((job.attribute("promcast.topic"), tick), steps))
    };
    spans.iter().filter(|span| span.name.starts_with("send job")).filter_map(read).collect()
}

/// Without the query.
pub fn own(way: &Way) -> f64 {
    way.iter().enumerate().filter(|(part, _)| *part != QUERY).map(|(_, millis)| millis).sum()
}

/// From one time to another in milliseconds, negative where the other is earlier.
#[expect(clippy::cast_precision_loss, reason = "differences of times are far below 2^53 ns")]
fn between(from: u64, to: u64) -> f64 {
    if to >= from { (to - from) as f64 / 1e6 } else { -((from - to) as f64 / 1e6) }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_way() {
        let (tick, at) = (1_764_000_003_007_i64, 1_764_000_003_027_500_i64);
        let after = |micros: u64| unsigned(tick) * 1_000_000 + micros * 1_000;
        let steps = Steps {
            asked: after(1_000),
            taken: after(2_500),
            query: (after(3_000), after(9_000)),
            published: after(9_500),
            arrived: (after(11_000), after(11_500)),
        };
        let way = way(&steps, &Seen { topic: String::new(), tick, at });
        assert_eq!(way, [1.0, 1.5, 0.5, 6.0, 0.5, 1.5, 0.5, 9.0]);
        assert!((own(&way) - 14.5).abs() < 1e-9 && (way.iter().sum::<f64>() - 20.5).abs() < 1e-9);
    }
}
