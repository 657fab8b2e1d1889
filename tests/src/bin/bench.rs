//! `bench`: what fan-out costs, the gateway beside a bare loop, nchan and Pushpin; `bench --help` says how.
//!
//! Prints tables in Markdown, and writes every sample as JSON. Fails where the gateway lost or doubled an event.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a developer's terminal")]

use std::fs;
use std::future::pending;
use std::process::ExitCode;

use e2e::bench::cores::{Cores, raise_files};
use e2e::bench::limit;
use e2e::bench::options::{Options, USAGE};
use e2e::bench::report::{Report, put_into};
use e2e::bench::server::{BARE_LOOP, LISTENING};
use e2e::bench::suite::{self, Results};
use e2e::measure::machine::Machine;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(BARE_LOOP) => {
            let served = limit::serve(|address| println!("{LISTENING}{address}"));
            return done(served.map_err(|error| error.to_string()));
        }
        Some("--help") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    done(measure(arguments).await)
}

/// Returns at SIGINT or SIGTERM.
async fn told_to_end() {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else { return pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: Vec<String>) -> Result<(), String> {
    let options = Options::read(arguments)?;
    let mut earlier = Vec::new();
    for path in &options.add {
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let report: Report =
            serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        earlier.push(report);
    }
    raise_files(options.most_connections())?;
    let (machine, cores) = (Machine::look(), Cores::find());
    cores.enter_client();
    let mut results = Results::default();
    // What is dropped ends what it has started; what was measured until then is told all the same.
    let whole = tokio::select! {
        () = suite::run(&options, cores, &mut results, |what| eprintln!("{what}")) => true,
        () = told_to_end() => false,
    };
    let broken = results.broken();
    let mut report = Report::new(machine, cores, results);
    for earlier in earlier {
        report.add(earlier);
    }
    let tables = report.markdown();
    println!("{tables}");
    if let Some(folder) = options.json.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let json = serde_json::to_vec_pretty(&report).map_err(|error| error.to_string())?;
    fs::write(&options.json, json).map_err(|error| format!("{}: {error}", options.json.display()))?;
    if let Some(path) = &options.markdown {
        let into = fs::read_to_string(path).ok().and_then(|page| put_into(&page, &tables));
        fs::write(path, into.unwrap_or(tables)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    match (broken.is_empty(), whole) {
        (true, true) => Ok(()),
        (true, false) => Err("told to end before all was measured".to_owned()),
        (false, _) => Err(format!("the gateway broke its word:\n{}", broken.join("\n"))),
    }
}
