//! Creates what the bus needs on the servers, or brings it up to date. The only code that may change streams.

use std::fmt::Display;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{ContextBuilder, CreateStreamError, CreateStreamErrorKind as Kind};
use async_nats::jetstream::stream::{
    Config, ConsumerError, ConsumerErrorKind, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{Error as JetStreamError, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use parking_lot::Mutex;
use promcast_proto::topic::Datasource;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::metrics::Fault;
use super::subject::{self, ALL_IN, ALL_JOBS, ALL_OUT, JOBS, RESULTS};
use super::{Error, Options, api};
use crate::bus::Limits;
use crate::config::complain;

/// How long a server is waited for, and how long a stream or consumer is tried for. Servers that start together choose their leader within seconds, and what
/// they were asked before is lost without an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one try may take: an answer that is not there by then will not come.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The pause between two tries.
const AGAIN: Duration = Duration::from_millis(250);

/// The status of a refusal that is about the moment, such as "system temporarily unavailable".
const UNAVAILABLE: usize = 503;

/// Requests for a job that may wait at once, of all workers of a datasource. The server's default, 512, is reached by
/// 32 pollers of 16 workers; later it cannot be raised.
const MAX_WAITING: i64 = 16 * 1024;

/// Creates or updates the streams, and the consumer of each datasource. Idempotent, and several may run at once.
/// `replicas` is how many servers keep each stream: 1, or 3 in a cluster. Waits for servers that are not there yet, and for a cluster that
/// is choosing its leader.
///
/// # Errors
///
/// No server can be reached or is new enough, the user may not do this, or a stream of the same name is of a kind
/// that cannot be changed into the one needed.
pub async fn init(
    options: &Options,
    limits: &Limits,
    datasources: &[Datasource],
    replicas: usize,
) -> Result<(), Error> {
    let denied = Denied::default();
    let client = connect(options, &denied).await?;
    let context = ContextBuilder::new().timeout(TIMEOUT).build(client);
    for config in [results(limits, replicas), jobs(limits, replicas)] {
        let what = format!("stream {}", config.name);
        attempt(what, &denied, async || context.create_or_update_stream(config.clone()).await.map(drop))
            .await?;
    }
    for datasource in datasources {
        let config = consumer(limits, datasource);
        let what = format!("consumer {}", subject::consumer(datasource));
        let create = async || context.create_consumer_on_stream(config.clone(), JOBS).await.map(drop);
        attempt(what, &denied, create).await?;
    }
    Ok(())
}

/// Tries until it is done, is refused for good, or [`PATIENCE`] is over.
async fn attempt<E: Transient>(
    what: String,
    denied: &Denied,
    call: impl AsyncFn() -> Result<(), E>,
) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = tokio::select! {
            biased;
            () = denied.wait() => return Err(Error::Setup { what, reason: denied.reason() }),
            done = call() => match done {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
        };
        if !error.may_pass() {
            return Err(Error::Setup { what, reason: error.to_string() });
        }
        if Instant::now() > deadline {
            let waited = PATIENCE.as_secs();
            let reason = format!("{error}; tried for {waited} s: are enough servers of the cluster up?");
            return Err(Error::Setup { what, reason });
        }
        sleep(AGAIN).await;
    }
}

/// Errors of which some are over by themselves: a cluster has no leader yet, or another `init` is at the same work.
trait Transient: Display {
    /// Whether another try can end better.
    fn may_pass(&self) -> bool;
}

impl Transient for CreateStreamError {
    fn may_pass(&self) -> bool {
        match self.kind() {
            Kind::TimedOut | Kind::JetStreamUnavailable | Kind::NotFound => true,
            Kind::JetStream(error) => refusal_may_pass(&error),
            Kind::EmptyStreamName
            | Kind::InvalidStreamName
            | Kind::DomainAndExternalSet
            | Kind::Response
            | Kind::ResponseParse => false,
        }
    }
}

impl Transient for ConsumerError {
    fn may_pass(&self) -> bool {
        match self.kind() {
            ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => true,
            ConsumerErrorKind::JetStream(error) => refusal_may_pass(&error),
            ConsumerErrorKind::InvalidConsumerType
            | ConsumerErrorKind::InvalidName
            | ConsumerErrorKind::Other => false,
        }
    }
}

fn refusal_may_pass(error: &JetStreamError) -> bool {
    // A node may not know yet of its neighbours, nor of what another one has created.
    let passing = [ErrorCode::CLUSTER_NO_PEERS, ErrorCode::STREAM_NAME_EXIST, ErrorCode::STREAM_NOT_FOUND];
    error.code() == UNAVAILABLE || passing.contains(&error.error_code())
}

/// The permission that is missing, in the server's words: a request that it does not pass on has no answer.
#[derive(Clone, Default)]
struct Denied(Arc<(Mutex<String>, CancellationToken)>);

impl Denied {
    fn attach(&self, options: ConnectOptions) -> ConnectOptions {
        let denied = self.clone();
        options.event_callback(move |event| {
            if let Event::ServerError(error) = event
                && matches!(Fault::from(&error), Fault::PublishDenied | Fault::SubscriptionDenied)
            {
                *denied.0.0.lock() = error.to_string();
                denied.0.1.cancel();
            }
            ready(())
        })
    }

    async fn wait(&self) {
        self.0.1.cancelled().await;
    }

    fn reason(&self) -> String {
        self.0.0.lock().clone()
    }
}

/// Connects, and waits for a server that is not there yet: it may be starting too.
async fn connect(options: &Options, denied: &Denied) -> Result<Client, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    let client = loop {
        let client_options = denied.attach(options.for_client().await?);
        let error = match client_options.connect(options.addresses()?.as_slice()).await {
            Ok(client) => break client,
            Err(error) => error,
        };
        let (servers, reason) = (options.servers_text(), error.to_string());
        if !may_come(error.kind()) || Instant::now() > deadline {
            return Err(Error::Connect { servers, reason });
        }
        if !std::mem::replace(&mut told, true) {
            complain(&format!("waiting for {servers}: {reason}"));
        }
        sleep(AGAIN).await;
    };
    match api::judge_version(&client.server_info().version) {
        Some(trouble) => Err(Error::TooOld(trouble)),
        None => Ok(client),
    }
}

/// Whether nobody answers, which may be over soon; a server that refuses has answered.
fn may_come(kind: ConnectErrorKind) -> bool {
    match kind {
        ConnectErrorKind::Dns | ConnectErrorKind::TimedOut | ConnectErrorKind::Io => true,
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls
        | ConnectErrorKind::MaxReconnects => false,
    }
}

/// Last few updates of each subject; what it takes in is handed on to subscribers.
fn results(limits: &Limits, replicas: usize) -> Config {
    Config {
        name: RESULTS.to_owned(),
        description: Some("Promcast: the last updates of each topic".to_owned()),
        subjects: vec![ALL_IN.to_owned()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_messages_per_subject: i64::try_from(limits.history).unwrap_or(i64::MAX),
        max_age: limits.history_age,
        // The server refuses a window that is longer than messages live.
        duplicate_window: limits.update_dedupe.min(limits.history_age),
        allow_direct: true,
        republish: Some(Republish {
            source: ALL_IN.to_owned(),
            destination: ALL_OUT.to_owned(),
            headers_only: false,
        }),
        // In memory, a restart would lose the stream itself.
        storage: StorageType::File,
        num_replicas: replicas,
        ..Config::default()
    }
}

/// A work queue with one job per topic.
fn jobs(limits: &Limits, replicas: usize) -> Config {
    Config {
        name: JOBS.to_owned(),
        description: Some("Promcast: evaluations to be made".to_owned()),
        subjects: vec![ALL_JOBS.to_owned()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        max_messages_per_subject: 1,
        max_age: limits.job_age,
        duplicate_window: limits.job_dedupe.min(limits.job_age),
        storage: StorageType::File,
        num_replicas: replicas,
        ..Config::default()
    }
}

fn consumer(limits: &Limits, datasource: &Datasource) -> pull::Config {
    pull::Config {
        durable_name: Some(subject::consumer(datasource)),
        filter_subject: subject::jobs(datasource),
        ack_policy: AckPolicy::Explicit,
        ack_wait: limits.ack_wait,
        max_deliver: i64::from(limits.deliveries),
        max_ack_pending: i64::try_from(limits.in_flight).unwrap_or(i64::MAX),
        max_waiting: MAX_WAITING,
        ..pull::Config::default()
    }
}
