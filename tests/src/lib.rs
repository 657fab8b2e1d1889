//! What the end-to-end tests stand on: the real programs, a real Prometheus, a real bus, and clients that are not ours.
//!
//! Nothing here knows the insides of a program. A test starts them as an operator would, by their flags, and looks at
//! them as a user would, by their sockets. Everything listens on port 0 of a loopback address and ends with its handle.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "this crate is only used by tests: it fails by panicking and says so on stderr"
)]

mod answer;
pub mod bench;
pub mod chaos;
pub mod dashboard;
pub mod growth;
pub mod http;
pub mod instructions;
pub mod journey;
pub mod kube_api;
pub mod load_balancer;
pub mod measure;
pub mod nats;
pub mod oidc;
pub mod otlp;
pub mod part;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod promql;
pub mod raw;
pub mod rig;
pub mod sim;
pub mod stack;
pub mod stream;
pub mod tenants;
pub mod ticks;
pub mod upstream;
pub mod wait;
mod write;
