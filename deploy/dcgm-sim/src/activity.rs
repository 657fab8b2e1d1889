//! What a load looks like in the profiling counters: engine ratios, memory and bus traffic.

use crate::dice::Key;
use crate::fleet::{Board, Unit};
use crate::workload::Kind;

/// The counters of one unit at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counters {
    /// Share of the time in which a kernel ran, 0 to 1.
    pub(crate) busy: f64,
    /// Share of the cycles in which an SM had a warp, 0 to 1.
    pub(crate) sm: f64,
    /// Share of the cycles in which the tensor pipe worked, 0 to 1.
    pub(crate) tensor: f64,
    /// Share of the cycles in which the memory interface moved data, 0 to 1.
    pub(crate) dram: f64,
    /// Share of the time in which the video decoder worked, 0 to 1.
    pub(crate) decoder: f64,
    /// Framebuffer in use, MiB.
    pub(crate) used_mib: f64,
    /// Framebuffer that is free, MiB.
    pub(crate) free_mib: f64,
}

/// How a kind of load uses the engines: shares of its busy time.
struct Mix {
    sm: f64,
    tensor: f64,
    dram: f64,
    decoder: f64,
}

fn mix(kind: Kind) -> Mix {
    match kind {
        Kind::Idle => Mix { sm: 0.0, tensor: 0.0, dram: 0.0, decoder: 0.0 },
        // Decoding tokens is bound by memory.
        Kind::Serving => Mix { sm: 0.82, tensor: 0.33, dram: 0.68, decoder: 0.0 },
        Kind::Training | Kind::Saturated | Kind::HeatBound => {
            Mix { sm: 0.92, tensor: 0.5, dram: 0.52, decoder: 0.0 }
        }
        Kind::Notebook => Mix { sm: 0.6, tensor: 0.2, dram: 0.35, decoder: 0.0 },
        Kind::Batch => Mix { sm: 0.85, tensor: 0.38, dram: 0.45, decoder: 0.3 },
    }
}

impl Counters {
    /// The counters of `unit` at `t_ms`, Unix milliseconds.
    pub(crate) fn at(board: &Board, unit: &Unit, t_ms: u64) -> Self {
        let busy = unit.workload.activity(t_ms);
        let mix = mix(unit.workload.kind());
        let noise = board.key.of(30).of(t_ms);
        let shaky = |salt, share: f64| (busy * share * noise.range(salt, 0.94, 1.06)).clamp(0.0, 1.0);
        let used_mib = (unit.workload.memory(t_ms) * (unit.memory_mib - unit.reserved_mib)).round();
        Self {
            busy,
            sm: shaky(1, mix.sm),
            tensor: shaky(2, mix.tensor),
            // The refresh and the driver move a little always: 1e-5 to 2.5e-5 on an idle board.
            dram: (shaky(3, mix.dram) + noise.range(4, 1e-5, 2.5e-5)).min(1.0),
            decoder: shaky(5, mix.decoder),
            used_mib,
            free_mib: unit.memory_mib - unit.reserved_mib - used_mib,
        }
    }
}

/// Traffic of one board at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Traffic {
    /// PCIe, board to host, bytes per second.
    pub(crate) pcie_tx: f64,
    /// PCIe, host to board, bytes per second.
    pub(crate) pcie_rx: f64,
    /// NVLink over all lanes, MB per second.
    pub(crate) nvlink_mb: f64,
}

impl Traffic {
    /// The traffic of `board` at `t_ms`, Unix milliseconds.
    pub(crate) fn at(board: &Board, t_ms: u64) -> Self {
        let noise: Key = board.key.of(31).of(t_ms);
        let weigh = |rate: fn(&Unit) -> f64| -> f64 {
            board.units.iter().map(|unit| unit.share * unit.workload.activity(t_ms) * rate(unit)).sum()
        };
        // 1.6e5 and 3.3e5 B/s are what an idle board moves for its driver.
        Self {
            pcie_tx: noise.range(1, 1.5e5, 1.8e5) + noise.range(2, 0.7, 1.3) * weigh(|unit| pcie(unit).0),
            pcie_rx: noise.range(3, 3.0e5, 3.6e5) + noise.range(4, 0.7, 1.3) * weigh(|unit| pcie(unit).1),
            nvlink_mb: noise.range(5, 0.9, 1.1) * weigh(|unit| if unit.linked { 210_000.0 } else { 0.0 }),
        }
    }
}

/// PCIe bytes per second of a fully busy unit: out, in.
fn pcie(unit: &Unit) -> (f64, f64) {
    match unit.workload.kind() {
        Kind::Idle => (0.0, 0.0),
        Kind::Serving => (1.2e9, 1.0e9),
        Kind::Training | Kind::Saturated | Kind::HeatBound => (5.5e9, 6.5e9),
        Kind::Notebook => (0.6e9, 1.5e9),
        Kind::Batch => (2.0e9, 9.0e9),
    }
}
