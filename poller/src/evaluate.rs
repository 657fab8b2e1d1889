//! One datasource, and from a job to its update on it: gate, query, classification, rendering.

use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::job::Job;
use promcast_proto::topic::Datasource as Name;
use promcast_proto::update::{Failure, Outcome, Update};
use tokio::time::Instant;
use tracing::{Span, info, warn};

use crate::backoff::{Backoff, Change, Gate, Ticket};
use crate::config::Upstream;
use crate::encode;
use crate::metrics;
use crate::prometheus::classify::{self, Failed, Scope};
use crate::prometheus::{self, Client, Reply};

/// One upstream, with what is known of its health. Evaluations may run side by side.
#[derive(Debug)]
pub struct Source {
    name: Name,
    client: Client,
    query_timeout: Duration,
    max_encoded: usize,
    max_range: usize,
    backoff: Mutex<Backoff>,
    metrics: metrics::Source,
}

impl Source {
    /// Reads the files that the upstream's settings name.
    pub fn new(upstream: &Upstream, metrics: metrics::Source) -> Result<Self, prometheus::Error> {
        Ok(Self {
            name: upstream.name.clone(),
            client: Client::new(upstream)?,
            query_timeout: upstream.settings.query_timeout,
            max_encoded: upstream.settings.max_encoded_bytes.get(),
            max_range: upstream.settings.max_range_bytes.get(),
            backoff: Mutex::default(),
            metrics,
        })
    }

    /// The datasource's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its metrics.
    pub fn metrics(&self) -> &metrics::Source {
        &self.metrics
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn query_timeout(&self) -> Duration {
        self.query_timeout
    }

    /// The most bytes of an answer to an ask.
    pub(crate) fn max_range(&self) -> usize {
        self.max_range
    }

    /// The update of a job: always one, whatever happens. The query is traced below `span`.
    pub async fn evaluate(&self, job: &Job, span: &Span) -> Update {
        let (took_ms, outcome) = match self.admit() {
            Err(failure) => (0, Outcome::Failure(failure)),
            Ok(ticket) => {
                let (took, reply) = self.query(job, span).await;
                let took_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
                let result = reply.and_then(|reply| self.render(job, took_ms, &reply));
                let failed = result.as_ref().err();
                self.metrics.queried(failed.map(|failed| failed.failure.code), took);
                self.settle(ticket, failed);
                (took_ms, result.map_or_else(|failed| Outcome::Failure(failed.failure), Outcome::Result))
            }
        };
        Update { key: job.topic().key(), tick: job.tick, took_ms, outcome }
    }

    /// Lets a query through, or says what to answer in place of it: an upstream that is down is spared.
    pub(crate) fn admit(&self) -> Result<Ticket, Failure> {
        match self.backoff.lock().admit(Instant::now()) {
            Gate::Pass(ticket) => Ok(ticket),
            Gate::Refuse(failure) => {
                self.metrics.spared();
                Err(failure)
            }
        }
    }

    /// Takes in what came of a query that was let through.
    pub(crate) fn settle(&self, ticket: Ticket, failed: Option<&Failed>) {
        let change = self.backoff.lock().settle(ticket, failed, Instant::now(), rand::random());
        self.tell(change, failed);
    }

    async fn query(&self, job: &Job, span: &Span) -> (Duration, Result<Reply, Failed>) {
        let _running = self.metrics.running();
        let asked = Duration::from_millis(u64::from(job.timeout_ms));
        let started = Instant::now();
        let reply = self.client.instant(&job.query, job.tick, asked.min(self.query_timeout), span).await;
        (started.elapsed(), reply)
    }

    fn render(&self, job: &Job, took_ms: u32, reply: &Reply) -> Result<promcast_proto::body::Body, Failed> {
        self.metrics.read(reply.body.len());
        let answer = classify::answer(reply.status, &reply.body)?;
        encode::result(job.topic().key(), job.tick, took_ms, &answer, self.max_encoded)
    }

    /// Says once that the upstream went away, and once that it is back. Failures of single queries are their
    /// viewers' concern, and are counted.
    fn tell(&self, change: Change, failed: Option<&Failed>) {
        self.metrics.backing_off(match change {
            Change::Closed => true,
            Change::Opened => false,
            Change::None => return,
        });
        match failed {
            Some(Failed { failure, scope: Scope::Upstream, cause }) => warn!(
                datasource = %self.name,
                code = failure.code.as_str(),
                reason = failure.message,
                cause,
                "the datasource is down; sparing it most queries"
            ),
            Some(Failed { scope: Scope::Query, .. }) | None => {
                info!(datasource = %self.name, "the datasource is back")
            }
        }
    }
}

#[cfg(test)]
mod tests;
