//! Boards over time: what must hold at any moment, and what a day must show.

use conf::Conf;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::fleet;

const HOUR_MS: u64 = 3_600_000;

fn boards(flags: &[&str]) -> Vec<Board> {
    let args = [&["dcgm-sim"], flags].concat();
    fleet::build(&Config::try_parse_from::<&str, &str, &str>(args, Vec::new()).unwrap())
}

/// States each `step_s` of six hours.
fn hours(board: &Board, step_s: u64) -> Vec<State> {
    (0..6 * 3600 / step_s).map(|i| State::at(board, EPOCH_MS + 1000 * HOUR_MS + i * step_s * 1000)).collect()
}

prop_compose! {
    fn any_board()(
        profile in prop::sample::select(vec!["mixed", "idle", "load", "throttle", "xid"]),
        dialect in prop::sample::select(vec!["k8s", "bare", "mig"]),
        seed: u64,
        index in 0_usize..8,
    ) -> Board {
        boards(&["--profile", profile, "--dialect", dialect, "--seed", &seed.to_string()])[index].clone()
    }
}

proptest! {
    #[test]
    fn values_stay_in_their_ranges(board in any_board(), t in 0_u64..4_000_000_000_000) {
        let state = State::at(&board, t);
        prop_assert!((60.0..=LIMIT_W).contains(&state.power_w), "{state:?}");
        prop_assert!((20.0..92.0).contains(&state.gpu_c), "{state:?}");
        prop_assert!((25.0..95.0).contains(&state.memory_c), "{state:?}");
        prop_assert!((IDLE_MHZ..=BOOST_MHZ).contains(&state.sm_mhz), "{state:?}");
        prop_assert!(state.limited_s.iter().all(|(_, seconds)| *seconds <= WINDOW_S));
    }

    #[test]
    fn energy_grows_as_power_says(
        board in any_board(),
        t in EPOCH_MS..EPOCH_MS + 20_000 * HOUR_MS,
        ms in 1_u64..86_400_000,
    ) {
        let (before, after) = (State::at(&board, t), State::at(&board, t + ms));
        let mean_w = (after.energy_mj - before.energy_mj) / ms as f64;
        prop_assert!((60.0..=LIMIT_W).contains(&mean_w), "{mean_w} W");
    }

    #[test]
    fn energy_is_the_sum_of_power(board in any_board(), t in EPOCH_MS..EPOCH_MS + 9_000 * HOUR_MS, minutes in 1_u64..20) {
        let end = t + minutes * 60_000;
        let sum: f64 = (t..end).step_by(100).map(|at| power_w(&board, at + 50) / 10.0).sum();
        let exact = energy_j(&board, t, end);
        // The edges of checkpoints fall between the points of the sum.
        prop_assert!((exact - sum).abs() < 0.002 * exact + 200.0, "{exact} J, {sum} J");
    }
}

#[test]
fn an_idle_board_is_cool_and_slow() {
    let board = &boards(&["--profile", "idle"])[0];
    for state in hours(board, 60) {
        assert!(state.power_w < 80.0 && state.gpu_c < 35.0, "{state:?}");
        assert_eq!((state.sm_mhz, state.reasons), (345.0, vec![Reason::GpuIdle]));
        assert_eq!(state.limited_s, [(Reason::GpuIdle, WINDOW_S)]);
    }
}

#[test]
fn a_loaded_board_is_at_the_power_cap_and_not_too_hot() {
    let states = hours(&boards(&["--profile", "load"])[0], 60);
    let capped = states.iter().filter(|state| state.reasons == [Reason::PowerCap]).count();
    assert!(capped > states.len() * 8 / 10, "{capped} of {}", states.len());
    for state in states {
        assert!(state.gpu_c < 70.0 && state.sm_mhz > 1_700.0, "{state:?}");
    }
}

#[test]
fn a_hot_board_slows_down_and_recovers() {
    let states = hours(&boards(&["--profile", "throttle"])[0], 10);
    let (hot, cool): (Vec<_>, Vec<_>) =
        states.iter().partition(|state| state.reasons.contains(&Reason::SwThermal));
    assert!(hot.len() > 100 && cool.len() > 100, "{} hot, {} cool", hot.len(), cool.len());
    assert!(hot.iter().all(|state| state.gpu_c >= SLOWDOWN_C && state.sm_mhz < BOOST_MHZ));
    assert!(cool.iter().all(|state| state.gpu_c < SLOWDOWN_C));
}

#[test]
fn temperature_has_inertia() {
    let board = &boards(&[])[2];
    let states = hours(board, 1);
    let swing = |of: fn(&State) -> f64| {
        states.windows(2).map(|pair| (of(&pair[0]) - of(&pair[1])).abs()).fold(0.0, f64::max)
    };
    assert!(swing(|state| state.power_w) > 300.0, "a checkpoint lets the power fall at once");
    assert!(swing(|state| state.gpu_c) < 1.0, "and the temperature only slowly");
}

#[test]
fn nothing_is_counted_before_the_epoch() {
    assert_eq!(State::at(&boards(&[])[0], EPOCH_MS - 1).energy_mj, 0.0);
}
