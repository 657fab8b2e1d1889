//! Creates what the bus needs on the servers, or brings it up to date. The only code that may change streams.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType};
use promcast_proto::topic::Datasource;

use super::subject::{self, ALL_IN, ALL_JOBS, ALL_OUT, JOBS, RESULTS};
use super::{Error, Options, api};
use crate::bus::Limits;

/// A replicated stream is there only when its leader is chosen, which takes a cluster some seconds.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Requests for a job that may wait at once, of all workers of a datasource. The server's default, 512, is reached by
/// 32 pollers of 16 workers; later it cannot be raised.
const MAX_WAITING: i64 = 16 * 1024;

/// Creates or updates the streams, and the consumer of each datasource. Idempotent. `replicas` is how many servers
/// keep each stream: 1, or 3 in a cluster.
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
    let client = connect(options).await?;
    let context = ContextBuilder::new().timeout(TIMEOUT).build(client);
    for config in [results(limits, replicas), jobs(limits, replicas)] {
        let what = format!("stream {}", config.name);
        let done = context.create_or_update_stream(config).await;
        done.map_err(|error| Error::Setup { what, reason: error.to_string() })?;
    }
    for datasource in datasources {
        let config = consumer(limits, datasource);
        let what = format!("consumer {}", subject::consumer(datasource));
        let done = context.create_consumer_on_stream(config, JOBS).await;
        done.map_err(|error| Error::Setup { what, reason: error.to_string() })?;
    }
    Ok(())
}

async fn connect(options: &Options) -> Result<Client, Error> {
    let connected = options.for_client().await?.connect(options.addresses()?.as_slice()).await;
    let client = connected
        .map_err(|error| Error::Connect { servers: options.servers_text(), reason: error.to_string() })?;
    match api::judge_version(&client.server_info().version) {
        Some(trouble) => Err(Error::TooOld(trouble)),
        None => Ok(client),
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
