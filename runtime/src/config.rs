//! Configuration: flags over `PROMCAST_*` environment over a TOML file, with every error told at once.
//!
//! The sections that gateway and poller share stand here; each program adds its own. This is the only place that
//! reads the environment, but for the variables `OTEL_*`, most of which the SDK of OpenTelemetry reads by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use conf::introspection::ProgramOptionMeta;
use conf::{Conf, ConfSerde};

use crate::telemetry::Format;

pub mod bus;
pub mod command;
mod sections;

pub use bus::Bus;
pub use sections::{Admin, Log};

/// The exit code for a configuration that cannot be used (`EX_USAGE` of sysexits.h).
pub const EXIT_USAGE: u8 = 64;

/// What every variable of ours begins with.
const PREFIX: &str = "PROMCAST_";

/// Where configuration comes from; a test makes its own.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

impl Sources {
    /// Those of this process. A variable that is not Unicode is none of ours.
    pub fn of_process() -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { args: std::env::args_os().collect(), env }
    }

    /// The arguments with the command behind the options, where the parser wants it: people write it first, as in
    /// `config check --config gateway.toml`.
    fn ordered_args(&self) -> Vec<OsString> {
        let mut args = self.args.clone();
        let is_word = |arg: &&OsString| !arg.to_string_lossy().starts_with('-');
        let words = args.iter().skip(1).take_while(is_word).count();
        if let Some(rest) = args.get_mut(1..) {
            rest.rotate_left(words);
        }
        args
    }

    fn file(&self) -> Option<PathBuf> {
        conf::find_parameter("config", self.args.iter().cloned())
            .map(PathBuf::from)
            .or_else(|| self.env.get("PROMCAST_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from))
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("error: cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("error: {path} is not valid TOML\n{source}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// Variables that look like ours and are not.
    #[error("{0}")]
    UnknownVariables(String),
    /// Options that are missing, unknown or out of range: all of them. Or a request for help, which is no error.
    #[error("{0}")]
    Options(conf::Error),
}

impl Error {
    /// Prints it where it belongs, and gives the exit code for it.
    pub fn report(&self) -> ExitCode {
        if let Self::Options(error) = self {
            // Help and version go to stdout and are a success; nothing better can be done where that is closed.
            drop(error.print());
            if error.exit_code() == 0 {
                return ExitCode::SUCCESS;
            }
        } else {
            complain(&self.to_string());
        }
        ExitCode::from(EXIT_USAGE)
    }
}

/// Prints a sentence for the operator, before there is a log or beside it.
pub fn complain(message: &str) {
    #[expect(
        clippy::print_stderr,
        reason = "the log may not be set up yet, and this is for whoever started the program"
    )]
    {
        eprintln!("{message}");
    }
}

/// The configuration of a program from these sources.
pub fn load<C: Conf + ConfSerde>(sources: &Sources) -> Result<C, Error> {
    let unknown = unknown_variables::<C>(&sources.env);
    let builder = C::conf_builder().args(sources.ordered_args()).env(sources.env.clone());
    let loaded = match sources.file() {
        None => builder.try_parse(),
        Some(path) => builder.doc(path.display().to_string(), read(&path)?).try_parse(),
    };
    match (loaded, unknown) {
        (Ok(config), None) => Ok(config),
        (Err(error), None) => Err(Error::Options(error)),
        (Ok(_), Some(unknown)) => Err(Error::UnknownVariables(unknown)),
        (Err(error), Some(_)) if error.exit_code() == 0 => Err(Error::Options(error)),
        (Err(error), Some(unknown)) => Err(Error::UnknownVariables(format!("{error}\n{unknown}"))),
    }
}

fn read(path: &Path) -> Result<toml::Table, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|source| Error::NotToml { path: path.to_owned(), source })
}

/// A misspelt variable would be silently without effect, so every variable with our prefix must be one of ours.
fn unknown_variables<C: Conf>(env: &BTreeMap<String, String>) -> Option<String> {
    let known: BTreeSet<String> =
        C::program_options().filter_map(|option| option.env_form().map(ToString::to_string)).collect();
    let unknown: Vec<_> = env
        .iter()
        .filter(|(name, value)| name.starts_with(PREFIX) && !is_service_link(name, value))
        .map(|(name, _)| name)
        .filter(|name| !known.contains(*name))
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let lines = unknown
        .iter()
        .map(|name| format!("  environment variable `{name}` is not an option of this program\n"));
    Some(format!("error: unknown configuration\n{}", lines.collect::<String>()))
}

/// Kubernetes tells each container of the services beside it, and one of them may well be called `promcast-gateway`:
/// `…_SERVICE_HOST`, `…_SERVICE_PORT[_NAME]`, and `…_PORT=tcp://…` with its parts, `…_PORT_80_TCP[_ADDR]`.
fn is_service_link(name: &str, value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let is_part = |rest: &str| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && PROTOCOLS.iter().any(|known| protocol.starts_with(known))
    };
    let is_address =
        || PROTOCOLS.iter().any(|known| value.starts_with(&format!("{}://", known.to_lowercase())));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address())
        || name.rsplit_once("_PORT_").is_some_and(|(_, rest)| is_part(rest))
}
