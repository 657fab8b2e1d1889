//! Who is let in and how far they see, with the whole gateway: by tokens of a real issuer, by an API server's reviews.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "access/abuse.rs"]
mod abuse;
#[path = "access/changes.rs"]
mod changes;
#[path = "access/jwt.rs"]
mod jwt;
#[path = "access/kubernetes.rs"]
mod kubernetes;
#[path = "access/rig.rs"]
mod rig;
#[path = "access/tickets.rs"]
mod tickets;
