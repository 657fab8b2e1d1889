//! `[stream]`: what streams may cost, and how they behave over time.

use std::num::NonZeroU32;
use std::time::Duration;

use conf::Conf;
use promcast_proto::cursor::SUBSCRIPTIONS_MAX;
use promcast_proto::tick::Interval;

/// `[stream]`: what streams may cost, and how they behave over time.
#[derive(Clone, Debug, Conf)]
#[conf(serde, validation_predicate = Stream::check)]
pub struct Stream {
    /// Streams that this replica holds at most. Beyond, it answers 503 with a Retry-After.
    #[arg(long, env, default_value = "100")]
    pub max_connections: usize,
    /// Streams of one user that this replica holds at most. Counts where users are told apart.
    #[arg(long, env, default_value = "20")]
    pub max_connections_per_user: usize,
    /// Different queries of one user that this replica streams at most. Counts where users are told apart.
    #[arg(long, env, default_value = "100")]
    pub max_topics_per_user: usize,
    /// Queries on one stream, 1 to 32.
    #[arg(long, env, default_value = "32", value_parser = read_subscriptions)]
    pub max_subscriptions: usize,
    /// The interval of a stream that names none, in seconds, 5 to 300.
    #[arg(long, env, default_value = "15", value_parser = read_interval)]
    pub interval: Interval,
    /// How long a query may run, such as `10s`. Pollers may be set to less.
    #[arg(long, env, default_value = "10s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub query_timeout: Duration,
    /// The most bytes of one update, before compression. Larger ones come as an `error` event.
    #[arg(long, env, default_value = "1048576")]
    pub update_bytes: usize,
    /// Updates of a topic that a slow client may lag before the oldest are skipped, and told as a `gap`.
    #[arg(long, env, default_value = "10")]
    pub lag: usize,
    /// Ticks of a topic, for each interval in use, that are kept for clients that come back, and that are asked for again after an
    /// outage. Beyond, a `gap` says what is lost.
    #[arg(long, env, default_value = "32")]
    pub history: u16,
    /// The most bytes of updates kept of one topic, in all formats that are asked for.
    #[arg(long, env, default_value = "16777216")]
    pub history_bytes: usize,
    /// The most ticks of one backfill. Beyond, it is refused with `result_too_large`.
    #[arg(long, env, default_value = "2000")]
    pub backfill_points: u64,
    /// The most bytes of one backfill, before compression. Beyond, it fails with `result_too_large`. Pollers bound it too, by
    /// `max_range_bytes`.
    #[arg(long, env, default_value = "8388608")]
    pub backfill_bytes: usize,
    /// The most bytes of backfills kept for ten seconds, so that many who open a page at once ask for its past once. 0 keeps none.
    #[arg(long, env, default_value = "67108864")]
    pub backfill_cache_bytes: u64,
    /// Whether streams are compressed for clients that take gzip, which browsers do: each event once for all of them. `false` where a
    /// proxy has to read them.
    #[arg(parameter, long, env, default_value = "true")]
    pub gzip: bool,
    /// How long a topic goes on when its last client has left, such as `15s`: a page that is reloaded finds it warm.
    #[arg(long, env, default_value = "15s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub linger: Duration,
    /// New streams an address, or a user, may open in each second, once the burst is used up; and as many other calls an address may
    /// make.
    #[arg(long, env, default_value = "10")]
    pub open_rate: NonZeroU32,
    /// New streams an address, or a user, may open at once after a quiet time.
    #[arg(long, env, default_value = "40")]
    pub open_burst: NonZeroU32,
    /// A client whose socket takes no byte for so long is closed, such as `10s`.
    #[arg(long, env, default_value = "10s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub write_stall: Duration,
    /// From one `heartbeat` event to the next, such as `30s`.
    #[arg(long, env, default_value = "30s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub heartbeat: Duration,
    /// After so much silence a comment line is sent, such as `15s`. Keep it below half of every proxy's idle timeout.
    #[arg(long, env, default_value = "15s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub comment: Duration,
    /// The longest a stream lives, such as `30m`; each lives up to a fifth less. Clients reconnect, and so spread over new replicas.
    #[arg(long, env, default_value = "30m", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub max_lifetime: Duration,
    /// How long a shutdown takes: streams end spread over this time, such as `20s`. Keep the platform's grace period 10 s longer.
    #[arg(long, env, default_value = "20s", value_parser = humantime::parse_duration, serde(use_value_parser))]
    pub drain: Duration,
}

fn read_interval(text: &str) -> Result<Interval, String> {
    let seconds: u16 = text.parse().map_err(|_| format!("`{text}` is not a whole number of seconds"))?;
    Interval::from_secs(seconds).map_err(|error| error.to_string())
}

fn read_subscriptions(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=SUBSCRIPTIONS_MAX).contains(count));
    count.ok_or_else(|| format!("`{text}` is not a whole number from 1 to {SUBSCRIPTIONS_MAX}"))
}

/// A number that no stream can live with.
#[derive(Debug, thiserror::Error)]
#[error("`stream.{0}` must be more than zero")]
pub(super) struct Zero(&'static str);

impl Stream {
    fn check(&self) -> Result<(), Zero> {
        let zero = [
            ("max_connections", self.max_connections == 0),
            ("max_connections_per_user", self.max_connections_per_user == 0),
            ("max_topics_per_user", self.max_topics_per_user == 0),
            ("query_timeout", self.query_timeout.is_zero()),
            ("update_bytes", self.update_bytes == 0),
            ("lag", self.lag == 0),
            ("history", self.history == 0),
            ("backfill_points", self.backfill_points == 0),
            ("backfill_bytes", self.backfill_bytes == 0),
            ("heartbeat", self.heartbeat.is_zero()),
            ("comment", self.comment.is_zero()),
            ("max_lifetime", self.max_lifetime.is_zero()),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(Zero(name)),
            None => Ok(()),
        }
    }
}
