//! `[auth.kubernetes]`: how the Kubernetes API server is asked who somebody is and what they may see.

use std::path::PathBuf;
use std::time::Duration;

use conf::Conf;

use crate::auth::kubernetes::{Listing, Settings};

/// The longest that an answer may be kept: a right that was taken away counts for so long.
const KEEP_MAX: Duration = Duration::from_secs(3600);

/// `[auth.kubernetes]`: how the Kubernetes API server is asked who somebody is and what they may see.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Kubernetes::check)]
pub struct Kubernetes {
    /// A kubeconfig file with the API server and the gateway's credentials for it. Without it both are those of the pod's service
    /// account.
    #[arg(long, env)]
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig. Without it the file's current one.
    #[arg(long, env)]
    pub context: Option<String>,
    /// The audiences that tokens may be issued for, separated by commas: a token must name one of them. Without any, tokens are those
    /// for the API server itself, as `kubectl` and OpenShift's OAuth use them.
    #[conf(repeat, long, env, env_delimiter = ',')]
    pub audiences: Vec<String>,
    /// Where the namespaces of a user come from who does not see all and names none: `none`, and then they must be named; or
    /// `projects`, OpenShift's list of projects, read with the user's own token.
    #[arg(long, env, default_value = "none", serde(use_value_parser))]
    pub listing: Listing,
    /// How many namespaces one request may name, or the list may have, where the user does not see all. Each takes a review.
    #[arg(long, env, default_value = "50")]
    pub max_namespaces: usize,
    /// How long a review may take; then the answer to the client is that the API server cannot be asked.
    #[arg(long, env, default_value = "5s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub timeout: Duration,
    /// How many reviews are under way at a time. Others wait, within their timeout.
    #[arg(long, env, default_value = "32")]
    pub concurrency: usize,
    /// How long it is kept whose token it is. A token that is taken back counts for so long. At most an hour.
    #[arg(long, env, default_value = "2m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub identity_for: Duration,
    /// How long a yes is kept. A right that is taken away counts for so long. At most an hour.
    #[arg(long, env, default_value = "5m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub allowed_for: Duration,
    /// How long a no is kept. A right that is given takes so long to count. At most an hour.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub denied_for: Duration,
    /// How many answers of each kind are kept: identities, rights, lists of projects.
    #[arg(long, env, default_value = "10000")]
    pub cache_entries: u64,
}

/// An option that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// A context needs a file to be in.
    #[error("`auth.kubernetes.context` needs `auth.kubernetes.kubeconfig`")]
    ContextWithoutFile,
    /// An audience that no token can name.
    #[error("`auth.kubernetes.audiences` has an empty name in it")]
    EmptyAudience,
    /// Nothing could be asked.
    #[error(
        "`auth.kubernetes.timeout`, `concurrency`, `max_namespaces` and `cache_entries` must be above zero"
    )]
    Zero,
    /// What was taken away would count for too long.
    #[error("`auth.kubernetes.identity_for`, `allowed_for` and `denied_for` are at most an hour")]
    TooLong,
}

impl Kubernetes {
    /// The same, as the reviewer takes it.
    pub fn settings(&self) -> Settings {
        Settings {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            audiences: self.audiences.clone(),
            listing: self.listing,
            max_namespaces: self.max_namespaces,
            timeout: self.timeout,
            concurrency: self.concurrency,
            identity_for: self.identity_for,
            allowed_for: self.allowed_for,
            denied_for: self.denied_for,
            cache_entries: self.cache_entries,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        let counts = self.concurrency.min(self.max_namespaces);
        if self.context.is_some() && self.kubeconfig.is_none() {
            Err(Invalid::ContextWithoutFile)
        } else if self.audiences.iter().any(String::is_empty) {
            Err(Invalid::EmptyAudience)
        } else if self.timeout.is_zero() || counts == 0 || self.cache_entries == 0 {
            Err(Invalid::Zero)
        } else if [self.identity_for, self.allowed_for, self.denied_for].iter().any(|time| *time > KEEP_MAX) {
            Err(Invalid::TooLong)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Kubernetes, conf::Error> {
        let args = std::iter::once("test").chain(flags.iter().copied()).map(Into::into);
        let none: [(String, String); 0] = [];
        Kubernetes::conf_builder().args(args.collect::<Vec<std::ffi::OsString>>()).env(none).try_parse()
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = parse(&[]).unwrap().settings();
        let times = [settings.identity_for, settings.allowed_for, settings.denied_for, settings.timeout];
        assert_eq!(times, [120, 300, 30, 5].map(Duration::from_secs));
        assert_eq!((settings.listing, settings.max_namespaces), (Listing::None, 50));
        assert!(settings.audiences.is_empty() && settings.kubeconfig.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (flags, part) in [
            (["--context", "admin"], "kubeconfig"),
            (["--audiences", ""], "empty"),
            (["--timeout", "0s"], "above zero"),
            (["--max-namespaces", "0"], "above zero"),
            (["--concurrency", "0"], "above zero"),
            (["--cache-entries", "0"], "above zero"),
            (["--allowed-for", "61m"], "an hour"),
            (["--listing", "all"], "projects"),
        ] {
            let error = parse(&flags).unwrap_err().to_string();
            assert!(error.contains(part), "{part} is not told in:\n{error}");
        }
    }
}
