//! The way of an update from its tick to a client: how long all of it takes, where the time goes, and how old data are.

use std::time::Duration;

use promcast_proto::tick::Tick;
use prometheus::local::LocalHistogram;
use prometheus::{Error, Histogram, HistogramOpts, HistogramVec, Registry};

/// Seconds, from in time to a minute of outage.
const LATENESS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Seconds of one part, which should be a small one.
const PARTS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Seconds, from the shortest interval to five times the longest.
const AGES: &[f64] = &[5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1500.0];

/// One event of so many is looked at for the part of the hub: an event costs one observation, and not two.
const SAMPLED: u32 = 16;

/// The metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Way {
    tick_lateness: Histogram,
    data_age: Histogram,
    update_lateness: Histogram,
    delivery: Histogram,
    query: Histogram,
    bus: Histogram,
    hub: Histogram,
    write: Histogram,
}

/// An update that a connection was given, whose tick came due while it was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    tick: Tick,
    /// When the update came, where that is looked at.
    arrived: Option<Tick>,
}

impl Delivery {
    /// The update of `tick`, which came at `arrived`, is the `count`-th event of its connection.
    pub fn new(tick: Tick, arrived: Option<Tick>, count: u32) -> Self {
        Self { tick, arrived: arrived.filter(|_| count.is_multiple_of(SAMPLED)) }
    }
}

/// Deliveries that are counted by one task for itself, and told together.
#[derive(Debug)]
pub struct Tally {
    delivery: LocalHistogram,
    way: Way,
}

impl Tally {
    /// One more.
    pub fn delivered(&self, delivery: Delivery, now: Tick) {
        self.delivery.observe(seconds(now.since(delivery.tick)));
        self.way.taken(delivery, now);
    }

    /// Tells them.
    pub fn tell(&self) {
        self.delivery.flush();
    }
}

impl Way {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| -> Result<Histogram, Error> {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let help = "Where the time from a tick to a client goes. query: the upstream. bus: all else until the update was here. \
            hub: until a connection took it, of one event in sixteen. write: while a socket took no bytes.";
        let options = HistogramOpts::new("promcast_gateway_delivery_part_seconds", help);
        let parts = HistogramVec::new(options.buckets(PARTS.to_vec()), &["part"])?;
        registry.register(Box::new(parts.clone()))?;
        let [query, bus, hub, write] =
            ["query", "bus", "hub", "write"].map(|part| parts.with_label_values(&[part]));
        Ok(Self {
            tick_lateness: histogram(
                "promcast_gateway_tick_lateness_seconds",
                "From a tick until the bus had taken the job of it.",
                LATENESS,
            )?,
            data_age: histogram(
                "promcast_gateway_data_age_seconds",
                "Age of the newest result of a topic, each time that one of its ticks is asked for. Errors are no results.",
                AGES,
            )?,
            update_lateness: histogram(
                "promcast_gateway_update_lateness_seconds",
                "From a tick until its update was here.",
                LATENESS,
            )?,
            delivery: histogram(
                "promcast_gateway_delivery_seconds",
                "From a tick that came due while a client was connected until its update was handed to the client's socket.",
                LATENESS,
            )?,
            query,
            bus,
            hub,
            write,
        })
    }

    /// The bus has taken the job of `tick`, where the newest result of the topic is that of `newest`.
    pub fn asked(&self, tick: Tick, newest: Option<Tick>, now: Tick) {
        self.tick_lateness.observe(seconds(now.since(tick)));
        if let Some(newest) = newest {
            self.data_age.observe(seconds(now.since(newest)));
        }
    }

    /// The update of `tick` is here, whose query took so long.
    pub fn arrived(&self, tick: Tick, query: Duration, now: Tick) {
        let (late, query) = (seconds(now.since(tick)), query.as_secs_f64());
        self.update_lateness.observe(late);
        self.query.observe(query);
        self.bus.observe((late - query).max(0.0));
    }

    /// An event was handed to a socket.
    pub fn delivered(&self, delivery: Delivery, now: Tick) {
        self.delivery.observe(seconds(now.since(delivery.tick)));
        self.taken(delivery, now);
    }

    fn taken(&self, delivery: Delivery, now: Tick) {
        if let Some(arrived) = delivery.arrived {
            self.hub.observe(seconds(now.since(arrived)));
        }
    }

    /// For whoever hands many events to sockets.
    pub fn tally(&self) -> Tally {
        Tally { delivery: self.delivery.local(), way: self.clone() }
    }

    /// A socket takes bytes again, after so long.
    pub fn unblocked(&self, after: Duration) {
        self.write.observe(after.as_secs_f64());
    }
}

/// Milliseconds in seconds; a clock that is behind shows none.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of lateness are far below 2^52")]
fn seconds(millis: i64) -> f64 {
    millis.max(0) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn the_parts_until_an_update_is_here_add_up() {
        let way = Way::new(&Registry::new()).unwrap();
        way.arrived(at(10_000), Duration::from_millis(300), at(10_750));
        let sums = [&way.update_lateness, &way.query, &way.bus].map(Histogram::get_sample_sum);
        assert!(sums.iter().zip([0.75, 0.3, 0.45]).all(|(sum, told)| (sum - told).abs() < 1e-9), "{sums:?}");
        // Clocks that differ do not make a part of less than nothing.
        way.arrived(at(10_000), Duration::from_millis(300), at(9_000));
        assert!((way.bus.get_sample_sum() - 0.45).abs() < 1e-9);
    }

    #[test]
    fn an_event_is_one_observation_and_one_in_sixteen_is_two() {
        let way = Way::new(&Registry::new()).unwrap();
        for count in 0..32 {
            way.delivered(Delivery::new(at(1_000), Some(at(1_500)), count), at(2_000));
        }
        assert_eq!((way.delivery.get_sample_count(), way.hub.get_sample_count()), (32, 2));
        assert!((way.hub.get_sample_sum() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_a_task_counts_for_itself_is_the_same_when_it_is_told() {
        let way = Way::new(&Registry::new()).unwrap();
        let tally = way.tally();
        for count in 0..32 {
            tally.delivered(Delivery::new(at(1_000), Some(at(1_500)), count), at(2_000));
        }
        assert_eq!(way.delivery.get_sample_count(), 0);
        tally.tell();
        tally.tell();
        assert_eq!((way.delivery.get_sample_count(), way.hub.get_sample_count()), (32, 2));
        assert!((way.delivery.get_sample_sum() - 32.0).abs() < 1e-9);
    }

    #[test]
    fn data_that_are_not_there_have_no_age() {
        let way = Way::new(&Registry::new()).unwrap();
        way.asked(at(10_000), None, at(10_100));
        way.asked(at(15_000), Some(at(10_000)), at(15_100));
        assert_eq!((way.tick_lateness.get_sample_count(), way.data_age.get_sample_count()), (2, 1));
        assert!((way.data_age.get_sample_sum() - 5.1).abs() < 1e-9);
    }
}
