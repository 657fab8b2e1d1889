//! What a run of updates must look like: each tick of the topic's own grid, once, in order.

use promcast_proto::tick::{Grid, Interval, Tick};
use promcast_proto::topic::Key;

use crate::stream::Event;

/// The ticks of a topic at an interval, computed as any client could from what `connected` says.
///
/// # Panics
/// Where the topic is no key.
pub fn grid(topic: &str, seconds: u16) -> Grid {
    let key: Key = topic.parse().expect("a topic is a key");
    Grid::new(key.phase(), Interval::from_secs(seconds).expect("an interval of the contract"))
}

/// The ticks of `events`.
pub fn of(events: &[Event]) -> Vec<Tick> {
    events.iter().map(Event::tick).collect()
}

/// Fails unless `ticks` are the consecutive ticks of `grid`, each once, in order.
///
/// # Panics
/// With the first place where they are not.
pub fn assert_unbroken(grid: Grid, ticks: &[Tick]) {
    for (position, tick) in ticks.iter().enumerate() {
        assert!(grid.contains(*tick), "{tick} is not on the grid {grid:?}");
        if let Some(next) = ticks.get(position + 1) {
            assert_eq!(*next, grid.step(*tick, 1), "after tick {tick} (number {position}) in {ticks:?}");
        }
    }
}
