//! Everything about one board at one collection.

use crate::activity::{Counters, Traffic};
use crate::config::Profile;
use crate::faults::{self, Xid};
use crate::fleet::Board;
use crate::physics::State;
use crate::workload::Kind;

/// A board at one collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    /// Power, temperature, clocks.
    pub(crate) state: State,
    /// Buses.
    pub(crate) traffic: Traffic,
    /// Counters of each unit, in the order of the board's units.
    pub(crate) units: Vec<Counters>,
    /// The last XID error.
    pub(crate) last_xid: Xid,
    /// XID errors of the window, by code.
    pub(crate) recent_xids: Vec<(Xid, u64)>,
    /// PCIe replays.
    pub(crate) replays: u64,
    /// Rows remapped after correctable errors.
    pub(crate) remapped_rows: u64,
}

impl Reading {
    /// Reads `board` at `t_ms`, Unix milliseconds.
    pub(crate) fn take(board: &Board, profile: Profile, t_ms: u64) -> Self {
        // Where nothing runs, nothing makes a fault.
        let runs = board.units.iter().any(|unit| unit.workload.kind() != Kind::Idle);
        let xids = if runs { profile } else { Profile::Idle };
        Self {
            state: State::at(board, t_ms),
            traffic: Traffic::at(board, t_ms),
            units: board.units.iter().map(|unit| Counters::at(board, unit, t_ms)).collect(),
            last_xid: faults::last_xid(xids, board.key, t_ms),
            recent_xids: faults::recent_xids(xids, board.key, t_ms),
            replays: faults::pcie_replays(profile, board.key, t_ms),
            remapped_rows: faults::remapped_rows(board.key),
        }
    }
}
