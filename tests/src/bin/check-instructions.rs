//! `check-instructions [--update]`: counts the instructions of the hot paths with callgrind, and fails where one grew.
//!
//! The crates of the hot paths are built as a release builds them (optimised, in one unit, without checks), their
//! dependencies as for the tests, which have built them already.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a developer's terminal, which cargo tells of itself"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use e2e::instructions::{Baseline, collected, judge};
use e2e::measure::machine::Machine;
use serde_json::Value;

/// The crates whose code is counted.
const CRATES: [&str; 4] = ["promcast-proto", "promcast-runtime", "promcast-poller", "promcast-gateway"];

/// How they are built. In one unit each: what is inlined depends on where the compiler cuts, and so on code that has nothing to do
/// with it.
const OPTIONS: [&str; 4] =
    ["opt-level=1", "codegen-units=1", "debug-assertions=false", "overflow-checks=false"];

/// The function within which is counted, whatever its whole name is made of.
const COUNTED: &str = "*counted_instructions*";

fn main() -> ExitCode {
    let update = std::env::args().any(|argument| argument == "--update");
    let path = root().join("gateway/benches/instructions.txt");
    let baseline = std::fs::read_to_string(&path).unwrap_or_default();
    let baseline = Baseline::read(&baseline).expect("a baseline");
    let toolchain = toolchain();
    if !update && baseline.toolchain != toolchain {
        println!(
            "!! INSTRUCTIONS ARE NOT CHECKED: {} is for\n!!   {}\n!! and this is\n!!   {toolchain}\n\
             !! To move to it: count with the old one, see that all is well, then `make update-instructions` with \
             the new one,\n!! in a commit of its own.",
            path.display(),
            baseline.toolchain,
        );
        return ExitCode::SUCCESS;
    }
    let counts = count(&build());
    if update {
        let text = Baseline { toolchain, counts }.text();
        std::fs::write(&path, text).expect("the baseline can be written");
        println!("wrote {}", path.display());
        return ExitCode::SUCCESS;
    }
    report(&baseline, &counts)
}

fn report(baseline: &Baseline, counts: &BTreeMap<String, u64>) -> ExitCode {
    let judged = judge(baseline, counts);
    for (name, change) in &judged {
        let count = |counts: &BTreeMap<String, u64>| counts.get(name).map_or("–".to_owned(), u64::to_string);
        println!("{name:<28} {:>10} → {:>10}  {change}", count(&baseline.counts), count(counts));
    }
    if judged.values().any(|change| change.fails()) {
        println!(
            "A hot path takes more instructions than gateway/benches/instructions.txt allows. Make it cheaper, or, where \
             the price is\nmeant, run `make update-instructions` and say why in the commit."
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("a workspace")
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or("cargo".to_owned())
}

/// The compiler in full, and the processor: libraries choose by it how they copy and compress.
fn toolchain() -> String {
    let output = run(Command::new("rustc").arg("--version").current_dir(root()));
    format!("{} {} {}", output.trim(), std::env::consts::ARCH, Machine::look().processor)
}

/// Builds the cases; where they are.
fn build() -> PathBuf {
    let mut command = Command::new(cargo());
    // The same selection as that of the tests, so that dependencies have the same features and are not built again.
    command.current_dir(root()).env("CARGO_INCREMENTAL", "0");
    command.args(["build", "--locked", "--workspace", "--bench", "instructions"]);
    command.arg("--message-format=json-render-diagnostics");
    for (name, option) in CRATES.iter().flat_map(|name| OPTIONS.map(|option| (name, option))) {
        command.args(["--config", &format!("profile.dev.package.{name}.{option}")]);
    }
    let output = run(&mut command);
    let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = messages
        .filter(|message| message["target"]["name"] == "instructions")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.expect("cargo says where the benchmark is")
}

/// The count of each case.
fn count(cases: &Path) -> BTreeMap<String, u64> {
    let names = run(&mut Command::new(cases));
    names.lines().map(|name| (name.to_owned(), count_one(cases, name))).collect()
}

fn count_one(cases: &Path, name: &str) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(format!("--toggle-collect={COUNTED}")).arg(cases).arg(name);
    let output = command.output().expect("valgrind: run deploy/local/install.sh valgrind");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {printed}");
    collected(&printed).expect("callgrind counted something")
}

/// What a command prints; its errors are for the terminal.
fn run(command: &mut Command) -> String {
    let output = command.stderr(std::process::Stdio::inherit()).output().expect("the command can be run");
    assert!(output.status.success(), "{command:?} failed");
    String::from_utf8(output.stdout).expect("text")
}
