//! The commands that every program has: `config check` judges a configuration, `healthcheck` asks a running program.

use std::fmt::Display;
use std::process::ExitCode;

use conf::{Conf, Subcommands};

use super::{EXIT_USAGE, complain};

/// Work with the configuration.
#[derive(Clone, Debug, Conf)]
pub struct ConfigCommand {
    /// What to do with it.
    #[conf(subcommands)]
    pub action: ConfigAction,
}

/// What can be done with the configuration.
#[derive(Clone, Copy, Debug, Subcommands)]
pub enum ConfigAction {
    /// Say whether it can be used, and what is wrong with it. Reads the files it names, and connects to nothing.
    Check,
}

/// Ask the program that runs with this configuration whether it is well.
#[derive(Clone, Debug, Conf)]
pub struct HealthCommand {
    /// What to ask. Default: `ready`.
    #[conf(subcommands)]
    pub question: Option<Health>,
}

impl HealthCommand {
    /// What to ask.
    pub fn health(&self) -> Health {
        self.question.unwrap_or(Health::Ready)
    }
}

/// What can be asked of a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommands)]
pub enum Health {
    /// Whether it should get new work: its bus is usable and it is not going away.
    Ready,
    /// Whether it runs at all.
    Healthy,
}

impl Health {
    /// The path on the admin listener.
    pub fn path(self) -> &'static str {
        match self {
            Self::Ready => "/-/ready",
            Self::Healthy => "/-/healthy",
        }
    }
}

/// Says what is wrong with a configuration that could be read, all of it, or that nothing is.
pub fn judge(mistakes: impl IntoIterator<Item = impl Display>) -> ExitCode {
    let mut mistakes = mistakes.into_iter().peekable();
    if mistakes.peek().is_none() {
        complain("the configuration is good");
        return ExitCode::SUCCESS;
    }
    for mistake in mistakes {
        complain(&format!("error: {mistake}"));
    }
    ExitCode::from(EXIT_USAGE)
}
