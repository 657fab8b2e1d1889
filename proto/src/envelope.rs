//! Messages in bytes: MessagePack with named fields, inside an envelope that carries the major version.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// The major version written by this release, and the only one that it reads.
pub const VERSION: u16 = 1;

/// Why bytes are not a message of this release.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another major version.
    #[error(
        "message of wire version {0}; this release reads version {VERSION}: run neighbouring releases only"
    )]
    Version(u16),
    /// Not MessagePack, or not of the expected shape.
    #[error("message is not a wire envelope")]
    Malformed(#[source] rmp_serde::decode::Error),
    /// The message cannot be written. No message type of this crate can cause it.
    #[error("message cannot be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    v: u16,
    m: &'a T,
}

#[derive(Deserialize)]
struct Head {
    v: u16,
    #[serde(default, rename = "m")]
    _message: IgnoredAny,
}

#[derive(Deserialize)]
struct Incoming<T> {
    m: T,
}

/// The bytes of `message`.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec_named(&Outgoing { v: VERSION, m: message }).map_err(Error::Encode)
}

/// The message in `bytes`. The version is judged before the shape, so that a newer peer is named as such.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let head: Head = rmp_serde::from_slice(bytes).map_err(Error::Malformed)?;
    if head.v != VERSION {
        return Err(Error::Version(head.v));
    }
    let incoming: Incoming<T> = rmp_serde::from_slice(bytes).map_err(Error::Malformed)?;
    Ok(incoming.m)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::Job;

    #[derive(Serialize)]
    struct Newer {
        v: u16,
        m: NewerJob,
        added_outside: &'static str,
    }

    #[derive(Serialize)]
    struct NewerJob {
        datasource: &'static str,
        query: &'static str,
        tick: i64,
        timeout_ms: u32,
        added_inside: Vec<u8>,
    }

    fn newer(v: u16) -> Vec<u8> {
        let m = NewerJob {
            datasource: "default",
            query: "up",
            tick: 7,
            timeout_ms: 10_000,
            added_inside: vec![1, 2],
        };
        rmp_serde::to_vec_named(&Newer { v, m, added_outside: "x" }).unwrap()
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let job: Job = decode(&newer(VERSION)).unwrap();
        assert_eq!(job.query, "up");
    }

    #[test]
    fn an_unknown_major_version_is_refused_by_name() {
        let error = decode::<Job>(&newer(VERSION + 1)).unwrap_err();
        assert!(matches!(error, Error::Version(2)), "{error}");
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(decode::<Job>(&bytes));
        }
    }
}
