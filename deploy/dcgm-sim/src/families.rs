//! The metric families: name, type, help and where the value comes from, in the order of DCGM's field ids.
//!
//! Names, types and help texts are those of dcgm-exporter's counter files, so that queries and dashboards meet what
//! they meet in the field. The default set is here whole, with the opt-in fields that dashboards ask for most.

use self::Source::{Board, ClockWindow, LastXid, Reserved, Unit, WholeGpu, XidWindow};
use self::Value::{Real, Whole};
use crate::activity::Counters;
use crate::reading::Reading;

/// A number as dcgm-exporter prints it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// `%d`.
    Whole(f64),
    /// `%f`: six decimals.
    Real(f64),
}

/// Where the series of a family come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// The board; repeated for each MIG instance, as DCGM does.
    Board(fn(&Reading) -> Value),
    /// The whole GPU or the MIG instance.
    Unit(fn(&Counters) -> Value),
    /// Whole GPUs only: DCGM has no such field for an instance.
    WholeGpu(fn(&Counters) -> Value),
    /// The framebuffer the driver keeps.
    Reserved,
    /// The last XID error, with `err_code` and `err_msg`.
    LastXid,
    /// XID errors of the window, a series for each code.
    XidWindow,
    /// Samples of the window under a limit, a series for each limit.
    ClockWindow,
}

/// A family's TYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Goes up and down.
    Gauge,
    /// Only goes up, or so its type says: see `DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL`, which is a rate.
    Counter,
}

impl Type {
    /// As the TYPE line says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// One metric family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    /// DCGM's field id; 9000 and above for the exporter's own.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "says why the order is what it is; a test holds it to that")
    )]
    pub(crate) field: u16,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its type.
    pub(crate) kind: Type,
    /// Its help.
    pub(crate) help: &'static str,
    /// Its series.
    pub(crate) source: Source,
}

const fn gauge(field: u16, name: &'static str, help: &'static str, source: Source) -> Family {
    Family { field, name, kind: Type::Gauge, help, source }
}

const fn counter(field: u16, name: &'static str, help: &'static str, source: Source) -> Family {
    Family { field, name, kind: Type::Counter, help, source }
}

/// All families.
#[rustfmt::skip]
pub(crate) const FAMILIES: &[Family] = &[
    gauge(100, "DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz).", Board(|r| Whole(r.state.sm_mhz))),
    gauge(101, "DCGM_FI_DEV_MEM_CLOCK", "Memory clock frequency (in MHz).", Board(|_| Whole(3201.0))),
    gauge(112, "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "Current clock event reasons (bitmask of DCGM_CLOCKS_EVENT_REASON_*)", Board(|r| Whole(f64::from(r.state.reasons.iter().fold(0, |mask, reason| mask | reason.bit()))))),
    gauge(140, "DCGM_FI_DEV_MEMORY_TEMP", "Memory temperature (in C).", Board(|r| Whole(r.state.memory_c))),
    gauge(150, "DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", Board(|r| Whole(r.state.gpu_c))),
    gauge(155, "DCGM_FI_DEV_POWER_USAGE", "Power draw (in W).", Board(|r| Real(r.state.power_w))),
    counter(156, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "Total energy consumption since boot (in mJ).", Board(|r| Whole(r.state.energy_mj))),
    counter(202, "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "Total number of PCIe retries.", Board(|r| Whole(r.replays as f64))),
    gauge(203, "DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %).", WholeGpu(|c| percent(c.busy))),
    gauge(204, "DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %).", WholeGpu(|c| percent(0.7 * c.dram))),
    gauge(206, "DCGM_FI_DEV_ENC_UTIL", "Encoder utilization (in %).", WholeGpu(|_| percent(0.0))),
    gauge(207, "DCGM_FI_DEV_DEC_UTIL", "Decoder utilization (in %).", WholeGpu(|c| percent(c.decoder))),
    gauge(230, "DCGM_FI_DEV_XID_ERRORS", "Value of the last XID error encountered.", LastXid),
    gauge(251, "DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", Unit(|c| Whole(c.free_mib))),
    gauge(252, "DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", Unit(|c| Whole(c.used_mib))),
    gauge(253, "DCGM_FI_DEV_FB_RESERVED", "Framebuffer memory reserved (in MiB).", Reserved),
    counter(393, "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", "Number of remapped rows for uncorrectable errors", Board(|_| Whole(0.0))),
    counter(394, "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", "Number of remapped rows for correctable errors", Board(|r| Whole(r.remapped_rows as f64))),
    gauge(395, "DCGM_FI_DEV_ROW_REMAP_FAILURE", "Whether remapping of rows has failed", Board(|_| Whole(0.0))),
    counter(449, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "Total number of NVLink bandwidth counters for all lanes.", Board(|r| Whole(r.traffic.nvlink_mb))),
    gauge(526, "DCGM_FI_DEV_VGPU_LICENSE_STATUS", "vGPU License status", Board(|_| Whole(0.0))),
    gauge(1001, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active.", Unit(|c| Real(c.busy))),
    gauge(1002, "DCGM_FI_PROF_SM_ACTIVE", "The ratio of cycles an SM has at least 1 warp assigned.", Unit(|c| Real(c.sm))),
    gauge(1004, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "Ratio of cycles the tensor (HMMA) pipe is active.", Unit(|c| Real(c.tensor))),
    gauge(1005, "DCGM_FI_PROF_DRAM_ACTIVE", "Ratio of cycles the device memory interface is active sending or receiving data.", Unit(|c| Real(c.dram))),
    gauge(1009, "DCGM_FI_PROF_PCIE_TX_BYTES", "The rate of data transmitted over the PCIe bus - including both protocol headers and data payloads - in bytes per second.", Board(|r| Whole(r.traffic.pcie_tx))),
    gauge(1010, "DCGM_FI_PROF_PCIE_RX_BYTES", "The rate of data received over the PCIe bus - including both protocol headers and data payloads - in bytes per second.", Board(|r| Whole(r.traffic.pcie_rx))),
    gauge(9000, "DCGM_EXP_XID_ERRORS_COUNT", "reported XIDs during last window", XidWindow),
    gauge(9001, "DCGM_EXP_CLOCK_EVENTS_COUNT", "reported clock events", ClockWindow),
];

fn percent(share: f64) -> Value {
    Whole((100.0 * share).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_in_the_order_of_their_fields() {
        assert!(FAMILIES.is_sorted_by(|a, b| a.field < b.field));
        assert_eq!(FAMILIES.len(), 29);
    }
}
