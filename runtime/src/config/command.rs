//! `config check`: the command that judges a configuration, the same in every program.

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
