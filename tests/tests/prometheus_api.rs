//! The Prometheus API of the gateway, beside the one of the Prometheus behind it: the same answers for who sees everything, and
//! for others those of a Prometheus that holds nothing but what is theirs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "prometheus_api/clients.rs"]
mod clients;
#[path = "prometheus_api/edge.rs"]
mod edge;
#[path = "prometheus_api/rig.rs"]
mod rig;
#[path = "prometheus_api/same.rs"]
mod same;
#[path = "prometheus_api/sharing.rs"]
mod sharing;
#[path = "prometheus_api/tenants.rs"]
mod tenants;
