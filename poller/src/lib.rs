//! The poller: takes jobs from the bus, asks Prometheus, publishes what it says.
//!
//! It holds nothing: no membership, no schedule, no history. Any number of pollers share the work by pulling from the
//! same queues, and what one leaves undone is delivered to another.
//!
//! - [`workers`]: from a queue to the bus, so many jobs at once; `lanes`: places that slow queries cannot take
//! - [`evaluate`]: from a job to its update
//! - `asks`: answers to questions outside the ticks
//! - [`prometheus`]: from a query to an answer; [`encode`]: from an answer to the bytes of an event
//! - [`backoff`]: what spares an upstream that is down
//! - [`config`], [`metrics`], [`app`]: the program around them

pub mod app;
mod asks;
pub mod backoff;
pub mod config;
pub mod encode;
pub mod evaluate;
mod lanes;
pub mod metrics;
pub mod prometheus;
pub mod secret;
#[cfg(test)]
mod stub;
pub mod workers;

pub use workers::Workers;
