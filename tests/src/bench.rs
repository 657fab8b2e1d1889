//! What fan-out costs, side by side: the gateway, a bare loop over sockets as the limit, nchan and Pushpin, with the same
//! events, the same client and the same machine, in rounds that follow each other closely.
//!
//! The server under test has a core of its own. The client, who feeds it, and NATS have another, and say how busy it was:
//! a number that was taken while they were the bottleneck says so.

pub mod client;
pub mod cores;
pub mod limit;
pub mod mark;
pub mod meter;
pub mod options;
pub mod payload;
pub mod publish;
pub mod report;
pub mod sample;
pub mod server;
pub mod session;
mod special;
pub mod suite;
