//! Logs and traces: one subscriber for the program. Logs go to stderr, as text for people or JSON for machines; traces go where
//! the standard variables `OTEL_*` say, if anywhere.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::str::FromStr;

use tracing::{Metadata, Subscriber, error};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use self::traces::Provider;
use crate::{config, trace};

pub mod traces;

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

/// Why there are no logs or traces.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another subscriber is there already.
    #[error("cannot set up logging")]
    Log(#[source] tracing_subscriber::util::TryInitError),
    /// The variables `OTEL_*` cannot be used.
    #[error("traces cannot be exported: {0}")]
    Traces(#[from] traces::Error),
}

/// Who speaks, in traces and in metrics.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name; in traces where `OTEL_SERVICE_NAME` gives none.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Logs and traces of the whole process.
#[derive(Debug)]
pub struct Telemetry(Option<Provider>);

/// Starts logging for the whole process, and exporting traces where the environment asks for it. Within a tokio runtime.
pub fn init(log: &config::Log, program: Program, env: &BTreeMap<String, String>) -> Result<Telemetry, Error> {
    // What the exporter has to say of its settings comes before there is a log of the process.
    let early = tracing_subscriber::registry().with(lines(log));
    let provider = tracing::subscriber::with_default(early, || traces::provider(program, env))?;
    let exported = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(program.name))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layer.with_filter(filter_fn(|metadata| metadata.target() == trace::TARGET))
    });
    tracing_subscriber::registry().with(lines(log)).with(exported).try_init().map_err(Error::Log)?;
    log_panics();
    Ok(Telemetry(provider))
}

/// Lines on stderr. Spans for traces are no part of them, nor what the exporter says each time that it fails: that is said once.
fn lines<S>(log: &config::Log) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ours = |metadata: &Metadata<'_>| !matches!(metadata.target(), trace::TARGET | traces::NOISE);
    let filter = EnvFilter::new(&log.filter).and(filter_fn(ours));
    let layer = fmt::layer().with_span_events(FmtSpan::NONE).with_writer(std::io::stderr);
    match log.format {
        Format::Text => layer.with_ansi(log.color).with_filter(filter).boxed(),
        Format::Json => layer.json().with_filter(filter).boxed(),
    }
}

impl Telemetry {
    /// Sends what is left of the traces, as far as that goes within [`traces::FLUSH`]. To be called when all tasks have ended.
    pub async fn end(self) {
        if let Some(provider) = self.0 {
            provider.end().await;
        }
    }
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

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};

    use super::*;
    use crate::trace::spans;

    #[test]
    fn where_no_traces_are_exported_not_even_a_log_of_everything_takes_their_spans() {
        let log = config::Log { format: Format::Json, filter: "trace".to_owned(), color: false };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines(&log)), || {
            assert!(enabled!(Level::TRACE));
            assert!(!enabled!(target: trace::TARGET, Level::ERROR));
            assert!(spans::serve("GET", None, "1").is_disabled());
        });
    }
}
