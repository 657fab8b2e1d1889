//! The gateway: terminates Server-Sent Events, and asks for each tick of what somebody streams.
//!
//! ```text
//! http ── auth ── scope ──Grant──▶ hub ──Feed──▶ sse ──bytes──▶ http
//!                                  │ ▲
//!                              jobs▼ │updates
//!                                  bus
//! ```
//!
//! [`http`] alone names status codes; [`scope`] alone makes grants, and the hub takes nothing else; [`hub`] keeps one
//! timeline for each topic, whoever reads it; [`sse`] turns what a connection reads into events; [`shard`] writes them to the
//! sockets that [`http`] hands over.

pub mod app;
pub mod auth;
pub mod backfill;
pub mod config;
pub mod connections;
pub mod fleet;
pub mod http;
pub mod hub;
pub mod line;
pub mod metrics;
pub mod reads;
pub mod scope;
pub mod shard;
pub mod sse;
pub mod subscribe;
