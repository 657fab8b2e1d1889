//! From claims to how far somebody sees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::claims::{Claim, Claims};
use crate::auth::refusal::Reason;
use crate::auth::sight::{Namespace, Namespaces, Sight};

/// What claims give whom. Nothing is given by default.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The claim with names of namespaces: a list, or a text with spaces between them.
    pub namespaces: Option<Claim>,
    /// The claim with groups: a list, or a text that is one group, spaces and all.
    pub groups: Claim,
    /// The namespaces of a group.
    pub group_namespaces: BTreeMap<String, Namespaces>,
    /// Groups that see everything.
    pub admins: BTreeSet<String>,
}

impl Reach {
    /// How far the bearer of these claims sees, and how many names of namespaces are none and were left out. To leave one
    /// out can only narrow. A claim that is there and of another kind is refused: it was meant to say something.
    pub(super) fn sight(&self, claims: &Claims) -> Result<(Option<Sight>, usize), Reason> {
        let groups = self.groups(claims)?;
        if groups.iter().any(|group| self.admins.contains(*group)) {
            return Ok((Some(Sight::All), 0));
        }
        let named = self.named(claims)?;
        let good: Vec<Namespace> = named.iter().filter_map(|name| name.parse().ok()).collect();
        let ignored = named.len() - good.len();
        let mapped = groups.iter().filter_map(|group| self.group_namespaces.get(*group));
        let all = good.into_iter().chain(mapped.flat_map(Namespaces::iter).cloned());
        Ok((Namespaces::new(all).map(Sight::Only), ignored))
    }

    /// The groups, where anything hangs on them.
    fn groups<'a>(&self, claims: &'a Claims) -> Result<Vec<&'a str>, Reason> {
        if self.group_namespaces.is_empty() && self.admins.is_empty() {
            return Ok(Vec::new());
        }
        match self.groups.of(claims) {
            None => Ok(Vec::new()),
            // One group, and not several with spaces between: a part of a name must not be taken for another group.
            Some(Value::String(group)) => Ok(vec![group]),
            Some(value) => list(value),
        }
    }

    fn named<'a>(&self, claims: &'a Claims) -> Result<Vec<&'a str>, Reason> {
        match self.namespaces.as_ref().and_then(|claim| claim.of(claims)) {
            None => Ok(Vec::new()),
            Some(Value::String(names)) => Ok(names.split(' ').filter(|name| !name.is_empty()).collect()),
            Some(value) => list(value),
        }
    }
}

fn list(value: &Value) -> Result<Vec<&str>, Reason> {
    let items = value.as_array().ok_or(Reason::Claims)?;
    items.iter().map(|item| item.as_str().ok_or(Reason::Claims)).collect()
}
