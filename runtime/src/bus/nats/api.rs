//! The few JetStream answers we read, and what follows from them.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::subject::{ALL_IN, ALL_OUT, JOBS, RESULTS};

/// "stream store failed", with the reason in words: JetStream error 10077.
const STORE_FAILED: u64 = 10077;
/// The reason where a subject has as many messages as it may.
const SUBJECT_FULL: &str = "per subject";
/// "duplicate message id is in process": JetStream error 10158, by streams with several copies.
const IN_PROCESS: u64 = 10158;
/// "stream not found": JetStream error 10059.
const STREAM_MISSING: u64 = 10059;
/// "consumer not found": JetStream error 10014.
const CONSUMER_MISSING: u64 = 10014;

/// What became of a message that was published to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    Stored,
    Duplicate,
    /// A message of the same id is on its way to the other copies: it will be stored, or lost with the leader.
    InProcess,
    SubjectFull,
}

/// A refusal by JetStream.
#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct PublishReply {
    error: Option<Refusal>,
    #[serde(default)]
    duplicate: bool,
}

/// Reads the answer to a publish.
pub(super) fn ack(payload: &[u8]) -> Result<Ack, String> {
    let reply: PublishReply = serde_json::from_slice(payload).map_err(|_| not_jetstream())?;
    match reply.error {
        None if reply.duplicate => Ok(Ack::Duplicate),
        None => Ok(Ack::Stored),
        Some(error) if error.err_code == STORE_FAILED && error.description.contains(SUBJECT_FULL) => {
            Ok(Ack::SubjectFull)
        }
        Some(error) if error.err_code == IN_PROCESS => Ok(Ack::InProcess),
        Some(error) => Err(error.description),
    }
}

fn not_jetstream() -> String {
    "the answer is not JetStream's".to_owned()
}

#[derive(Deserialize)]
struct InfoReply {
    error: Option<Refusal>,
    config: Option<StreamConfig>,
    #[serde(default)]
    cluster: Option<Cluster>,
}

/// The servers that hold a copy, as the one of them that answers sees them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Cluster {
    leader: String,
    replicas: Vec<Replica>,
}

/// A server other than the one that leads.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Replica {
    /// Nanoseconds since it was heard of; zero where it never was.
    active: u64,
    offline: bool,
}

/// A copy that its leader has not heard of for so long counts as gone. The leader speaks to each once a second at least,
/// and gives up by itself only after some ten seconds without a majority.
const SILENT: Duration = Duration::from_secs(5);

impl Cluster {
    /// Why nothing can be stored, though the question was answered; nothing where it can.
    fn trouble(&self) -> Option<String> {
        // Without a leader any copy answers.
        if self.leader.is_empty() {
            return Some("has no leader: too few NATS servers are up, or they are choosing one".to_owned());
        }
        let heard = self.replicas.iter().filter(|replica| replica.is_heard()).count() + 1;
        let copies = self.replicas.len() + 1;
        (heard * 2 <= copies)
            .then(|| format!("has lost its majority: {heard} of {copies} NATS servers are up"))
    }
}

impl Replica {
    fn is_heard(&self) -> bool {
        !self.offline && Duration::from_nanos(self.active) < SILENT
    }
}

impl InfoReply {
    fn cluster_trouble(&self) -> Option<String> {
        self.cluster.as_ref().and_then(Cluster::trouble)
    }
}

/// The parts of a stream's configuration without which this release gives wrong results.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamConfig {
    retention: String,
    discard_new_per_subject: bool,
    max_msgs_per_subject: i64,
    allow_direct: bool,
    republish: Option<Republish>,
}

#[derive(Deserialize)]
struct Republish {
    src: String,
    dest: String,
}

/// What is wrong with a stream, by the answer to `STREAM.INFO`; nothing where it will do.
pub(super) fn judge_stream(name: &str, payload: &[u8]) -> Option<String> {
    let Ok(reply) = serde_json::from_slice::<InfoReply>(payload) else { return Some(not_jetstream()) };
    let trouble = reply.cluster_trouble();
    match (reply.error, reply.config) {
        (Some(error), _) if error.err_code == STREAM_MISSING => {
            Some(format!("stream {name} is missing: run `promcast-gateway init`"))
        }
        (Some(error), _) => Some(format!("stream {name}: {}", error.description)),
        (None, Some(config)) if config.fits(name) => {
            trouble.map(|trouble| format!("stream {name} {trouble}"))
        }
        (None, _) => {
            Some(format!("stream {name} is not as this release needs it: run `promcast-gateway init`"))
        }
    }
}

impl StreamConfig {
    fn fits(&self, name: &str) -> bool {
        match name {
            JOBS => {
                self.retention == "workqueue"
                    && self.discard_new_per_subject
                    && self.max_msgs_per_subject == 1
            }
            RESULTS => {
                self.allow_direct
                    && self.republish.as_ref().is_some_and(|to| to.src == ALL_IN && to.dest == ALL_OUT)
            }
            _ => true,
        }
    }
}

/// What is wrong with a consumer of [`JOBS`], by the answer to `CONSUMER.INFO`; nothing where it is there.
pub(super) fn judge_consumer(name: &str, payload: &[u8]) -> Option<String> {
    let Ok(reply) = serde_json::from_slice::<InfoReply>(payload) else { return Some(not_jetstream()) };
    let trouble = reply.cluster_trouble();
    match reply.error {
        None => trouble.map(|trouble| format!("consumer {name} {trouble}")),
        Some(error) if [STREAM_MISSING, CONSUMER_MISSING].contains(&error.err_code) => {
            Some(format!("consumer {name} of stream {JOBS} is missing: run `promcast-gateway init`"))
        }
        Some(error) => Some(format!("consumer {name}: {}", error.description)),
    }
}

/// How much is to be done for the consumer of a datasource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Queue {
    /// Jobs that no poller has taken.
    #[serde(rename = "num_pending")]
    pub(super) waiting: i64,
    /// Jobs that pollers work on.
    #[serde(rename = "num_ack_pending")]
    pub(super) taken: i64,
}

/// Reads it from the answer to `CONSUMER.INFO`; nothing where that is a refusal.
pub(super) fn queue(payload: &[u8]) -> Option<Queue> {
    serde_json::from_slice(payload).ok()
}

#[derive(Deserialize)]
struct Timed {
    ts: String,
}

/// The server's time of day in Unix milliseconds, by the answer to `STREAM.INFO`; nothing where it does not tell.
pub(super) fn time(payload: &[u8]) -> Option<i64> {
    let Timed { ts } = serde_json::from_slice(payload).ok()?;
    let time = OffsetDateTime::parse(&ts, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The oldest server that will do: it has batched direct gets and per-message headers as used here.
const OLDEST: (u32, u32) = (2, 11);

/// What is wrong with a server of this version; nothing where it will do.
pub(super) fn judge_version(version: &str) -> Option<String> {
    let mut parts = version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => None,
        _ => Some(format!("server {version} is too old: {}.{} or newer is needed", OLDEST.0, OLDEST.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        for good in ["2.11.0", "2.15.1", "3.0.0", "2.12.0-preview.1", "2.11"] {
            assert_eq!(judge_version(good), None);
        }
        for bad in ["2.9.10", "2.10.29", "1.99.0", "", "nats"] {
            assert!(judge_version(bad).unwrap().contains("too old: 2.11 or newer"), "{bad}");
        }
    }

    #[test]
    fn acks_are_told_apart() {
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages per subject exceeded"}}"#;
        let disk = r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#;
        assert_eq!(ack(full.as_bytes()), Ok(Ack::SubjectFull));
        assert_eq!(ack(disk.as_bytes()), Err("maximum bytes exceeded".to_owned()));
        let twice =
            r#"{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"}}"#;
        assert_eq!(ack(twice.as_bytes()), Ok(Ack::InProcess));
        assert_eq!(ack(br#"{"stream":"JOBS","seq":4}"#), Ok(Ack::Stored));
        assert_eq!(ack(br#"{"stream":"JOBS","seq":4,"duplicate":true}"#), Ok(Ack::Duplicate));
        assert!(ack(b"hello").is_err());
    }

    #[test]
    fn the_depth_of_a_queue_is_in_the_answer_unless_that_is_a_refusal() {
        let answer = br#"{"name":"default","num_ack_pending":3,"num_redelivered":1,"num_pending":17}"#;
        assert_eq!(queue(answer), Some(Queue { waiting: 17, taken: 3 }));
        assert_eq!(
            queue(br#"{"error":{"code":404,"err_code":10014,"description":"consumer not found"}}"#),
            None
        );
    }

    #[test]
    fn the_time_of_the_server_is_in_the_answer() {
        let answer = br#"{"type":"io.nats.jetstream.api.v1.stream_info_response","ts":"2025-11-24T16:00:03.007123456Z"}"#;
        assert_eq!(time(answer), Some(1_764_000_003_007));
        assert_eq!(time(br#"{"ts":"soon"}"#), None);
        assert_eq!(time(br#"{"error":{}}"#), None);
    }

    #[test]
    fn a_stream_of_the_same_name_but_another_kind_is_noticed() {
        let other = br#"{"config":{"name":"RESULTS","retention":"limits","allow_direct":true}}"#;
        assert!(judge_stream(RESULTS, other).unwrap().contains("not as this release needs it"));
        let good = br#"{"config":{"allow_direct":true,"republish":{"src":"in.>","dest":"out.>"}}}"#;
        assert_eq!(judge_stream(RESULTS, good), None);
        let missing = br#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
        assert_eq!(
            judge_stream(RESULTS, missing).unwrap(),
            "stream RESULTS is missing: run `promcast-gateway init`"
        );
    }

    #[test]
    fn a_stream_that_answers_but_can_store_nothing_is_noticed() {
        let config = r#""config":{"allow_direct":true,"republish":{"src":"in.>","dest":"out.>"}}"#;
        let judged =
            |cluster: &str| judge_stream(RESULTS, format!(r#"{{{config},"cluster":{cluster}}}"#).as_bytes());
        let whole = r#"{"leader":"n0","replicas":[{"name":"n1","current":true,"active":90000000},{"name":"n2","active":0}]}"#;
        let two = r#"{"leader":"n0","replicas":[{"active":90000000},{"offline":true,"active":60000000000}]}"#;
        for good in [whole, two, r#"{"leader":"n0"}"#] {
            assert_eq!(judged(good), None, "{good}");
        }
        // As a server of release 2.15.1 answers some seconds, and then longer, after the two others died.
        let alone =
            r#"{"leader":"n0","replicas":[{"current":true,"active":5300000000},{"active":5300000000}]}"#;
        assert_eq!(
            judged(alone).unwrap(),
            "stream RESULTS has lost its majority: 1 of 3 NATS servers are up"
        );
        let leaderless =
            r#"{"name":"promcast","replicas":[{"current":true,"active":1},{"current":false,"active":0}]}"#;
        assert!(
            judged(leaderless).unwrap().starts_with("stream RESULTS has no leader: too few NATS servers")
        );
        let consumer = format!(r#"{{"config":{{}},"cluster":{leaderless}}}"#);
        assert!(judge_consumer("c", consumer.as_bytes()).unwrap().starts_with("consumer c has no leader"));
    }
}
