//! What every benchmark needs: processor time and memory of a process, a core of its own, order statistics, the machine.

use std::ffi::OsStr;
use std::fs;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

pub mod fit;
pub mod plot;
pub mod report;

/// Processor time used so far by the threads of a process, user and system together (first field of `schedstat`,
/// nanoseconds). That of threads that have ended is not in it: meant for differences over a steady state.
///
/// # Panics
/// Where the process is gone.
pub fn cpu_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process is in /proc");
    let nanoseconds = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Bytes of memory of a process that are resident now.
///
/// # Panics
/// Where the process is gone.
pub fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process is in /proc");
    field(&status, "VmRSS:").expect("VmRSS is in the status of a running process") * 1024
}

/// A command whose process, and all it starts, runs on these cores alone: `0`, `0,2`, `1-3`. The process is the
/// program itself: `taskset` becomes it.
pub fn pinned(cores: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cores]).arg(program);
    command
}

/// Puts all threads of a running process on one core; those that it starts later inherit that.
///
/// # Panics
/// Where the process is gone, or there is no such core.
pub fn pin(pid: u32, core: usize) {
    let arguments = ["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &pid.to_string()];
    let output = std::process::Command::new("taskset").args(arguments).output().expect("taskset is there");
    assert!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
}

/// The value that `p` percent of a sorted list do not exceed (nearest rank).
///
/// # Panics
/// Where the list is empty or `p` is not from 0 to 100.
pub fn percentile<T: Copy>(sorted: &[T], p: f64) -> T {
    assert!((0.0..=100.0).contains(&p), "a percentile is from 0 to 100");
    assert!(!sorted.is_empty(), "a percentile of something");
    let rank = (number(sorted.len()) * p / 100.0).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the length")]
    let rank = rank as usize;
    sorted[rank.saturating_sub(1)]
}

/// The middle of some measurements, in whichever order.
///
/// # Panics
/// Where there are none, or one is not a number.
pub fn median(measured: &[f64]) -> f64 {
    let mut sorted = measured.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("a number"));
    percentile(&sorted, 50.0)
}

/// A count as a number.
///
/// # Panics
/// From 2^32 on.
pub fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a count below 2^32"))
}

/// On what was measured: what has to stand beside each number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Release of the kernel.
    pub kernel: String,
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processor, cores, memory, kernel } = self;
        write!(f, "{processor}, {cores} cores, {} GiB, Linux {kernel}", memory >> 30)
    }
}

/// The facts of this machine; what it does not tell is empty.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        processor: model.map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory: field(&read("/proc/meminfo"), "MemTotal:").unwrap_or_default() * 1024,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// The number of KiB in a line such as `VmRSS:  1234 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let hundred: Vec<_> = (1..=100).collect();
        for (p, expected) in
            [(0.0, 1), (1.0, 1), (50.0, 50), (50.1, 51), (99.0, 99), (99.9, 100), (100.0, 100)]
        {
            assert_eq!(percentile(&hundred, p), expected, "p{p}");
        }
        assert_eq!(percentile(&[7], 99.0), 7);
        assert_eq!(percentile(&[1, 2, 3], 50.0), 2);
    }

    #[test]
    fn a_median_needs_no_order() {
        assert!((median(&[9.0, 1.0, 5.0]) - 5.0).abs() < f64::EPSILON);
    }

    #[test]
    fn this_process_has_used_time_and_memory_and_runs_on_a_machine() {
        let own = std::process::id();
        assert!(cpu_time(own) > Duration::ZERO);
        assert!(rss(own) > 1024 * 1024);
        let machine = machine();
        assert!(machine.cores > 0 && machine.memory > 1 << 20 && !machine.kernel.is_empty(), "{machine}");
    }

    #[tokio::test]
    async fn a_pinned_command_sees_one_core() {
        let output = pinned("0", "nproc").output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
    }
}
