//! Control messages between gateways: who holds a connection, and what shall become of it.

use serde::{Deserialize, Serialize};

use crate::tick::{Interval, Tick};
use crate::topic::Key;

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
    /// The topic.
    pub key: Key,
    /// How often.
    pub interval: Interval,
    /// The last tick delivered.
    pub last: Option<Tick>,
}
