//! From the queues to the bus: one pull loop for each datasource, so many jobs at once, each in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use promcast_proto::job::Job;
use promcast_proto::topic::Datasource as Name;
use promcast_proto::update::{Outcome, Update};
use promcast_runtime::bus::{self, Bus, Delivery, Jobs};
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use promcast_runtime::trace;
use promcast_runtime::trace::spans::{self, Message};
use tokio::time::Instant;
use tracing::{Instrument, Span, debug, error, warn};

use crate::asks::Desk;
use crate::config::{self, Datasources};
use crate::evaluate::Source;
use crate::lanes::{Lanes, Place};
use crate::metrics::Metrics;
use crate::prometheus::{self, Client};

/// How often the bus is told that a job is still being worked on: a third of the silence after which it is taken
/// from its worker.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long publishing an update is tried again after its evaluation. By then a job's turn on the queue is over (20 s
/// with the evaluation), and gateways ask again for what they miss.
const PUBLISH_FOR: Duration = Duration::from_secs(10);

/// The first wait before publishing again; it doubles each time.
const PUBLISH_AGAIN: Duration = Duration::from_millis(100);

/// How long a queue that cannot be read is left alone.
const QUEUE_AGAIN: Duration = Duration::from_secs(1);

/// Why a poller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to ask.
    #[error(
        "no datasource is configured: give --prometheus-url, or a section [datasource.default] with a url"
    )]
    NoDatasource,
    /// The section of the upstreams.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// An upstream's settings cannot be used.
    #[error("datasource {0} cannot be used: {1}")]
    Datasource(Name, #[source] prometheus::Error),
    /// The metrics are registered already.
    #[error("metrics: {0}")]
    Metrics(#[from] ::prometheus::Error),
}

/// The pull loops of one process.
#[derive(Debug)]
pub struct Workers {
    datasources: Vec<Name>,
}

impl Workers {
    /// Starts pulling jobs and answering asks of every datasource; reads the files that their settings name, and connects to none yet.
    /// On the soft token of `tasks` nothing more is taken, and what runs is finished.
    pub fn start(
        bus: &Arc<dyn Bus>,
        datasources: &Datasources,
        clock: &Clock,
        registry: &::prometheus::Registry,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let upstreams = datasources.upstreams()?;
        if upstreams.is_empty() {
            return Err(Error::NoDatasource);
        }
        let metrics = Metrics::register(registry)?;
        let (mut workers, mut desks) = (Vec::new(), Vec::new());
        for upstream in &upstreams {
            let source = Source::new(upstream, metrics.of(&upstream.name))
                .map_err(|error| Error::Datasource(upstream.name.clone(), error))?;
            let source = Arc::new(source);
            let places = upstream.settings.max_asks.get();
            desks.push(Desk::new(Arc::clone(&source), Arc::clone(bus), tasks.clone(), places));
            let lanes = Lanes::new(upstream.settings.max_concurrent.get());
            let (bus, clock, tasks) = (Arc::clone(bus), clock.clone(), tasks.clone());
            workers.push(Worker { source, bus, clock, tasks, lanes });
        }
        for worker in workers {
            tasks.spawn("poller", worker.run());
        }
        for desk in desks {
            tasks.spawn("asks", desk.run());
        }
        Ok(Self { datasources: upstreams.into_iter().map(|upstream| upstream.name).collect() })
    }

    /// Whether [`Workers::start`] would take these datasources, and every reason why not.
    pub fn check(datasources: &Datasources) -> Vec<Error> {
        match datasources.upstreams() {
            Err(error) => vec![error.into()],
            Ok(upstreams) if upstreams.is_empty() => vec![Error::NoDatasource],
            Ok(upstreams) => upstreams
                .iter()
                .filter_map(|upstream| {
                    Some(Error::Datasource(upstream.name.clone(), Client::new(upstream).err()?))
                })
                .collect(),
        }
    }

    /// The datasources whose jobs are worked on.
    pub fn datasources(&self) -> &[Name] {
        &self.datasources
    }
}

/// The pull loop of one datasource.
#[derive(Clone)]
struct Worker {
    source: Arc<Source>,
    bus: Arc<dyn Bus>,
    clock: Clock,
    tasks: Tasks,
    lanes: Lanes,
}

impl Worker {
    async fn run(self) {
        let soft = self.tasks.soft().clone();
        tokio::select! {
            () = soft.cancelled() => {}
            () = self.pull() => {}
        }
    }

    /// Opens the queue and pulls, for ever; whatever goes wrong is tried again.
    async fn pull(&self) {
        let mut troubled = false;
        loop {
            let trouble = match self.bus.jobs(self.source.name()).await {
                Ok(mut jobs) => self.drain(jobs.as_mut(), &mut troubled).await,
                Err(error) => error,
            };
            if !troubled {
                warn!(datasource = %self.source.name(), error = %trouble, "cannot take jobs; trying again");
            }
            troubled = true;
            tokio::time::sleep(QUEUE_AGAIN).await;
        }
    }

    /// Takes jobs from a queue until it fails.
    async fn drain(&self, jobs: &mut dyn Jobs, troubled: &mut bool) -> bus::Error {
        loop {
            // The place comes first: a job that waits here would be kept from other pollers.
            let Some(place) = self.lanes.place().await else { return bus::Error::Disconnected };
            match jobs.next().await {
                Ok(delivery) => {
                    *troubled = false;
                    self.tasks.spawn("job", self.clone().work(delivery, place));
                }
                Err(bus::Error::Wire(error)) => {
                    warn!(datasource = %self.source.name(), %error, "passing over a job that is none");
                }
                Err(
                    error @ (bus::Error::Disconnected
                    | bus::Error::Failed { .. }
                    | bus::Error::Unanswered
                    | bus::Error::NotSetUp(_)),
                ) => {
                    return error;
                }
            }
        }
    }

    /// One job, from its delivery to its acknowledgement. Where that is not reached, the bus delivers it again.
    async fn work(self, delivery: Box<dyn Delivery>, place: Place) {
        if delivery.job().datasource != *self.source.name() {
            error!(datasource = %self.source.name(), "a job of another datasource is in this queue; dropping it");
            return acknowledge(delivery).await;
        }
        let entered = tokio::select! {
            entered = self.lanes.enter(delivery.job().topic().key(), place) => entered,
            never = keep(delivery.as_ref()) => match never {},
        };
        let Some(_running) = entered else { return release(delivery).await };
        let late = self.clock.now().since(delivery.job().tick);
        self.source.metrics().begun(late);
        let span = spans::process(delivery.trace(), self.message("job", delivery.job()));
        span.record("promcast.lateness_ms", late);
        self.finish(delivery, &span).instrument(trace::lines(&span)).await;
    }

    async fn finish(&self, delivery: Box<dyn Delivery>, span: &Span) {
        let published = tokio::select! {
            published = self.answer(delivery.as_ref(), span) => published,
            never = keep(delivery.as_ref()) => match never {},
        };
        if published {
            acknowledge(delivery).await;
        } else {
            self.source.metrics().unpublished();
        }
    }

    /// A message about a job, for traces.
    fn message(&self, channel: &'static str, job: &Job) -> Message<'_> {
        let (system, datasource) = (self.bus.system(), self.source.name());
        Message { system, channel, datasource, topic: job.topic().key(), tick: job.tick }
    }

    /// Evaluates and publishes; whether that came to a good end.
    async fn answer(&self, delivery: &dyn Delivery, span: &Span) -> bool {
        let begun = Instant::now();
        let update = self.source.evaluate(delivery.job(), span).await;
        self.lanes.took(update.key, begun.elapsed());
        span.record("promcast.outcome", outcome(&update));
        let sending = spans::send(span, self.message("in", delivery.job()));
        let give_up = Instant::now() + PUBLISH_FOR;
        let mut wait = PUBLISH_AGAIN;
        loop {
            match self.publish(&update).instrument(sending.clone()).await {
                Ok(()) => return true,
                Err(error) if Instant::now() + wait > give_up || !worth_another_try(&error) => {
                    spans::failed(&sending, "unpublished");
                    warn!(datasource = %self.source.name(), topic = %update.key, %error, "an update was not published");
                    return false;
                }
                Err(error) => debug!(topic = %update.key, %error, "publishing again"),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    async fn publish(&self, update: &Update) -> Result<(), bus::Error> {
        match self.bus.publish(self.source.name(), update).await? {
            // Somebody else answered the same tick: with the same data, since Prometheus was asked for that time.
            bus::Stored::New | bus::Stored::Duplicate => Ok(()),
        }
    }
}

fn outcome(update: &Update) -> &'static str {
    match &update.outcome {
        Outcome::Result(_) => "result",
        Outcome::Failure(failure) => failure.code.as_str(),
    }
}

fn worth_another_try(error: &bus::Error) -> bool {
    match error {
        bus::Error::Disconnected | bus::Error::Failed { .. } => true,
        bus::Error::Unanswered | bus::Error::NotSetUp(_) | bus::Error::Wire(_) => false,
    }
}

/// Says again and again that the job is being worked on.
async fn keep(delivery: &dyn Delivery) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        if let Err(error) = delivery.progress().await {
            debug!(%error, "no sign of life given");
        }
    }
}

/// A job that waited too long for its turn is there for others, and for this poller again.
async fn release(delivery: Box<dyn Delivery>) {
    if let Err(error) = delivery.release().await {
        debug!(%error, "a job was not given back");
    }
}

/// A job whose acknowledgement is lost is delivered again, and its second update refused: no harm but the work.
async fn acknowledge(delivery: Box<dyn Delivery>) {
    if let Err(error) = delivery.done().await {
        debug!(%error, "a job was not acknowledged");
    }
}

#[cfg(test)]
mod tests;
