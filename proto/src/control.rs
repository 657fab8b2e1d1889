//! Control messages between gateways: who holds a connection, and what shall become of it.

use serde::{Deserialize, Serialize};

use crate::problem;
use crate::tick::{Interval, Tick};
use crate::topic::{Datasource, Key};

/// What one gateway says to all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// I am here. Said every few seconds, so that each replica knows how many there are.
    Here {
        /// The replica's name.
        replica: String,
    },
    /// I am leaving.
    Leaving {
        /// The replica's name.
        replica: String,
    },
    /// Who is there, and which connections does each hold?
    Status {
        /// Only connections of this user; all where empty.
        user: Option<String>,
    },
    /// Whoever holds this connection closes it.
    Close {
        /// The connection id: a UUID in its usual print.
        connection: String,
        /// The user who asks; the holder refuses where the connection is another's.
        user: Option<String>,
    },
    /// Whoever holds this connection changes what it streams.
    Change {
        /// The connection id.
        connection: String,
        /// The user who asks; the holder refuses where the connection is another's.
        user: Option<String>,
        /// What it streams from now on.
        add: Vec<Wanted>,
        /// The names of what it streams no more.
        remove: Vec<String>,
    },
}

/// A subscription that a client asks for, as it was typed: whoever holds the connection says what its user may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The client's name for it.
    pub id: String,
    /// The query.
    pub query: String,
    /// How often.
    pub interval: Interval,
    /// Of which upstream.
    pub datasource: Datasource,
    /// The last tick that the client has seen.
    pub after: Option<Tick>,
}

/// What a gateway answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The connections that this replica holds.
    Status {
        /// The replica's name.
        replica: String,
        /// Its connections.
        connections: Vec<Connection>,
    },
    /// The connection was held here and is being closed.
    Closed,
    /// The connection is not held here, or not by this user.
    NotHeld,
    /// The connection was held here and is changed.
    Changed(Changed),
    /// The connection is held here, and cannot be changed so. Nothing of it was.
    Refused {
        /// The kind of problem.
        kind: problem::Type,
        /// What the client should change.
        detail: String,
    },
}

/// What became of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What is streamed from now on.
    pub added: Vec<Subscribed>,
    /// The names of what is streamed no more.
    pub removed: Vec<String>,
}

/// One subscription, as its client is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// The client's name for it, or its place in the request.
    pub id: String,
    /// The topic, as it stands in the events.
    pub topic: Key,
    /// The query as it was given.
    pub query: String,
    /// The upstream.
    pub datasource: Datasource,
    /// How often, in seconds.
    pub interval: Interval,
    /// Where it goes on.
    pub resume: Resumed,
}

/// Where a subscription goes on: `live`, `resumed`, or `gap` with the ticks that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Resumed {
    /// With the current tick.
    Live,
    /// After the tick that the client named.
    Resumed,
    /// Likewise, but without the ticks from `from` to `to`.
    Gap {
        /// The first tick that is lost.
        from: Tick,
        /// The last tick that is lost.
        to: Tick,
    },
}

/// One connection, as its replica sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The connection id.
    pub id: String,
    /// Whose it is; empty where there are no users.
    pub user: Option<String>,
    /// When it was opened.
    pub opened: Tick,
    /// What it streams.
    pub subscriptions: Vec<Subscription>,
}

/// One subscription of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The client's name for it.
    #[serde(default)]
    pub id: String,
    /// The topic.
    pub key: Key,
    /// How often.
    pub interval: Interval,
    /// The last tick delivered.
    pub last: Option<Tick>,
}
