//! The names on NATS: subjects, streams, consumers and message ids. One place, so that permissions can be read off it.

use promcast_proto::tick::Tick;
use promcast_proto::topic::{Address, Datasource, Key};
use promcast_proto::update::{Outcome, Update};

/// The stream of jobs.
pub(super) const JOBS: &str = "JOBS";
/// The stream of updates.
pub(super) const RESULTS: &str = "RESULTS";
/// What [`JOBS`] takes in.
pub(super) const ALL_JOBS: &str = "job.>";
/// What [`RESULTS`] takes in.
pub(super) const ALL_IN: &str = "in.>";
/// What [`RESULTS`] hands on, under the same tail.
pub(super) const ALL_OUT: &str = "out.>";

/// What gateways say to each other.
pub(super) const CONTROL: &str = "ctl.gateway";

/// What pollers of a datasource are asked.
pub(super) fn asks(datasource: &Datasource) -> String {
    format!("ask.{datasource}")
}

pub(super) fn job(datasource: &Datasource, key: Key) -> String {
    format!("job.{datasource}.{key}")
}

/// All jobs of a datasource.
pub(super) fn jobs(datasource: &Datasource) -> String {
    format!("job.{datasource}.>")
}

/// The durable consumer through which all pollers of a datasource pull.
pub(super) fn consumer(datasource: &Datasource) -> String {
    format!("pollers-{datasource}")
}

/// Where an update is published: results and errors apart, so that the last good value outlives errors.
pub(super) fn update(datasource: &Datasource, update: &Update) -> String {
    let tail = match update.outcome {
        Outcome::Result(_) => "ok",
        Outcome::Failure(_) => "err",
    };
    format!("in.{datasource}.{}.{tail}", update.key)
}

/// The updates of a topic, as the stream has them.
pub(super) fn stored(address: &Address) -> String {
    format!("in.{}.{}.*", address.datasource, address.key)
}

/// The results, `ok`, or the errors, `err`, of a topic, as the stream has them.
pub(super) fn newest(address: &Address, tail: &str) -> String {
    format!("in.{}.{}.{tail}", address.datasource, address.key)
}

/// The updates of a topic, as subscribers get them.
pub(super) fn live(address: &Address) -> String {
    format!("out.{}.{}.*", address.datasource, address.key)
}

/// The message id by which the stream knows an update.
pub(super) fn update_id(update: &Update) -> String {
    format!("{}:{}", update.key, update.tick)
}

/// The message id by which the stream knows a job.
pub(super) fn job_id(key: Key, tick: Tick, attempt: u32) -> String {
    if attempt == 0 { format!("{key}:{tick}") } else { format!("{key}:{tick}:{attempt}") }
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::Topic;

    use super::*;

    #[test]
    fn names_are_pinned() {
        // Two neighbouring releases meet on these.
        let topic = Topic::new(Datasource::default(), "up".to_owned());
        let key = topic.key();
        assert_eq!(job(topic.datasource(), key), "job.default.c5uave30lhlt6q138i7i9djv28");
        assert_eq!(stored(topic.address()), "in.default.c5uave30lhlt6q138i7i9djv28.*");
        assert_eq!(live(topic.address()), "out.default.c5uave30lhlt6q138i7i9djv28.*");
        assert_eq!(asks(topic.datasource()), "ask.default");
        assert_eq!(consumer(topic.datasource()), "pollers-default");
        assert_eq!(job_id(key, Tick::from_millis(5), 0), "c5uave30lhlt6q138i7i9djv28:5");
        assert_eq!(job_id(key, Tick::from_millis(5), 2), "c5uave30lhlt6q138i7i9djv28:5:2");
    }
}
