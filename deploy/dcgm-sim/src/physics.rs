//! What a load does to a board: power, energy, temperature, clocks and their limits.
//!
//! Power follows load in a straight line, so energy is the load's integral times a constant. Temperature follows power
//! through one time constant. A hot board lowers its clocks and its temperature flattens out; the few watts that saves
//! are left out, which keeps power a function of load alone and energy exact.

use crate::clock::EPOCH_MS;
use crate::dice::Key;
use crate::fleet::Board;

/// Power limit of an H200 SXM in watts (NVIDIA's data sheet).
pub(crate) const LIMIT_W: f64 = 700.0;
/// Where the driver starts to lower clocks, °C.
pub(crate) const SLOWDOWN_C: f64 = 87.0;
/// Window of the clock-event counts in seconds: dcgm-exporter's default of 300 000 ms.
pub(crate) const WINDOW_S: u64 = 300;

/// Time constant of the heat sink, seconds.
const INERTIA_S: f64 = 80.0;
/// Step of the thermal filter, seconds.
const STEP_S: u64 = 10;
/// Steps before the window: after five time constants the start no longer shows.
const WARM_UP: u64 = 40;
/// Steps of the window.
const STEPS: u64 = WINDOW_S / STEP_S;
/// Half the width of the noise of an idle board, watts.
const IDLE_NOISE_W: f64 = 1.2;
/// Clocks move in steps of 15 MHz.
const CLOCK_STEP_MHZ: f64 = 15.0;
const IDLE_MHZ: f64 = 345.0;
const BOOST_MHZ: f64 = 1_980.0;
const LOWEST_MHZ: f64 = 1_095.0;

/// How a board is cooled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cooling {
    /// Air at the inlet, °C.
    inlet_c: f64,
    /// °C over the inlet for each watt.
    resistance: f64,
    /// Power with no load, watts.
    idle_w: f64,
}

impl Cooling {
    /// The cooling of a board; `failing` brings a busy one to the slow-down temperature.
    pub(crate) fn of(board: Key, failing: bool) -> Self {
        let (inlet_c, resistance) = if failing {
            (board.range(10, 37.0, 39.0), board.range(11, 0.083, 0.086))
        } else {
            (board.range(10, 23.0, 29.0), board.range(11, 0.043, 0.048))
        };
        Self { inlet_c, resistance, idle_w: board.range(12, 72.0, 78.0) }
    }
}

/// Why a clock is lower than it could be: the bits of `DCGM_FI_DEV_CLOCKS_EVENT_REASONS` that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing to do.
    GpuIdle,
    /// The load would draw more than the limit.
    PowerCap,
    /// The slow-down temperature is reached.
    SwThermal,
}

impl Reason {
    /// All of them, lowest bit first.
    pub(crate) const ALL: [Self; 3] = [Self::GpuIdle, Self::PowerCap, Self::SwThermal];

    /// Its bit (`DCGM_CLOCKS_EVENT_REASON_*` in dcgm_fields.h).
    pub(crate) fn bit(self) -> u8 {
        match self {
            Self::GpuIdle => 1,
            Self::PowerCap => 4,
            Self::SwThermal => 32,
        }
    }

    /// Its `clock_event` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::GpuIdle => "gpu_idle",
            Self::PowerCap => "power_cap",
            Self::SwThermal => "sw_thermal",
        }
    }
}

/// The state of a board at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    /// Watts.
    pub(crate) power_w: f64,
    /// Millijoules since [`EPOCH_MS`].
    pub(crate) energy_mj: f64,
    /// GPU temperature, °C.
    pub(crate) gpu_c: f64,
    /// HBM temperature, °C.
    pub(crate) memory_c: f64,
    /// SM clock, MHz.
    pub(crate) sm_mhz: f64,
    /// Limits that act now.
    pub(crate) reasons: Vec<Reason>,
    /// For how many of the last [`WINDOW_S`] seconds each reason acted, to [`STEP_S`] seconds.
    pub(crate) limited_s: Vec<(Reason, u64)>,
}

impl State {
    /// The state of `board` at `t_ms`, Unix milliseconds.
    pub(crate) fn at(board: &Board, t_ms: u64) -> Self {
        let heat = heat(board, t_ms);
        let raw_c = heat.last().copied().unwrap_or_default();
        let demand = demand(board, t_ms);
        let rise = gpu_c(raw_c) - board.cooling.inlet_c;
        Self {
            power_w: power_w(board, t_ms),
            energy_mj: 1000.0 * energy_j(board, EPOCH_MS, t_ms),
            gpu_c: gpu_c(raw_c),
            memory_c: board.cooling.inlet_c + 5.0 + 0.5 * rise,
            sm_mhz: sm_mhz(demand, raw_c),
            reasons: Reason::ALL.into_iter().filter(|reason| acts(*reason, demand, raw_c)).collect(),
            limited_s: limited_s(board, t_ms, &heat),
        }
    }
}

/// Power in watts: at most [`LIMIT_W`].
fn power_w(board: &Board, t_ms: u64) -> f64 {
    let load: f64 = board
        .units
        .iter()
        .map(|unit| unit.share * unit.workload.kind().intensity() * unit.workload.activity(t_ms))
        .sum();
    let noise = IDLE_NOISE_W * board.key.of(13).jitter(since_epoch_s(t_ms));
    board.cooling.idle_w + noise + span_w(board) * load
}

/// The exact integral of [`power_w`], joules.
fn energy_j(board: &Board, from_ms: u64, to_ms: u64) -> f64 {
    if to_ms <= from_ms {
        return 0.0;
    }
    let load: f64 = board
        .units
        .iter()
        .map(|unit| unit.share * unit.workload.kind().intensity() * unit.workload.integral(from_ms, to_ms))
        .sum();
    let noise = |t_ms| board.key.of(13).jitter_integral(since_epoch_s(t_ms));
    let seconds = (to_ms - from_ms) as f64 / 1000.0;
    board.cooling.idle_w * seconds + IDLE_NOISE_W * (noise(to_ms) - noise(from_ms)) + span_w(board) * load
}

fn span_w(board: &Board) -> f64 {
    LIMIT_W - IDLE_NOISE_W - board.cooling.idle_w
}

fn since_epoch_s(t_ms: u64) -> f64 {
    t_ms.saturating_sub(EPOCH_MS) as f64 / 1000.0
}

/// Power the load would draw without a limit, as a share of what lies between idle and the limit; 0 = idle.
fn demand(board: &Board, t_ms: u64) -> f64 {
    board
        .units
        .iter()
        .map(|unit| unit.share * unit.workload.kind().demand() * unit.workload.activity(t_ms))
        .sum()
}

/// Temperatures that the power alone would give, every [`STEP_S`] over the window, the last one at `t_ms`.
fn heat(board: &Board, t_ms: u64) -> Vec<f64> {
    let step_ms = STEP_S * 1000;
    let keep = (-(STEP_S as f64) / INERTIA_S).exp();
    let mut filtered = None;
    (0..WARM_UP + STEPS)
        .rev()
        .filter_map(|steps_ago| {
            let to_ms = t_ms.saturating_sub(steps_ago * step_ms);
            let from_ms = to_ms.saturating_sub(step_ms);
            let mean_w = energy_j(board, from_ms, to_ms) / STEP_S as f64;
            let before = filtered.unwrap_or(mean_w);
            let now = before * keep + mean_w * (1.0 - keep);
            filtered = Some(now);
            (steps_ago < STEPS).then_some(board.cooling.inlet_c + board.cooling.resistance * now)
        })
        .collect()
}

/// Above the slow-down temperature lower clocks hold most of the rest back.
fn gpu_c(raw_c: f64) -> f64 {
    raw_c.min(SLOWDOWN_C) + 0.35 * (raw_c - SLOWDOWN_C).max(0.0)
}

fn sm_mhz(demand: f64, raw_c: f64) -> f64 {
    if demand <= 0.0 {
        return IDLE_MHZ;
    }
    let thermal = 40.0 * (raw_c - SLOWDOWN_C).max(0.0);
    let clock = (BOOST_MHZ / demand.max(1.0) - thermal).max(LOWEST_MHZ);
    (clock / CLOCK_STEP_MHZ).floor() * CLOCK_STEP_MHZ
}

fn acts(reason: Reason, demand: f64, raw_c: f64) -> bool {
    match reason {
        Reason::GpuIdle => demand <= 0.0,
        Reason::PowerCap => demand > 1.0,
        Reason::SwThermal => raw_c >= SLOWDOWN_C,
    }
}

fn limited_s(board: &Board, t_ms: u64, heat: &[f64]) -> Vec<(Reason, u64)> {
    let points: Vec<(f64, f64)> = (0_u64..)
        .zip(heat.iter().rev())
        .map(|(ago, raw_c)| (demand(board, t_ms.saturating_sub(ago * STEP_S * 1000)), *raw_c))
        .collect();
    let seconds = |reason| {
        STEP_S * points.iter().filter(|(demand, raw_c)| acts(reason, *demand, *raw_c)).map(|_| 1).sum::<u64>()
    };
    Reason::ALL
        .into_iter()
        .map(|reason| (reason, seconds(reason)))
        .filter(|(_, seconds)| *seconds > 0)
        .collect()
}

#[cfg(test)]
mod tests;
