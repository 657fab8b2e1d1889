//! The task of a topic: carries out what its timeline plans, until nobody reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use promcast_proto::job::Job;
use promcast_proto::tick::Tick;
use promcast_proto::update::{Outcome as Result_, Update};
use promcast_runtime::bus::{self, Accepted, Event, State, Subscription};
use promcast_runtime::trace::spans::{self, Message};
use promcast_runtime::trace::{self, Context};
use tokio::sync::watch;
use tracing::{Instrument, Span, debug, warn};

use super::Shared;
use super::timeline::{Outcome, Plan};
use super::topic::Topic;
use crate::metrics::{Asked, Received};
use crate::sse::{Frame, frame};

/// The wait before a subscription that the bus refused is tried again.
const RESUBSCRIBE: Duration = Duration::from_millis(500);

struct Ticker {
    shared: Arc<Shared>,
    topic: Arc<Topic>,
    state: watch::Receiver<State>,
    live: Option<Subscription>,
    /// The tick of the newest result, in Unix milliseconds; before there is one, the first tick that can be.
    newest: AtomicI64,
}

/// Runs a topic until nobody has used it for the linger time.
pub(super) async fn run(shared: Arc<Shared>, topic: Arc<Topic>) {
    let state = shared.bus.state();
    let newest = AtomicI64::new(Tick::MIN.millis());
    let mut ticker = Ticker { shared, topic, state, live: None, newest };
    while ticker.step().await {}
}

impl Ticker {
    /// Does what is planned; false at the end.
    async fn step(&mut self) -> bool {
        let up = self.subscribed().await;
        match self.topic.plan(up, self.shared.now()) {
            Plan::End => return !self.shared.retire(&self.topic),
            Plan::Look { since } => self.look(since).await,
            Plan::Ask { tick, attempt } => self.ask(tick, attempt).await,
            Plan::Sleep(until) => {
                let until = if up || !self.state.borrow().is_up() {
                    until
                } else {
                    until.min(tokio::time::Instant::now() + RESUBSCRIBE)
                };
                self.wait(until).await;
            }
        }
        true
    }

    /// Whether the bus is up and the topic's updates come in. To miss none, subscribing comes before looking.
    async fn subscribed(&mut self) -> bool {
        if !self.state.borrow().is_up() {
            return false;
        }
        if self.live.is_none() {
            match self.shared.bus.subscribe(self.topic.topic().address()).await {
                Ok(live) => {
                    self.live = Some(live);
                    self.topic.doubt();
                }
                Err(error) => debug!(topic = %self.topic.key(), %error, "cannot subscribe yet"),
            }
        }
        self.live.is_some()
    }

    async fn wait(&mut self, until: tokio::time::Instant) {
        tokio::select! {
            event = next(&mut self.live) => match event {
                Some(Event::Update(update, sender)) => {
                    let span = spans::process(sender.as_ref(), self.message("out", update.tick));
                    trace::lines(&span).in_scope(|| self.receive(update, sender.as_ref(), &span));
                }
                Some(Event::Lost) => self.topic.doubt(),
                None => self.live = None,
            },
            changed = self.state.changed() => match changed {
                // Connected anew: what came in between is on the bus, and what was asked for may not be.
                Ok(()) => self.topic.doubt(),
                Err(_) => tokio::time::sleep_until(until).await,
            },
            () = self.topic.joined() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// A message about a tick of this topic, for traces.
    fn message(&self, channel: &'static str, tick: Tick) -> Message<'_> {
        let topic = self.topic.topic();
        let (system, datasource) = (self.shared.bus.system(), topic.datasource());
        Message { system, channel, datasource, topic: self.topic.key(), tick }
    }

    /// Takes an update in, which was sent in the span `sender`, and which `span` is about.
    fn receive(&self, update: Update, sender: Option<&Context>, span: &Span) {
        let (tick, took) = (update.tick, Duration::from_millis(update.took_ms.into()));
        let kind = match update.outcome {
            Result_::Result(_) => Received::Result,
            Result_::Failure(_) => Received::Error,
        };
        let metrics = &self.shared.metrics;
        let limit = self.shared.settings.update_bytes;
        let (frame, kind) = match Frame::of_update(update, limit, self.topic.memory()) {
            Ok(frame) => (frame, kind),
            // Another ask would bring the same, so the viewers are told.
            Err(error) => (self.refuse(tick, &error), Received::Refused),
        };
        if let Some(sender) = sender {
            frame.trace(sender);
        }
        let (now, bytes) = (self.shared.now(), frame.size());
        frame.arrived(now.wall);
        let new = self.topic.arrived(tick, took, frame, now);
        let late = now.wall.since(tick);
        if new {
            metrics.way.arrived(tick, took, now.wall);
            if kind == Received::Result {
                self.newest.fetch_max(tick.millis(), Ordering::Relaxed);
            }
            metrics.viewers.observe(f64::from(u32::try_from(self.topic.viewers()).unwrap_or(u32::MAX)));
        }
        let kind = if new { kind } else { Received::Duplicate };
        metrics.received(kind).inc();
        if !span.is_disabled() {
            span.record("promcast.outcome", kind.as_str()).record("promcast.lateness_ms", late);
            span.record("promcast.viewers", self.topic.viewers()).record("promcast.bytes", bytes);
            span.record("promcast.skipped", self.topic.take_skipped());
        }
    }

    /// The event that stands for an update which cannot be used.
    fn refuse(&self, tick: Tick, error: &frame::Error) -> Frame {
        warn!(topic = %self.topic.key(), %tick, %error, "an update cannot be used");
        Frame::of_failure(self.topic.key(), tick, error.code(), &error.to_string())
    }

    async fn look(&self, since: Tick) {
        self.shared.metrics.looks.inc();
        let outcome = match self.shared.bus.history(self.topic.topic().address(), since).await {
            Ok(updates) => {
                for update in updates {
                    self.receive(update, None, &Span::none());
                }
                Outcome::Done
            }
            Err(error) => {
                debug!(topic = %self.topic.key(), %error, "cannot read the history");
                Outcome::Failed
            }
        };
        self.topic.looked(outcome, self.shared.now());
    }

    async fn ask(&self, tick: Tick, attempt: u32) {
        let topic = self.topic.topic();
        let job = Job {
            datasource: topic.datasource().clone(),
            query: topic.query().to_owned(),
            tick,
            timeout_ms: u32::try_from(self.shared.settings.query_timeout.as_millis()).unwrap_or(u32::MAX),
        };
        let span = spans::send(&Span::none(), self.message("job", tick));
        let answer = self.shared.bus.ask(&job, attempt).instrument(span.clone()).await;
        let (asked, outcome) = match &answer {
            Ok(Accepted::Queued) => (Asked::Queued, Outcome::Done),
            Ok(Accepted::Duplicate) => (Asked::Duplicate, Outcome::Done),
            Ok(Accepted::Busy) => (Asked::Busy, Outcome::Busy),
            Err(error) => {
                self.log_failure(error);
                (Asked::Failed, Outcome::Failed)
            }
        };
        self.shared.metrics.asked(asked).inc();
        if attempt == 0 && outcome == Outcome::Done {
            self.shared.metrics.way.asked(tick, self.newest(), self.shared.now().wall);
        }
        span.record("promcast.attempt", attempt).record("promcast.outcome", asked.as_str());
        if asked == Asked::Failed {
            spans::failed(&span, asked.as_str());
        }
        if attempt > 0 && asked == Asked::Queued {
            self.shared.metrics.repairs.inc();
        }
        self.topic.asked(tick, outcome, self.shared.now());
    }

    /// The tick of the newest result, if there has been one.
    fn newest(&self) -> Option<Tick> {
        let newest = Tick::from_millis(self.newest.load(Ordering::Relaxed));
        (newest > Tick::MIN).then_some(newest)
    }

    fn log_failure(&self, error: &bus::Error) {
        match error {
            bus::Error::Disconnected => debug!(topic = %self.topic.key(), %error, "cannot ask"),
            bus::Error::Failed { .. }
            | bus::Error::Unanswered
            | bus::Error::NotSetUp(_)
            | bus::Error::Wire(_) => {
                warn!(topic = %self.topic.key(), %error, "cannot ask");
            }
        }
    }
}

/// The next event of a subscription, if there is one; else never.
async fn next(live: &mut Option<Subscription>) -> Option<Event> {
    match live {
        Some(live) => live.next().await,
        None => std::future::pending().await,
    }
}
