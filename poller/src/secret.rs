//! A secret in a file that somebody else renews, such as a projected service-account token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

/// How old what was read may get. Reading a small file is cheap next to the query it goes with; most file systems
/// cannot tell reliably whether a file changed, so it is read and not just looked at.
pub const FRESH_FOR: Duration = Duration::from_secs(2);

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it but white space.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// A line break or the like in the middle: such a value cannot stand in a header.
    #[error("{0} holds more than one line, or control characters")]
    NotOneLine(PathBuf),
}

/// The current content of a file, without white space around it.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    value: SecretString,
    read: Instant,
    /// Whether the last try failed: said once.
    failing: bool,
}

impl File {
    /// Reads the file for the first time; that must succeed.
    pub fn open(path: PathBuf) -> Result<Self, Error> {
        let value = checked(&path, std::fs::read_to_string(&path))?;
        Ok(Self { path, last: Mutex::new(Last { value, read: Instant::now(), failing: false }) })
    }

    /// What the file holds, at most [`FRESH_FOR`] ago. Where it cannot be read now, what it held last.
    pub async fn current(&self) -> SecretString {
        let mut last = self.last.lock().await;
        if last.read.elapsed() >= FRESH_FOR {
            let read = checked(&self.path, tokio::fs::read_to_string(&self.path).await);
            last.read = Instant::now();
            match read {
                Ok(value) => *last = Last { value, read: last.read, failing: false },
                Err(error) => {
                    if !last.failing {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "keeping the last value of a secret file"
                        );
                    }
                    last.failing = true;
                }
            }
        }
        last.value.clone()
    }
}

fn checked(path: &Path, read: std::io::Result<String>) -> Result<SecretString, Error> {
    let text = read.map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    match text.trim() {
        "" => Err(Error::Empty(path.to_owned())),
        text if text.contains(char::is_control) => Err(Error::NotOneLine(path.to_owned())),
        text => Ok(SecretString::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_and_a_broken_file_is_outlived() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let file = File::open(path.clone()).unwrap();
        std::fs::write(&path, " two \n").unwrap();
        assert_eq!(file.current().await.expose_secret(), "one");
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(file.current().await.expose_secret(), "two");
        for broken in ["", "a\nb"] {
            std::fs::write(&path, broken).unwrap();
            tokio::time::advance(FRESH_FOR).await;
            assert_eq!(file.current().await.expose_secret(), "two");
        }
        assert!(!format!("{file:?}").contains("two"));
    }

    #[test]
    fn the_first_read_must_succeed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(matches!(File::open(path.clone()), Err(Error::Unreadable { .. })));
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(File::open(path), Err(Error::Empty(_))));
    }
}
