//! Ticks that are over, had again for those who join: asked for once however many want them, and kept for a moment.
//!
//! A page that is opened by a thousand people, or a replica that hands its clients to others, wants one and the same past of the
//! same topics within seconds. Whoever comes while it is asked for waits with the others, and shares what came of it, failures
//! included; whoever comes soon after finds it here. Failures are not kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::ask::{Ask, Question};
use promcast_proto::body::Body;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::{Key, Topic};
use promcast_proto::update::Failure;
use promcast_runtime::bus::{self, Bus, State};
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use self::metrics::{Metrics, Outcome};
use self::shelf::Shelf;
use crate::line::{self, Line, Patience};
use crate::sse::Span;

mod metrics;
mod shelf;

/// The wait before what the bus could not pass on is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// What backfills may cost.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long the upstream may take, and how long a backfill waits for its turn before that.
    pub query_timeout: Duration,
    /// The most ticks of one.
    pub points: u64,
    /// The most bytes of one, uncompressed.
    pub bytes: usize,
    /// The most bytes of all that are kept. 0 keeps none.
    pub cache_bytes: u64,
}

/// Which ticks of which topic: all of an interval, from the first to the last.
type Extent = (Key, Interval, Tick, Tick);

/// What is shared by all who want the same.
type Fetched = Result<Arc<Span>, Failure>;

/// Fetches ticks that are over. Cheap to clone.
#[derive(Clone)]
pub struct Backfill(Arc<Inner>);

struct Inner {
    bus: Arc<dyn Bus>,
    line: Line,
    settings: Settings,
    tasks: Tasks,
    metrics: Metrics,
    shelf: Shelf<Extent>,
    /// What is being asked for.
    flights: Mutex<HashMap<Extent, watch::Receiver<Option<Fetched>>>>,
}

/// What there is for somebody who wants an extent.
enum Found {
    Now(Fetched),
    Soon(watch::Receiver<Option<Fetched>>),
}

impl Backfill {
    /// Asks over `bus`, from `tasks`.
    pub fn new(
        bus: Arc<dyn Bus>,
        settings: Settings,
        registry: &Registry,
        tasks: &Tasks,
    ) -> Result<Self, prometheus::Error> {
        let shelf = Shelf::new(settings.cache_bytes);
        let metrics = Metrics::register(registry)?;
        let (line, flights) = (Line::new(Arc::clone(&bus)), Mutex::default());
        Ok(Self(Arc::new(Inner { bus, line, settings, tasks: tasks.clone(), metrics, shelf, flights })))
    }

    /// The most ticks that [`Backfill::fetch`] takes for one.
    pub fn points(&self) -> u64 {
        self.0.settings.points
    }

    /// The ticks of a topic from `from` to `to`, both of them ticks and both included. What is not here is asked for at once,
    /// and goes on where the future is dropped: others may wait for it.
    ///
    /// # Errors
    ///
    /// What the viewer is told: the upstream's failure, `poller_unanswered` where it could not be asked, `result_too_large` for
    /// more ticks or bytes than [`Settings`] has.
    pub fn fetch(
        &self,
        topic: &Topic,
        interval: Interval,
        from: Tick,
        to: Tick,
    ) -> impl Future<Output = Result<Arc<Span>, Failure>> + Send + 'static + use<> {
        let found = self.find(topic, interval, from, to);
        async move {
            match found {
                Found::Now(fetched) => fetched,
                Found::Soon(mut flight) => match flight.wait_for(Option::is_some).await.as_deref() {
                    Ok(Some(fetched)) => fetched.clone(),
                    // The program ends.
                    Ok(None) | Err(_) => Err(unanswered("the backfill was given up")),
                },
            }
        }
    }

    fn find(&self, topic: &Topic, interval: Interval, from: Tick, to: Tick) -> Found {
        if let Err(failure) = self.0.check(interval, from, to) {
            self.0.metrics.found(Outcome::Refused);
            return Found::Now(Err(failure));
        }
        let extent = (topic.key(), interval, from, to);
        let (result, flight) = {
            let mut flights = self.0.flights.lock();
            if let Some(flight) = flights.get(&extent) {
                self.0.metrics.found(Outcome::Shared);
                return Found::Soon(flight.clone());
            }
            // What has landed is on the shelf before it is no longer in flight, so nothing is asked for twice.
            if let Some(span) = self.0.shelf.get(&extent) {
                self.0.metrics.found(Outcome::Cached);
                return Found::Now(Ok(span));
            }
            let (result, flight) = watch::channel(None);
            flights.insert(extent, flight.clone());
            (result, flight)
        };
        let ask = self.0.ask(topic, extent);
        let flying = Flying { inner: Arc::clone(&self.0), extent, result };
        self.0.tasks.spawn("backfill", flying.run(ask));
        Found::Soon(flight)
    }
}

impl fmt::Debug for Backfill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backfill").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Inner {
    fn check(&self, interval: Interval, from: Tick, to: Tick) -> Result<(), Failure> {
        let Ok(span) = u64::try_from(to.since(from)) else {
            return Err(Failure {
                code: ErrorCode::BadData,
                message: "the backfill ends before it begins".to_owned(),
            });
        };
        let (points, limit) = (span / interval.millis().unsigned_abs() + 1, self.settings.points);
        if points <= limit {
            return Ok(());
        }
        let message =
            format!("the backfill has {points} ticks, over the limit of {limit}; ask for less time");
        Err(Failure { code: ErrorCode::TooLarge, message })
    }

    fn ask(&self, topic: &Topic, (_, interval, start, end): Extent) -> Ask {
        let step_ms = interval.millis().unsigned_abs();
        let question = Question::Range { query: topic.query().to_owned(), start, end, step_ms };
        let timeout_ms = u32::try_from(self.settings.query_timeout.as_millis()).unwrap_or(u32::MAX);
        Ask { datasource: topic.datasource().clone(), timeout_ms, question }
    }

    /// Asks, and again where the bus is out of reach or nobody is there to answer, which is so while pollers come back to it. Live
    /// updates cannot come before that either; and a gap that an outage makes is to be filled when the outage is over.
    async fn answer(&self, ask: &Ask) -> Result<Body, line::Error> {
        let most = self.settings.query_timeout;
        let within = |left: Duration| {
            let timeout_ms = u32::try_from(left.min(most).as_millis()).unwrap_or(u32::MAX);
            Ask { timeout_ms, ..ask.clone() }
        };
        let mut state = self.bus.state();
        let mut give_up = Instant::now() + most;
        loop {
            let now = Instant::now();
            let patience = Patience { turn: now + most, answer: now + most * 2 };
            let error = match self.line.ask(&ask.datasource, patience, within).await {
                Err(line::Error::Bus(error)) if may_pass(&error) => error,
                answer => return answer,
            };
            let is_up = state.borrow().is_up();
            if !is_up {
                // Where it never is again, the program ends.
                state.wait_for(State::is_up).await.map_err(|_| error)?;
                give_up = Instant::now() + most;
            } else if Instant::now() + AGAIN >= give_up {
                return Err(error.into());
            }
            sleep(AGAIN).await;
        }
    }

    async fn fetch(&self, ask: &Ask, extent: Extent) -> Fetched {
        let started = Instant::now();
        let answer = self.answer(ask).await;
        self.metrics.took(started.elapsed());
        let body = answer.map_err(|error| match error {
            line::Error::Upstream(failure) => failure,
            line::Error::Bus(error) => out_of_reach(&error),
            line::Error::Late => Failure { code: ErrorCode::Overloaded, message: error.to_string() },
        })?;
        let document = body.unpack(self.settings.bytes).map_err(|error| Failure {
            code: ErrorCode::TooLarge,
            message: format!("the backfill cannot be taken: {error}; select less, or ask for less time"),
        })?;
        let (key, interval, from, to) = extent;
        Span::new(key, interval, from, to, &document)
            .map(Arc::new)
            .map_err(|error| Failure { code: error.code(), message: error.to_string() })
    }
}

/// Whether the bus, or the pollers on it, may be about to come back.
fn may_pass(error: &bus::Error) -> bool {
    match error {
        bus::Error::Disconnected | bus::Error::Failed { .. } | bus::Error::Unanswered => true,
        bus::Error::NotSetUp(_) | bus::Error::Wire(_) => false,
    }
}

/// Something that is being asked for. However it ends, nobody waits for it afterwards.
struct Flying {
    inner: Arc<Inner>,
    extent: Extent,
    result: watch::Sender<Option<Fetched>>,
}

impl Flying {
    async fn run(self, ask: Ask) {
        let fetched = self.inner.fetch(&ask, self.extent).await;
        let outcome = if fetched.is_ok() { Outcome::Fetched } else { Outcome::Failed };
        self.inner.metrics.found(outcome);
        if let Ok(span) = &fetched {
            self.inner.shelf.put(self.extent, Arc::clone(span));
        }
        self.result.send_replace(Some(fetched));
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.inner.flights.lock().remove(&self.extent);
    }
}

/// What a viewer is told of a bus that fails. The bus's own words are for the operator.
fn out_of_reach(error: &bus::Error) -> Failure {
    debug!(%error, "a backfill could not be asked for");
    unanswered(match error {
        bus::Error::Unanswered => "no poller of the datasource answered",
        bus::Error::Disconnected | bus::Error::Failed { .. } | bus::Error::NotSetUp(_) => {
            "the bus to the pollers is out of reach"
        }
        bus::Error::Wire(_) => "the poller's answer cannot be read: it may be of another release",
    })
}

fn unanswered(message: &str) -> Failure {
    Failure { code: ErrorCode::Unanswered, message: message.to_owned() }
}

#[cfg(test)]
mod tests;
