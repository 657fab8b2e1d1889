//! Reads: what is asked of an upstream once, outside the ticks. Many who ask the same at once are one question.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use promcast_proto::body;
use promcast_runtime::bus::Bus;
use promcast_runtime::clock::Clock;
use tokio::time::Instant;

use crate::line::{self, Line, Patience};

pub mod live;
pub mod metadata;
mod proof;
mod read;

pub use read::{Read, Window};

use proof::Proven;

/// How long an answer serves those who ask the same. Long enough for the viewers of a dashboard that refresh together, and too
/// short for anybody to see that it is not new.
const KEPT: Duration = Duration::from_secs(1);

/// The most bytes of answers that are kept.
const KEPT_BYTES: u64 = 64 << 20;

/// The most bytes of one answer.
const ANSWER_BYTES: usize = 32 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The upstream refused, or could not be asked.
    #[error(transparent)]
    Line(#[from] line::Error),
    /// It would answer with what is everybody's.
    #[error("the datasource passes over `match[]` in lookups of labels; Prometheus does so before 2.24")]
    Unrestricted,
    /// The answer is larger than what is taken, or damaged.
    #[error(transparent)]
    Body(#[from] body::Error),
    /// The answer is not what it should be.
    #[error("the upstream's answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream was asked for it.
    Asked,
    /// It was asked for by somebody else, at the same time or within the last second.
    Shared,
}

/// Asks, and keeps the answers for a moment.
pub struct Reads {
    line: Line,
    clock: Clock,
    kept: Cache<Read, Bytes>,
    proven: Proven,
}

impl Reads {
    /// Asks over this bus.
    pub fn new(bus: Arc<dyn Bus>, clock: Clock) -> Self {
        let weight = |_: &Read, answer: &Bytes| u32::try_from(answer.len()).unwrap_or(u32::MAX);
        let kept = Cache::builder().weigher(weight).max_capacity(KEPT_BYTES).time_to_live(KEPT).build();
        Self { line: Line::new(bus), clock, kept, proven: proof::none() }
    }

    /// The upstream's whole answer: the JSON document of a success. A failure is told to all who wait for it, and is not kept.
    pub async fn answer(&self, read: &Read) -> Result<(Bytes, Source), Arc<Error>> {
        if read.relies_on_selectors() {
            self.prove(read).await?;
        }
        let entry = self.kept.entry_by_ref(read).or_try_insert_with(self.ask(read)).await?;
        let source = if entry.is_fresh() { Source::Asked } else { Source::Shared };
        Ok((entry.into_value(), source))
    }

    /// Asks, for as long as it may take altogether.
    async fn ask(&self, read: &Read) -> Result<Bytes, Error> {
        let deadline = Instant::now() + read.timeout();
        let patience = Patience { turn: deadline, answer: deadline };
        let ask = |left| read.ask(self.clock.now(), left);
        let body = self.line.ask(read.datasource(), patience, ask).await?;
        Ok(body.unpack(ANSWER_BYTES)?.into())
    }
}
