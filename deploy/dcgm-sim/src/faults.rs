//! What goes wrong, and when: XID errors, PCIe replays, remapped memory rows.

use crate::clock::EPOCH_MS;
use crate::config::Profile;
use crate::dice::Key;
use crate::physics::WINDOW_S;

/// Errors are drawn once for each period of a board, and forgotten after this many: then the driver was loaded anew.
const REMEMBERED: u64 = 24;

/// An XID error: NVIDIA's code of a fault that the driver reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Xid {
    /// Its number.
    pub(crate) code: u64,
    /// Its name in NVIDIA's XID catalogue.
    pub(crate) message: &'static str,
}

/// What the exporter says while there was none.
pub(crate) const NO_XID: Xid = Xid { code: 0, message: "No Error" };

/// Those that leave the GPU in place, so its other series go on.
const XIDS: [Xid; 6] = [
    Xid { code: 13, message: "Graphics Engine Exception" },
    Xid { code: 31, message: "GPU memory page fault" },
    Xid { code: 43, message: "GPU stopped processing" },
    Xid { code: 63, message: "ECC page retirement or row remapping recording event" },
    Xid { code: 74, message: "NVLINK Error" },
    Xid { code: 94, message: "Contained ECC error" },
];

/// How often a profile draws XID errors.
#[derive(Debug, Clone, Copy)]
struct Rate {
    period_ms: u64,
    chance: f64,
}

/// An hour with one chance in 200 is rare (a GPU of eight in a day); 2 minutes with one in 5 is often.
fn rate(profile: Profile) -> Rate {
    match profile {
        Profile::Idle => Rate { period_ms: 3_600_000, chance: 0.0 },
        Profile::Mixed | Profile::Load | Profile::Throttle => Rate { period_ms: 3_600_000, chance: 0.005 },
        Profile::Xid => Rate { period_ms: 120_000, chance: 0.2 },
    }
}

/// The error a board had in a period, if any, and its time in Unix milliseconds.
fn drawn(profile: Profile, board: Key, period: u64) -> Option<(u64, Xid)> {
    let Rate { period_ms, chance } = rate(profile);
    let key = board.of(20).of(period);
    if key.unit(1) >= chance {
        return None;
    }
    Some((period * period_ms + key.bits(2) % period_ms, key.pick(3, &XIDS)?))
}

/// Errors of `board` after `from_ms` and up to `to_ms`, oldest first.
fn between(profile: Profile, board: Key, from_ms: u64, to_ms: u64) -> impl DoubleEndedIterator<Item = Xid> {
    let period_ms = rate(profile).period_ms;
    (from_ms / period_ms..=to_ms / period_ms)
        .filter_map(move |period| drawn(profile, board, period))
        .filter(move |(at_ms, _)| (from_ms + 1..=to_ms).contains(at_ms))
        .map(|(_, xid)| xid)
}

/// The last error that is still remembered, or [`NO_XID`].
pub(crate) fn last_xid(profile: Profile, board: Key, t_ms: u64) -> Xid {
    let memory_ms = REMEMBERED * rate(profile).period_ms;
    between(profile, board, t_ms.saturating_sub(memory_ms), t_ms).next_back().unwrap_or(NO_XID)
}

/// Errors of the last [`WINDOW_S`] seconds: each code with its count, lowest code first.
pub(crate) fn recent_xids(profile: Profile, board: Key, t_ms: u64) -> Vec<(Xid, u64)> {
    let recent: Vec<Xid> = between(profile, board, t_ms.saturating_sub(WINDOW_S * 1000), t_ms).collect();
    XIDS.into_iter()
        .map(|xid| (xid, recent.iter().filter(|other| **other == xid).map(|_| 1).sum()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// PCIe replays since [`EPOCH_MS`]. One board in four has a link that retries, every 6 to 48 hours; 48 times as often
/// with [`Profile::Xid`].
pub(crate) fn pcie_replays(profile: Profile, board: Key, t_ms: u64) -> u64 {
    let key = board.of(21);
    if !key.bits(1).is_multiple_of(4) {
        return 0;
    }
    let hour_ms = if profile == Profile::Xid { 75_000 } else { 3_600_000 };
    let period_ms = (6 + key.bits(2) % 43) * hour_ms;
    t_ms.saturating_sub(EPOCH_MS) / period_ms
}

/// Rows remapped after correctable errors, a fixed count: one board in 16 has 1 to 3.
pub(crate) fn remapped_rows(board: Key) -> u64 {
    let key = board.of(22);
    if key.bits(1).is_multiple_of(16) { 1 + key.bits(2) % 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    proptest! {
        #[test]
        fn replays_never_go_back(seed: u64, t in 0..4_000_000_000_000_u64, later in 0..1_000_000_000_u64) {
            let key = Key::root(seed);
            let at = |t| pcie_replays(Profile::Xid, key, t);
            prop_assert!(at(t) <= at(t + later));
        }

        #[test]
        fn a_recent_error_is_the_last_one(seed: u64, t in EPOCH_MS..EPOCH_MS + 1_000 * HOUR_MS) {
            let recent = recent_xids(Profile::Xid, Key::root(seed), t);
            let last = last_xid(Profile::Xid, Key::root(seed), t);
            prop_assert!(recent.is_empty() || recent.iter().any(|(xid, _)| *xid == last));
        }
    }

    #[test]
    fn errors_are_rare_unless_asked_for() {
        let count = |profile| {
            let day = |board| between(profile, Key::root(board), EPOCH_MS, EPOCH_MS + 24 * HOUR_MS).count();
            (0..100).map(day).sum::<usize>()
        };
        assert_eq!(count(Profile::Idle), 0);
        assert!((1..40).contains(&count(Profile::Mixed)), "{}", count(Profile::Mixed));
        assert!(count(Profile::Xid) > 10_000, "{}", count(Profile::Xid));
    }
}
