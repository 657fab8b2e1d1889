//! Reads: what is asked of an upstream once, outside the ticks. Many who ask the same at once are one question.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use parking_lot::Mutex;
use promcast_proto::ask::Answer;
use promcast_proto::body;
use promcast_proto::code::ErrorCode;
use promcast_proto::topic::Datasource;
use promcast_proto::update::Failure;
use promcast_runtime::bus::{self, Bus};
use promcast_runtime::clock::Clock;
use rand::RngExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

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

/// Questions to one datasource at once. A dashboard has more of them at the same moment, and a poller turns away what it has no
/// place for: they wait here instead.
const AT_ONCE: usize = 8;

/// How long a question waits that was turned away, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The upstream refused, or could not be asked.
    #[error("{}", .0.message)]
    Upstream(Failure),
    /// No poller could be asked.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// Others were asked for all of its time.
    #[error("the datasource has too many questions to answer")]
    Late,
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
    bus: Arc<dyn Bus>,
    clock: Clock,
    kept: Cache<Read, Bytes>,
    proven: Proven,
    /// One for each datasource, of which there is a fixed list.
    lines: Mutex<HashMap<Datasource, Arc<Semaphore>>>,
}

impl Reads {
    /// Asks over this bus.
    pub fn new(bus: Arc<dyn Bus>, clock: Clock) -> Self {
        let weight = |_: &Read, answer: &Bytes| u32::try_from(answer.len()).unwrap_or(u32::MAX);
        let kept = Cache::builder().weigher(weight).max_capacity(KEPT_BYTES).time_to_live(KEPT).build();
        Self { bus, clock, kept, proven: proof::none(), lines: Mutex::default() }
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

    /// Asks when it is its turn, and again while it is turned away, for as long as it may take altogether.
    async fn ask(&self, read: &Read) -> Result<Bytes, Error> {
        let deadline = Instant::now() + read.timeout();
        let line = self.line(read.datasource());
        // The semaphore is never closed; should it be, asking unbounded is the lesser evil.
        let _turn = timeout_at(deadline, line.acquire()).await.map_err(|_| Error::Late)?.ok();
        let (mut pause, longest) = PAUSE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let failure = match self.bus.consult(&read.ask(self.clock.now(), left)).await? {
                Answer::Result(body) => return Ok(body.unpack(ANSWER_BYTES)?.into()),
                Answer::Failure(failure) => failure,
            };
            if failure.code != ErrorCode::Overloaded || Instant::now() + pause >= deadline {
                return Err(Error::Upstream(failure));
            }
            let some = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
            sleep(some).await;
            pause = (pause * 2).min(longest);
        }
    }

    fn line(&self, datasource: &Datasource) -> Arc<Semaphore> {
        let mut lines = self.lines.lock();
        lines.entry(datasource.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}
