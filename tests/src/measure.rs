//! What every benchmark needs: processor time and memory of a process, a core of its own, order statistics, the machine.

use std::ffi::OsStr;
use std::fs;
use std::time::Duration;

use tokio::process::Command;

pub mod fit;
pub mod machine;
pub mod plot;
pub mod report;
pub mod stats;

/// Processor time used so far by the threads of a process, user and system together (first field of `schedstat`,
/// nanoseconds). That of threads that have ended is not in it: meant for differences over a steady state. Nothing of a process that
/// is gone.
pub fn cpu_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Bytes of memory of a process that are resident now; nothing of one that is gone.
pub fn resident(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or_default()
}

/// A field of a file in `/proc` that is told in kB, such as `VmRSS:  1234 kB`, in bytes.
pub(crate) fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
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

/// The value that `p` percent of a sorted list do not exceed (nearest rank, to the tenth of a percent).
///
/// # Panics
/// Where the list is empty or `p` is not from 0 to 100.
pub fn percentile<T: Copy>(sorted: &[T], p: f64) -> T {
    assert!((0.0..=100.0).contains(&p), "a percentile is from 0 to 100");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    let permille = (p * 10.0).round() as usize;
    stats::of_sorted(sorted, permille).expect("a percentile of something")
}

/// A count as a number.
///
/// # Panics
/// From 2^32 on.
pub fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a count below 2^32"))
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
    fn this_process_has_used_time_and_memory_and_runs_on_a_machine() {
        let own = std::process::id();
        assert!(cpu_time(own) > Duration::ZERO);
        assert!(resident(own) > 1024 * 1024);
        let machine = machine::Machine::look();
        assert!(machine.cpus > 0 && machine.memory > 1 << 20 && !machine.kernel.is_empty(), "{machine}");
    }

    #[tokio::test]
    async fn a_pinned_command_sees_one_core() {
        let output = pinned("0", "nproc").output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
    }
}
