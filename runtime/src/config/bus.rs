//! `[bus]`: where gateways and pollers meet.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use conf::Conf;
use secrecy::SecretString;

use crate::bus::nats::{self, Login, Options, Server};

/// `[bus]`: where gateways and pollers meet.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Bus::check)]
pub struct Bus {
    /// Addresses of the NATS servers, separated by commas, such as `nats://nats-0:4222,nats://nats-1:4222`; `tls://` for TLS.
    /// Without it the gateway runs a poller inside and needs no NATS; a poller by itself cannot run without.
    #[arg(long, env)]
    pub url: Option<String>,
    /// The user to log in as. Needs a password.
    #[arg(long, env)]
    pub user: Option<String>,
    /// The password of the user, as an environment variable or in the configuration file only. Prefer `password_file`.
    #[arg(env, secret, value_parser = secret, serde(use_value_parser))]
    pub password: Option<SecretString>,
    /// A file that holds the password of the user.
    #[arg(long, env)]
    pub password_file: Option<PathBuf>,
    /// A file that holds an authentication token.
    #[arg(long, env)]
    pub token_file: Option<PathBuf>,
    /// A NATS credentials file (a JWT and its nkey).
    #[arg(long, env)]
    pub credentials_file: Option<PathBuf>,
    /// A PEM file with the certificate authorities to trust instead of the system's.
    #[arg(long, env)]
    pub ca_file: Option<PathBuf>,
    /// The first tokens of the subjects on which replies come in, where the user may not subscribe to `_INBOX.>`.
    #[arg(long, env, default_value = "_INBOX")]
    pub inbox_prefix: String,
    /// How many servers hold a copy of each stream: 1, 3 or 5. Used by `init` alone.
    #[arg(long, env, default_value = "1")]
    pub replicas: u8,
}

/// Reads a secret that any text can be.
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// Why the section cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Addresses that are no such, by their place among all, which start at 1.
    #[error("{}", places(.bad, *.all))]
    Addresses {
        /// Each with its place.
        bad: Vec<(usize, nats::Error)>,
        /// How many there are.
        all: usize,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A user without a password.
    #[error("`bus.user` needs `bus.password_file`")]
    NoPassword,
    /// A password without a user.
    #[error("`bus.password` and `bus.password_file` need `bus.user`")]
    NoUser,
    /// Both ways to give a password.
    #[error("give `bus.password` or `bus.password_file`, not both")]
    TwoPasswords,
    /// A number of copies that JetStream does not take.
    #[error("`bus.replicas` is 1, 3 or 5, not {0}")]
    Replicas(u8),
}

impl Bus {
    /// How to reach NATS as a client of this name; nothing where no server is configured. Reads the files.
    pub fn options(&self, name: &str) -> Result<Option<Options>, Error> {
        let Some(url) = &self.url else { return Ok(None) };
        let mut options = Options::new(servers(url)?);
        options.login = self.login()?;
        options.token = self.token_file.as_deref().map(read_secret).transpose()?;
        options.credentials_file.clone_from(&self.credentials_file);
        options.ca_file.clone_from(&self.ca_file);
        options.inbox_prefix.clone_from(&self.inbox_prefix);
        name.clone_into(&mut options.name);
        Ok(Some(options))
    }

    /// What can be said without reading a file.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.url.as_deref().map(servers).transpose()?;
        match (&self.user, &self.password, &self.password_file) {
            (_, Some(_), Some(_)) => return Err(Error::TwoPasswords),
            (Some(_), None, None) => return Err(Error::NoPassword),
            (None, Some(_), None) | (None, None, Some(_)) => return Err(Error::NoUser),
            (Some(_), Some(_), None) | (Some(_), None, Some(_)) | (None, None, None) => {}
        }
        if matches!(self.replicas, 1 | 3 | 5) { Ok(()) } else { Err(Error::Replicas(self.replicas)) }
    }

    fn login(&self) -> Result<Option<Login>, Error> {
        let Some(user) = self.user.clone() else { return Ok(None) };
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(path)) => read_secret(path)?,
            (None, None) => return Err(Error::NoPassword),
        };
        Ok(Some(Login { user, password }))
    }
}

/// The servers, or all that is wrong with any of them.
fn servers(url: &str) -> Result<Vec<Server>, Error> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (position, text) in url.split(',').enumerate() {
        match text.parse() {
            Ok(server) => good.push(server),
            Err(error) => bad.push((position + 1, error)),
        }
    }
    let all = good.len() + bad.len();
    if bad.is_empty() { Ok(good) } else { Err(Error::Addresses { bad, all }) }
}

/// Says which addresses are bad by their place, because the text of one may hold a password.
fn places(bad: &[(usize, nats::Error)], all: usize) -> String {
    let told = |(place, error): &(usize, nats::Error)| match all {
        1 => format!("`bus.url`: {error}"),
        _ => format!("`bus.url`, address {place} of {all}: {error}"),
    };
    bad.iter().map(told).collect::<Vec<_>>().join(" | ")
}

/// A secret in a file, which editors end with a line break.
fn read_secret(path: &Path) -> Result<SecretString, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_are_separated_by_commas() {
        let servers = servers("nats://a:1, tls://b,c").unwrap();
        let printed: Vec<_> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["nats://a:1", "tls://b:4222", "nats://c:4222"]);
    }

    #[test]
    fn each_bad_server_is_told_by_its_place_and_without_its_text() {
        let told = servers("http://hunter2,nats://good,nats://me:hunter2@c,").unwrap_err().to_string();
        let places: Vec<_> = told.split(" | ").map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(
            places,
            ["`bus.url`, address 1 of 4", "`bus.url`, address 3 of 4", "`bus.url`, address 4 of 4"]
        );
        assert!(!told.contains("hunter2"), "{told}");
        let told = servers("http://a").unwrap_err().to_string();
        assert!(told.starts_with("`bus.url`: not the address of a NATS server"), "{told}");
    }
}
