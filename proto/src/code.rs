//! The closed lists of reasons that stand in events: clients branch on them, so a code is never renamed.

use serde::{Deserialize, Serialize};

/// Declares an enum of codes together with their one spelling, used in JSON, on the wire and as a metric label.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The spelling in events and metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    /// Why an evaluation failed; the `code` of an `error` event. The first five are Prometheus's own `errorType`s.
    ErrorCode {
        /// Prometheus could not make sense of the query (`bad_data`).
        BadData = "upstream_bad_data",
        /// The query failed while it ran (`execution`): too many samples, a many-to-many match, …
        Execution = "upstream_execution",
        /// The query did not finish in its time, whoever noticed first.
        Timeout = "upstream_timeout",
        /// Prometheus gave the query up (`canceled`).
        Canceled = "upstream_canceled",
        /// Prometheus failed inside (`internal`), or answered with a status of 500 or above that says no more.
        Internal = "upstream_internal",
        /// Nobody answers at the upstream's address.
        Unreachable = "upstream_unreachable",
        /// The upstream refused the gateway's credentials (401 or 403).
        Unauthorized = "upstream_unauthorized",
        /// The upstream asks to be left alone for a while (429 or 503 without an `errorType`).
        Overloaded = "upstream_overloaded",
        /// The answer is not one of the Prometheus HTTP API: a proxy's page, cut short, …
        Malformed = "upstream_malformed",
        /// The result has more bytes than the limit.
        TooLarge = "result_too_large",
        /// The result has more series than the limit.
        TooManySeries = "result_too_many_series",
        /// No poller answered, or the bus to them is out of reach. Said of asks alone: ticks wait.
        Unanswered = "poller_unanswered",
    }
}

impl ErrorCode {
    /// Whether the next tick may succeed with nobody changing the query or the configuration.
    pub fn retryable(self) -> bool {
        match self {
            Self::Timeout
            | Self::Canceled
            | Self::Internal
            | Self::Unreachable
            | Self::Unauthorized
            | Self::Overloaded
            | Self::Malformed
            | Self::Unanswered => true,
            Self::BadData | Self::Execution | Self::TooLarge | Self::TooManySeries => false,
        }
    }
}

codes! {
    /// Why updates are missing; the `reason` of a `gap` event.
    GapReason {
        /// They are older than what any replica still has or may ask for again.
        HistoryExpired = "history_expired",
        /// The client took too long to read them.
        SlowConsumer = "slow_consumer",
        /// The query runs longer than the interval, so ticks passed while it ran.
        UpstreamSlow = "upstream_slow",
        /// An outage outlasted what may be asked for again.
        RepairBudget = "repair_budget",
    }
}

codes! {
    /// Why the server ends a stream; the `code` of a `shutdown` event.
    ShutdownCode {
        /// This replica is going away.
        Draining = "draining",
        /// Somebody who may do so asked for it.
        ClosedByRequest = "closed_by_request",
        /// The caller's token is no longer valid.
        TokenExpired = "token_expired",
        /// The caller may no longer see what the stream shows.
        AccessRevoked = "access_revoked",
        /// Nobody who knows whether the caller may still see it could be asked.
        AccessUnconfirmed = "access_unconfirmed",
        /// The connection reached its lifetime; reconnecting spreads clients over the replicas anew.
        MaxLifetime = "max_lifetime",
        /// The client's socket took no byte for too long.
        WriteStalled = "write_stalled",
    }
}

impl ShutdownCode {
    /// The reason as a sentence for people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Draining => "this replica is shutting down",
            Self::ClosedByRequest => "the stream was closed by request",
            Self::TokenExpired => "the token has expired",
            Self::AccessRevoked => "access was revoked",
            Self::AccessUnconfirmed => "access could not be confirmed",
            Self::MaxLifetime => "the stream has reached its lifetime",
            Self::WriteStalled => "the client took no bytes for too long",
        }
    }

    /// Whether the client should come back.
    pub fn reconnect(self) -> bool {
        match self {
            Self::Draining | Self::AccessUnconfirmed | Self::MaxLifetime | Self::WriteStalled => true,
            Self::ClosedByRequest | Self::TokenExpired | Self::AccessRevoked => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_is_spelled_one_way_everywhere() {
        let mut seen = HashSet::new();
        for code in ErrorCode::ALL {
            let wire = rmp_serde::to_vec_named(code).unwrap();
            assert_eq!(rmp_serde::from_slice::<String>(&wire).unwrap(), code.as_str());
            assert!(seen.insert(code.as_str()));
        }
    }
}
