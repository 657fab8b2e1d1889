//! What the numbers are of: the machine, its software, and the commit.

use std::process::Command;

use serde::{Deserialize, Serialize};

use super::kilobytes;

/// Facts that belong to a table. What the machine does not tell is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor.
    pub processor: String,
    /// How many of its cores may be used.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel.
    pub kernel: String,
    /// The commit that was measured.
    pub commit: String,
    /// Versions of what is compared with, as the programs tell them.
    pub versions: Vec<String>,
}

impl Machine {
    /// This one, now.
    pub fn look() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = text("/proc/cpuinfo");
        let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]);
        let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
        let programs = [
            ("nginx", "-v"),
            ("pushpin", "--version"),
            ("nats-server", "--version"),
            ("h2load", "--version"),
        ];
        let versions = programs.map(|(program, flag)| said(program, &[flag]));
        Self {
            processor: name.map_or("unknown", |(_, name)| name).to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kilobytes("/proc/meminfo", "MemTotal:").unwrap_or_default(),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: if changed.is_empty() { commit } else { format!("{commit} and changes") },
            versions: versions.into_iter().filter(|version| !version.is_empty()).collect(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processor, cpus, memory, kernel, commit, versions } = self;
        writeln!(f, "{processor}, {cpus} CPUs, {} GiB; Linux {kernel}. Commit {commit}.", memory >> 30)?;
        writeln!(f, "{}.", versions.join("; "))
    }
}

/// The first line that a program prints; nothing where it cannot be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../.build/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin");
    let output = Command::new("env").arg(format!("PATH={path}")).arg(program).args(arguments).output();
    let Ok(output) = output else { return String::new() };
    if !output.status.success() {
        return String::new();
    }
    // nginx tells its version on the other output.
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}
