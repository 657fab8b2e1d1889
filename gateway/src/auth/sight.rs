//! How far somebody sees: over all namespaces, or over some.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name of a namespace, in bytes (RFC 1123 label, as Kubernetes has it).
const NAME_MAX: usize = 63;

/// The name of a Kubernetes namespace: an RFC 1123 label, so it means itself in a regular expression too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

/// The text is no name of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a namespace has 1 to 63 lower-case letters, digits and dashes, and begins and ends with a letter or a digit"
)]
pub struct NotANamespace;

impl Namespace {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = NotANamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=NAME_MAX).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if good { Ok(Self(text.into())) } else { Err(NotANamespace) }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// At least one namespace. That there is none is never a set: an empty matcher would select what has no namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespaces(BTreeSet<Namespace>);

impl Namespaces {
    /// Those of `names`, unless there are none.
    pub fn new(names: impl IntoIterator<Item = Namespace>) -> Option<Self> {
        let names: BTreeSet<_> = names.into_iter().collect();
        (!names.is_empty()).then_some(Self(names))
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Namespace> {
        self.0.iter()
    }

    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `name` is among them.
    pub fn contains(&self, name: &Namespace) -> bool {
        self.0.contains(name)
    }
}

/// How far somebody sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// Every namespace, and what has none.
    All,
    /// These namespaces and nothing else.
    Only(Namespaces),
}

impl fmt::Display for Sight {
    /// For logs: `all`, or the namespaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(names) => {
                for (place, name) in names.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "," };
                    write!(f, "{comma}{name}")?;
                }
                Ok(())
            }
        }
    }
}

impl Sight {
    /// Whether all that `other` sees is seen.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(own), Self::Only(others)) => others.iter().all(|name| own.contains(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rfc_1123_labels() {
        for good in ["a", "team-a", "0", "a--b", &"a".repeat(63)] {
            assert_eq!(good.parse::<Namespace>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a|b", ".*", "a\n", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn no_namespaces_are_no_set() {
        assert_eq!(Namespaces::new([]), None);
        let twice = ["b", "a", "b"].map(|name| name.parse().unwrap());
        let names = Namespaces::new(twice).unwrap();
        assert_eq!(names.iter().map(Namespace::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn one_sight_covers_another_where_it_has_all_of_it() {
        let only = |names: &[&str]| {
            Sight::Only(Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap())
        };
        assert!(Sight::All.covers(&Sight::All) && Sight::All.covers(&only(&["a"])));
        assert!(only(&["a", "b"]).covers(&only(&["b"])) && only(&["a"]).covers(&only(&["a"])));
        assert!(!only(&["a"]).covers(&Sight::All) && !only(&["a"]).covers(&only(&["a", "b"])));
    }
}
