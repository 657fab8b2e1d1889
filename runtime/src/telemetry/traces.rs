//! Where traces go: the standard variables `OTEL_*` of OpenTelemetry, and the exporter that they describe.
//!
//! Whether there is one is decided here. What the variables say of endpoint, protocol, headers, sampling, batches and resource
//! the SDK reads by itself, from the environment: that is the one exception to [`crate::config`].

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::warn;

use self::watched::Watched;
use super::Program;
use crate::tls;

mod watched;

/// How long the last spans are waited for when the program ends.
pub const FLUSH: Duration = Duration::from_secs(2);

/// The target of what the exporter logs each time that it fails.
pub(super) const NOISE: &str = "opentelemetry-otlp";

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another exporter than the one there is.
    #[error("OTEL_TRACES_EXPORTER is `{0}`; it can be `otlp` or `none`")]
    Exporter(String),
    /// Another protocol than those there are.
    #[error("{name} is `{value}`; it can be `grpc` or `http/protobuf`")]
    Protocol {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// An endpoint or another setting of the exporter.
    #[error("{0}")]
    Settings(#[from] ExporterBuildError),
    /// TLS towards the receiver.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The HTTP client.
    #[error("cannot set up the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// A thread ended early.
    #[error("cannot set up the HTTP client")]
    Thread,
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http,
}

/// What makes spans, and sends them.
#[derive(Debug)]
pub(super) struct Provider(SdkTracerProvider);

/// What the environment asks for; nothing where no traces are to be exported.
pub(super) fn provider(program: Program, env: &BTreeMap<String, String>) -> Result<Option<Provider>, Error> {
    let Some(protocol) = wanted(env)? else { return Ok(None) };
    let exporter = match protocol {
        Protocol::Grpc => {
            let tls = ClientTlsConfig::new().with_enabled_roots();
            SpanExporter::builder().with_tonic().with_tls_config(tls).build()?
        }
        Protocol::Http => SpanExporter::builder().with_http().with_http_client(http_client(env)?).build()?,
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(program, env))
        .with_batch_exporter(Watched::new(exporter))
        .build();
    Ok(Some(Provider(provider)))
}

/// Whether traces are exported, and how. Without a word on it they are not.
fn wanted(env: &BTreeMap<String, String>) -> Result<Option<Protocol>, Error> {
    let value = |name| value(env, name);
    if value("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    match (value("OTEL_TRACES_EXPORTER"), endpoint(env)) {
        (None, None) | (Some("none"), _) => return Ok(None),
        (Some("otlp"), _) | (None, Some(_)) => {}
        (Some(other), _) => return Err(Error::Exporter(other.to_owned())),
    }
    let protocol = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]
        .into_iter()
        .find_map(|name| Some((name, value(name)?)));
    match protocol {
        Some((_, "grpc")) => Ok(Some(Protocol::Grpc)),
        // The default that the specification asks for.
        Some((_, "http/protobuf")) | None => Ok(Some(Protocol::Http)),
        Some((name, other)) => Err(Error::Protocol { name, value: other.to_owned() }),
    }
}

/// What a variable says. An empty one says nothing.
fn value<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn endpoint(env: &BTreeMap<String, String>) -> Option<&str> {
    value(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| value(env, "OTEL_EXPORTER_OTLP_ENDPOINT"))
}

/// The exporter's thread is none of tokio's, so its client has a thread too. It must not be made on one of tokio's.
fn http_client(env: &BTreeMap<String, String>) -> Result<reqwest::blocking::Client, Error> {
    let tls = tls::client(endpoint(env).is_some_and(|url| url.starts_with("https:")), None)?;
    let make = move || reqwest::blocking::Client::builder().tls_backend_preconfigured(tls).build();
    Ok(std::thread::spawn(make).join().map_err(|_| Error::Thread)??)
}

/// What each span says of this program. The environment has the last word.
fn resource(program: Program, env: &BTreeMap<String, String>) -> Resource {
    let named = env.get("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let given = env.get("OTEL_RESOURCE_ATTRIBUTES").map(String::as_str).unwrap_or_default();
    let is_given = |key: &str| given.split(',').any(|pair| pair.trim().starts_with(&format!("{key}=")));
    let mut resource = Resource::builder();
    if !named && !is_given("service.name") {
        resource = resource.with_service_name(program.name);
    }
    if !is_given("service.version") {
        resource = resource.with_attribute(KeyValue::new("service.version", program.version));
    }
    resource.build()
}

impl Provider {
    pub(super) fn tracer(&self, name: &'static str) -> SdkTracer {
        self.0.tracer(name)
    }

    /// Sends what is left. It blocks, and the gRPC client needs tokio meanwhile.
    pub(super) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH)).await;
        if let Ok(Err(error)) = ended {
            warn!(%error, "the last traces were not exported");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(variables: &[(&str, &str)]) -> Result<Option<Protocol>, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        wanted(&variables.iter().map(own).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_exported_unless_somebody_asks_for_it() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for off in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
            &[endpoint, ("OTEL_SDK_DISABLED", "TRUE")],
        ] {
            assert_eq!(decided(off), Ok(None), "{off:?}");
        }
        for on in [
            &[endpoint][..],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")],
            &[("OTEL_TRACES_EXPORTER", "otlp")],
        ] {
            assert_eq!(decided(on), Ok(Some(Protocol::Http)), "{on:?}");
        }
    }

    #[test]
    fn the_protocol_of_traces_comes_before_that_of_everything() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let on = ("OTEL_TRACES_EXPORTER", "otlp");
        assert_eq!(decided(&[on, grpc]), Ok(Some(Protocol::Grpc)));
        let http = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(decided(&[on, grpc, http]), Ok(Some(Protocol::Http)));
    }

    #[test]
    fn what_cannot_be_had_is_told() {
        let told = decided(&[("OTEL_TRACES_EXPORTER", "zipkin")]);
        assert_eq!(told, Err("OTEL_TRACES_EXPORTER is `zipkin`; it can be `otlp` or `none`".to_owned()));
        let told = decided(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
        assert!(told.unwrap_err().starts_with("OTEL_EXPORTER_OTLP_PROTOCOL is `http/json`"));
    }

    #[test]
    fn a_span_says_of_which_program_it_is() {
        let program = Program { name: "promcast-poller", version: "1" };
        let service = |attributes: &str| {
            let env = [("OTEL_RESOURCE_ATTRIBUTES".to_owned(), attributes.to_owned())].into();
            let resource = resource(program, &env);
            resource.get(&"service.version".into()).map(|value| value.to_string())
        };
        assert_eq!(service("").as_deref(), Some("1"));
        assert_eq!(service("a=b, service.version=2"), None, "the SDK reads it from the environment itself");
    }
}
