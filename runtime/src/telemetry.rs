//! Logs: one subscriber for the program, on stderr, as text for people or JSON for machines.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::str::FromStr;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is `text` or `json`"),
        }
    }
}

/// Logging could not be set up: another subscriber is there already.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up logging")]
pub struct Error(#[source] tracing_subscriber::util::TryInitError);

/// Starts logging for the whole process.
pub fn init(log: &config::Log) -> Result<(), Error> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = EnvFilter::new(&log.filter);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    match log.format {
        Format::Text => builder.with_ansi(log.color).finish().try_init(),
        Format::Json => builder.json().finish().try_init(),
    }
    .map_err(Error)?;
    log_panics();
    Ok(())
}

/// A panic is a line of the log like any other, in the log's own format: the default would print text in between.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        error!(panic = message, location, backtrace, "a panic");
    }));
}
