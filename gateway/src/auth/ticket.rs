//! Tickets: what a page shows in a URL where it cannot send a token, as with a browser's own `EventSource`.
//!
//! A ticket is good for half a minute, for the queries of one stream and for what its holder saw when it was given out. Any
//! replica with the same key takes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::{Access, Caller, Denied, Namespace, Namespaces, Reason, Sight};

/// How long a ticket may be shown.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// The fewest bytes of a key. A key of that many random bytes cannot be guessed.
const KEY_BYTES_MIN: usize = 32;

/// The most bytes of a key's file: more is no key.
const KEY_BYTES_MAX: usize = 4096;

/// The longest text that is looked at. One with fifty namespaces of the longest names has some 5,000 characters.
const CHARS_MAX: usize = 8 * 1024;

/// What keys are derived for: tickets of this form, and nothing else.
const PURPOSE: &str = "promcast gateway 2026-11 stream ticket v2";

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read `auth.ticket_key_file` {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is too short to be a secret, or too long to be a key.
    #[error("`auth.ticket_key_file` must hold {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes")]
    Length,
}

/// Gives out tickets and takes them. Cheap to clone.
#[derive(Clone)]
pub struct Tickets {
    key: Arc<[u8; 32]>,
    /// How long what was granted on a ticket holds: it cannot be confirmed again.
    holds: Duration,
}

/// What is signed.
#[derive(Serialize, Deserialize)]
struct Ticket {
    /// Until when it may be shown.
    until: Tick,
    /// Until when what is granted on it holds.
    holds: Tick,
    user: Option<String>,
    admin: bool,
    /// None for all.
    namespaces: Option<Vec<String>>,
    /// The hash of the datasources and queries.
    subject: [u8; 32],
}

impl Tickets {
    /// With the key in a file, which all replicas share.
    pub fn with_key_of(file: &Path, holds: Duration) -> Result<Self, KeyError> {
        let secret =
            std::fs::read(file).map_err(|source| KeyError::File { path: file.to_owned(), source })?;
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&secret.len()) {
            return Err(KeyError::Length);
        }
        Ok(Self { key: Arc::new(blake3::derive_key(PURPOSE, &secret)), holds })
    }

    /// With a key that nobody else has: enough for a gateway that is alone.
    pub fn with_own_key(holds: Duration) -> Self {
        Self { key: Arc::new(rand::rng().random()), holds }
    }

    /// A ticket for these queries, in this order.
    pub fn give(&self, access: &Access, queries: &[(&Datasource, &str)], now: Tick) -> String {
        let holds = plus(now, self.holds);
        let (user, admin) = match &access.caller {
            Caller::Anonymous => (None, false),
            Caller::User { name, admin } => (Some(name.to_string()), *admin),
        };
        let namespaces = match &access.sight {
            Sight::All => None,
            Sight::Only(names) => Some(names.iter().map(|name| name.as_str().to_owned()).collect()),
        };
        let ticket = Ticket {
            until: access.expires.map_or(plus(now, LIFETIME), |end| end.min(plus(now, LIFETIME))),
            holds: access.expires.map_or(holds, |end| end.min(holds)),
            user,
            admin,
            namespaces,
            subject: subject(queries),
        };
        // A plain struct of texts and numbers: writing it cannot fail.
        let mut text = serde_json::to_vec(&ticket).unwrap_or_default();
        let seal = blake3::keyed_hash(&self.key, &text);
        text.extend_from_slice(seal.as_bytes());
        BASE64URL_NOPAD.encode(&text)
    }

    /// What was granted on a ticket, where it counts for these queries.
    pub fn take(&self, text: &str, queries: &[(&Datasource, &str)], now: Tick) -> Result<Access, Denied> {
        let ticket = self.open(text).ok_or(Denied::Refused(Reason::Malformed))?;
        if ticket.until <= now {
            return Err(Denied::Refused(Reason::Expired));
        }
        if ticket.subject != subject(queries) {
            return Err(Denied::Refused(Reason::Claims));
        }
        let sight = match ticket.namespaces {
            None => Sight::All,
            Some(names) => {
                let names = names.iter().map(|name| name.parse()).collect::<Result<Vec<Namespace>, _>>();
                let names = names.ok().and_then(Namespaces::new).ok_or(Denied::Refused(Reason::Malformed))?;
                Sight::Only(names)
            }
        };
        let caller = match ticket.user {
            None => Caller::Anonymous,
            Some(name) => Caller::User { name: name.into(), admin: ticket.admin },
        };
        Ok(Access { caller, sight, expires: Some(ticket.holds) })
    }

    fn open(&self, text: &str) -> Option<Ticket> {
        if text.len() > CHARS_MAX {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (text, seal) = bytes.split_last_chunk::<32>()?;
        // Comparing blake3's hashes takes the same time wherever they differ.
        (blake3::keyed_hash(&self.key, text) == *seal).then(|| serde_json::from_slice(text).ok())?
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}

fn plus(tick: Tick, duration: Duration) -> Tick {
    tick.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4))
}

fn subject(queries: &[(&Datasource, &str)]) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    for (datasource, query) in queries {
        // No name of a datasource has a line break in it, and the length says where the query ends.
        hash.update(format!("{datasource}\n{}\n{query}", query.len()).as_bytes());
    }
    *hash.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_764_000_000_000;

    fn now(seconds: i64) -> Tick {
        Tick::from_millis(NOW + seconds * 1000)
    }

    fn access(expires: Option<Tick>) -> Access {
        let names = ["team-a", "team-b"].map(|name| name.parse().unwrap());
        let caller = Caller::User { name: "ann".into(), admin: false };
        Access { caller, sight: Sight::Only(Namespaces::new(names).unwrap()), expires }
    }

    fn tickets() -> Tickets {
        Tickets::with_own_key(Duration::from_secs(300))
    }

    fn give(tickets: &Tickets, expires: Option<Tick>) -> String {
        tickets.give(&access(expires), &[(&Datasource::default(), "up")], now(0))
    }

    #[test]
    fn a_ticket_gives_what_its_holder_had_and_no_longer_than_it_holds() {
        let tickets = tickets();
        let taken = tickets.take(&give(&tickets, None), &[(&Datasource::default(), "up")], now(29)).unwrap();
        assert_eq!(taken, access(Some(now(300))));
        let taken = tickets.take(&give(&tickets, Some(now(20))), &[(&Datasource::default(), "up")], now(19));
        assert_eq!(taken.unwrap().expires, Some(now(20)));
    }

    #[test]
    fn it_is_for_half_a_minute_one_query_and_one_datasource() {
        let tickets = tickets();
        let ticket = give(&tickets, None);
        let other: Datasource = "other".parse().unwrap();
        for (datasource, query, at, reason) in [
            (&Datasource::default(), "up", 30, Reason::Expired),
            (&Datasource::default(), "up ", 1, Reason::Claims),
            (&other, "up", 1, Reason::Claims),
        ] {
            let taken = tickets.take(&ticket, &[(datasource, query)], now(at));
            assert_eq!(taken, Err(Denied::Refused(reason)));
        }
        let expired = tickets.take(&give(&tickets, Some(now(5))), &[(&Datasource::default(), "up")], now(5));
        assert_eq!(expired, Err(Denied::Refused(Reason::Expired)));
    }

    #[test]
    fn it_is_for_all_queries_of_a_stream_in_their_order() {
        let (tickets, ours, other) = (tickets(), Datasource::default(), "other".parse().unwrap());
        let ticket = tickets.give(&access(None), &[(&ours, "a"), (&other, "b")], now(0));
        let take = |queries: &[(&Datasource, &str)]| tickets.take(&ticket, queries, now(1)).is_ok();
        assert!(take(&[(&ours, "a"), (&other, "b")]));
        for queries in [
            &[(&other, "b"), (&ours, "a")][..],
            &[(&ours, "a")],
            &[(&ours, "a"), (&ours, "b")],
            &[(&ours, "a"), (&other, "b"), (&ours, "c")],
            &[(&ours, "aother\n1\nb")],
            &[],
        ] {
            assert!(!take(queries), "{queries:?}");
        }
    }

    #[test]
    fn a_ticket_of_another_key_does_not_count() {
        let taken = tickets().take(&give(&tickets(), None), &[(&Datasource::default(), "up")], now(1));
        assert_eq!(taken, Err(Denied::Refused(Reason::Malformed)));
    }

    #[test]
    fn a_key_is_long_enough_to_be_a_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; KEY_BYTES_MIN - 1]).unwrap();
        assert!(matches!(Tickets::with_key_of(file.path(), LIFETIME), Err(KeyError::Length)));
        std::fs::write(file.path(), [7; KEY_BYTES_MIN]).unwrap();
        let (one, two) = (
            Tickets::with_key_of(file.path(), LIFETIME).unwrap(),
            Tickets::with_key_of(file.path(), LIFETIME).unwrap(),
        );
        one.take(&give(&two, None), &[(&Datasource::default(), "up")], now(1)).unwrap();
    }

    proptest! {
        #[test]
        fn no_change_to_a_ticket_is_taken(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let tickets = tickets();
            let ticket = give(&tickets, None);
            let mut changed = ticket.clone();
            let at = at.index(ticket.len());
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != ticket);
            prop_assert!(tickets.take(&changed, &[(&Datasource::default(), "up")], now(1)).is_err());
        }
    }
}
