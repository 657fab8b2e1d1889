//! How all connections leave a replica that goes away: one after the other.

use std::time::Duration;

use tokio::time::Instant;

/// All connections leave: how many there were, since when, and how many have their turn.
#[derive(Debug)]
pub(super) struct Exodus {
    since: Instant,
    all: u32,
    placed: u32,
}

impl Exodus {
    /// Of so many, from now on.
    pub(super) fn of(all: u32) -> Self {
        Self { since: Instant::now(), all, placed: 0 }
    }

    /// The moment of the next one, of a window that begins with the exodus.
    pub(super) fn turn(&mut self, window: Duration, within: f64) -> Instant {
        let place = f64::from(self.placed.min(self.all.saturating_sub(1))) + within;
        self.placed = self.placed.saturating_add(1);
        self.since + window.mul_f64(place / f64::from(self.all.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_second_of_an_exodus_sees_its_share(
            all in 1_u32..300, within in prop::collection::vec(0.0_f64..1.0, 300),
        ) {
            let since = Instant::now();
            let mut exodus = Exodus { since, all, placed: 0 };
            let window = Duration::from_secs(20);
            let turns: Vec<_> =
                (0..all).zip(within).map(|(_, within)| exodus.turn(window, within) - since).collect();
            prop_assert!(turns.iter().all(|turn| *turn <= window));
            for second in 0..20 {
                let second = Duration::from_secs(second)..Duration::from_secs(second + 1);
                let seen = turns.iter().filter(|turn| second.contains(*turn)).count();
                // Slots at either border may be partly in it.
                prop_assert!(seen <= usize::try_from(all / 20).unwrap() + 2, "{seen} of {all} in {second:?}");
            }
        }
    }
}
