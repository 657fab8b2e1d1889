//! The ground floor that gateway and poller stand on: bus, clock, configuration, lifecycle, logs, TLS towards servers,
//! and the admin listener.
//!
//! It knows neither of them.

pub mod admin;
pub mod bus;
pub mod clock;
pub mod config;
pub mod executor;
pub mod healthcheck;
pub mod lifecycle;
pub mod process;
pub mod telemetry;
pub mod tls;
pub mod trace;
