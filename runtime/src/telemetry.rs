//! Logs and traces: one subscriber for the program. Logs go to stderr, as text for people or JSON for machines; traces go where
//! the standard variables `OTEL_*` say, if anywhere.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::str::FromStr;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Metadata, error};
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use self::traces::Provider;
use crate::{config, trace};

pub mod traces;

/// A layer with a filter of its own.
type Filtered = Box<dyn Layer<Registry> + Send + Sync>;

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
    let layers = layers(log, provider.as_ref().map(|provider| spans(provider.tracer(program.name))));
    tracing_subscriber::registry().with(layers).try_init().map_err(Error::Log)?;
    log_panics();
    Ok(Telemetry(provider))
}

/// All layers. Each has a filter of its own; one without, and be it an `Option` with no layer in it, would have the registry keep
/// every span of every library.
fn layers(log: &config::Log, spans: Option<Filtered>) -> Vec<Filtered> {
    std::iter::once(lines(log)).chain(spans).collect()
}

/// What goes to the exporter: spans of ours for traces, and nothing else.
fn spans(tracer: SdkTracer) -> Filtered {
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    layer.with_filter(Targets::new().with_target(trace::TARGET, Level::TRACE)).boxed()
}

/// Lines on stderr. Spans for traces are no part of them, nor what the exporter says each time that it fails: that is said once.
fn lines(log: &config::Log) -> Filtered {
    let ours = |metadata: &Metadata<'_>| !matches!(metadata.target(), trace::TARGET | traces::NOISE);
    // Without a hint of its own it would take the other's away, and each call would be looked at anew.
    let ours = filter_fn(ours).with_max_level_hint(LevelFilter::TRACE);
    let filter = EnvFilter::new(&log.filter).and(ours);
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
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::enabled;

    use super::*;
    use crate::trace;

    /// Which spans are taken is remembered by the process, of which other subscribers are a part: so one after the other.
    #[test]
    fn each_layer_takes_what_is_for_it_and_nobody_takes_the_rest() {
        where_no_traces_are_exported_not_even_a_log_of_everything_takes_their_spans();
        what_libraries_say_for_their_own_developers_is_not_even_looked_at();
    }

    fn where_no_traces_are_exported_not_even_a_log_of_everything_takes_their_spans() {
        let log = config::Log { format: Format::Json, filter: "trace".to_owned(), color: false };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines(&log)), || {
            assert!(enabled!(Level::TRACE));
            assert!(!enabled!(target: trace::TARGET, Level::ERROR));
            assert!(trace::spans::serve("GET", None, "1").is_disabled());
        });
    }

    fn what_libraries_say_for_their_own_developers_is_not_even_looked_at() {
        let log = config::Log { format: Format::Json, filter: "info".to_owned(), color: false };
        let provider = SdkTracerProvider::default();
        for exported in [false, true] {
            let spans = exported.then(|| spans(provider.tracer("test")));
            let subscriber = tracing_subscriber::registry().with(layers(&log, spans));
            tracing::subscriber::with_default(subscriber, || {
                for span in [tracing::trace_span!(target: "h2", "a"), tracing::debug_span!(target: "h2", "b")]
                {
                    assert!(span.is_disabled(), "exported: {exported}");
                }
                assert!(enabled!(Level::INFO) && !enabled!(target: "h2", Level::DEBUG));
                assert_eq!(trace::spans::serve("GET", None, "1").is_disabled(), !exported);
            });
        }
    }
}
