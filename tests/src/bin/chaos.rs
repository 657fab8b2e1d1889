//! `chaos [--minutes N] [--seed N] [--report FILE]`: fault after fault on one installation, in an order that the seed gives, and a
//! report of what two hundred viewers noticed. Fails where a promise was not kept.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for a developer's terminal"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use e2e::chaos::fault::Fault;
use e2e::chaos::rig::{Rig, TOPICS, VIEWERS};
use e2e::chaos::verdict::{Verdict, judge};
use e2e::wait::now;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::Instant;

/// What to do.
struct Plan {
    lasts: Duration,
    seed: u64,
    report: PathBuf,
}

impl Plan {
    fn read(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut plan =
            Self { lasts: Duration::from_secs(30 * 60), seed: 1, report: PathBuf::from("target/chaos.md") };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().expect("each option has a value");
            match name.as_str() {
                "--minutes" => {
                    plan.lasts = 60 * Duration::from_secs(value.parse().expect("--minutes: a number"))
                }
                "--seed" => plan.seed = value.parse().expect("--seed: a number"),
                "--report" => plan.report = value.into(),
                _ => panic!("{name} is no option; there are --minutes, --seed and --report"),
            }
        }
        plan
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = Plan::read(std::env::args().skip(1));
    let mut dice = StdRng::seed_from_u64(plan.seed);
    let mut rig = Rig::start().await;
    let began = Instant::now();
    let mut report = Report::begin(&plan, &rig);
    let mut faults = Vec::new();
    while began.elapsed() < plan.lasts {
        if faults.is_empty() {
            faults = Fault::ALL.to_vec();
            faults.shuffle(&mut dice);
        }
        let Some(fault) = faults.pop() else { break };
        let from = now();
        fault.inflict(&mut rig, &mut dice).await;
        let until = now().plus_millis(15_000);
        rig.reach(until).await;
        report.add(fault, &judge(&rig.journals(), (from, until), fault.allowed()));
        report.write(&plan, &rig, began.elapsed());
    }
    println!("\nThe report is in {}.", plan.report.display());
    ExitCode::from(u8::from(report.complaints > 0))
}

/// What happened, for people.
struct Report {
    text: String,
    complaints: usize,
    faults: usize,
    memory: String,
}

impl Report {
    fn begin(plan: &Plan, rig: &Rig) -> Self {
        let text = format!(
            "# Chaos, seed {}\n\n{VIEWERS} viewers of {TOPICS} topics at 5 s; two gateways behind HAProxy, two pollers, \
             nats-server, Prometheus.\n\n| fault | evaluations delivered | the latest, ms late | of the slow upstream | \
             streams ended | refused | told as lost |\n|---|---:|---:|---:|---:|---:|---|\n",
            plan.seed,
        );
        println!("{}", text.trim_end());
        Self { text, complaints: 0, faults: 0, memory: memory(rig) }
    }

    fn add(&mut self, fault: Fault, verdict: &Verdict) {
        let row = format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            fault.name(),
            verdict.delivered,
            verdict.latest.as_millis(),
            verdict.latest_of_slow.as_millis(),
            verdict.ended,
            verdict.refused,
            told(verdict),
        );
        println!("{row}");
        self.text += &row;
        self.text.push('\n');
        for complaint in &verdict.complaints {
            println!("  {complaint}");
            writeln!(self.text, "| **not kept:** {complaint} | | | | | | |").expect("a text takes more text");
        }
        self.complaints += verdict.complaints.len();
        self.faults += 1;
    }

    fn write(&self, plan: &Plan, rig: &Rig, lasted: Duration) {
        let end = format!(
            "\n{} faults in {} minutes, {} complaints.\n\nMemory of gateways and pollers, MiB: {} at the begin, {} at \
             the end.\n",
            self.faults,
            lasted.as_secs() / 60,
            self.complaints,
            self.memory,
            memory(rig),
        );
        std::fs::write(&plan.report, format!("{}{end}", self.text)).expect("the report can be written");
    }
}

fn told(verdict: &Verdict) -> String {
    let reasons = verdict.told.iter().map(|(reason, times)| format!("{times} × {reason}"));
    reasons.collect::<Vec<_>>().join(", ")
}

fn memory(rig: &Rig) -> String {
    let gateways = rig.gateways.iter().map(|member| &member.gateway.process);
    let processes = gateways.chain(rig.pollers.iter().map(|poller| &poller.process));
    processes.map(|process| (process.resident_bytes() >> 20).to_string()).collect::<Vec<_>>().join(", ")
}
