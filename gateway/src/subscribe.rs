//! From the subscriptions that a client asks for to the topics that its connection reads, at its begin and later.

use std::sync::Arc;

use promcast_proto::control::{Changed, Resumed, Subscribed, Wanted};
use promcast_proto::problem;
use promcast_proto::tick::Tick;

use crate::auth::Sight;
use crate::connections::roster::Placed;
use crate::connections::{Change, Connections, Joined, Unchanged, Wish};
use crate::hub::{Hub, Resume, Signal};
use crate::scope::{self, Grant, Scope};
use crate::sse::event;

/// Why a client cannot have what it asks for. Nothing of it is carried out then.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// One of the queries.
    #[error("{}{source}", .id.as_deref().map(|id| format!("subscription `{id}`: ")).unwrap_or_default())]
    Query {
        /// Which, where there are several.
        id: Option<String>,
        /// What is wrong with it.
        source: scope::Error,
    },
    /// All of them together.
    #[error(transparent)]
    Unchanged(#[from] Unchanged),
}

impl Refused {
    /// The kind of problem that a client is told.
    pub fn kind(&self) -> problem::Type {
        match self {
            Self::Query { source, .. } => source.kind(),
            Self::Unchanged(Unchanged::Ended) => problem::Type::NotFound,
            Self::Unchanged(Unchanged::Conflict(_)) => problem::Type::InvalidParameter,
            Self::Unchanged(Unchanged::Full(_)) => problem::Type::UserLimit,
        }
    }
}

/// Subscribes connections to topics. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    scope: Scope,
    hub: Hub,
    connections: Connections,
}

impl Desk {
    /// Over these connections.
    pub fn new(scope: Scope, hub: Hub, connections: Connections) -> Self {
        Self { scope, hub, connections }
    }

    /// A grant for each of the queries, as far as `sight` goes.
    pub async fn grants(&self, sight: &Sight, wanted: &[Wanted]) -> Result<Vec<Grant>, Refused> {
        let mut grants = Vec::with_capacity(wanted.len());
        for subscription in wanted {
            let (datasource, query) = (subscription.datasource.clone(), subscription.query.clone());
            let grant = self.scope.authorise(sight, datasource, query).await;
            let id = (wanted.len() > 1).then(|| subscription.id.clone());
            grants.push(grant.map_err(|source| Refused::Query { id, source })?);
        }
        Ok(grants)
    }

    /// Joins the topics of those that have a place.
    pub fn join(
        &self,
        placed: Vec<Placed>,
        wanted: &[Wanted],
        grants: &[Grant],
        signal: &Arc<Signal>,
    ) -> Vec<Joined> {
        let join = |placed: Placed| {
            let (grant, subscription) = (grants.get(placed.wish)?, wanted.get(placed.wish)?);
            let (interval, after) = (subscription.interval, oldest(grant, wanted, grants));
            let (feed, resume) = self.hub.attach(grant, interval, after, signal.clone(), placed.place);
            Some(Joined { place: placed.place, feed, after, resume, seen: placed.seen })
        };
        placed.into_iter().filter_map(join).collect()
    }

    /// Changes the subscriptions of a connection of this user; nothing where it is not held here.
    pub async fn change(
        &self,
        connection: &str,
        user: Option<&str>,
        add: &[Wanted],
        remove: &[String],
    ) -> Result<Option<Changed>, Refused> {
        let Some(open) = self.connections.find(connection, user) else { return Ok(None) };
        let grants = self.grants(open.sight(), add).await?;
        let mut changed = Changed::default();
        open.amend(remove, &wishes(add, &grants), |diff, signal| {
            let joined = self.join(diff.joined, add, &grants, signal);
            changed = Changed { added: tell(add, &grants, &joined), removed: diff.removed };
            Change { left: diff.left, joined, event: event::subscriptions(&changed) }
        })?;
        Ok(Some(changed))
    }
}

/// The last tick that each of those who share a topic has seen: what one of them misses is sent to all.
fn oldest(grant: &Grant, wanted: &[Wanted], grants: &[Grant]) -> Option<Tick> {
    let sharing = wanted.iter().zip(grants).filter(|(_, other)| other.topic().key() == grant.topic().key());
    sharing.filter_map(|(subscription, _)| subscription.after).min()
}

/// What is wished for, by topic.
pub fn wishes(wanted: &[Wanted], grants: &[Grant]) -> Vec<Wish> {
    let wish = |(subscription, grant): (&Wanted, &Grant)| Wish {
        id: subscription.id.clone(),
        key: grant.topic().key(),
        interval: subscription.interval,
    };
    wanted.iter().zip(grants).map(wish).collect()
}

/// What the client is told of its subscriptions. One that shares a topic with another that was there before goes on live.
pub fn tell(wanted: &[Wanted], grants: &[Grant], joined: &[Joined]) -> Vec<Subscribed> {
    let tell = |(subscription, grant): (&Wanted, &Grant)| {
        let key = grant.topic().key();
        let joined = joined.iter().find(|joined| joined.feed.key() == key);
        Subscribed {
            id: subscription.id.clone(),
            topic: key,
            query: grant.given().to_owned(),
            datasource: grant.topic().datasource().clone(),
            interval: subscription.interval,
            resume: joined.map_or(Resumed::Live, |joined| resumed(joined.resume)),
        }
    };
    wanted.iter().zip(grants).map(tell).collect()
}

fn resumed(resume: Resume) -> Resumed {
    match resume {
        Resume::Live => Resumed::Live,
        Resume::Resumed => Resumed::Resumed,
        Resume::Gap(from, to) => Resumed::Gap { from, to },
    }
}
