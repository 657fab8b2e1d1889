//! Who somebody is and what they may see, as the Kubernetes API server says; and nothing where it does not say so.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "kubernetes_reviewer/access.rs"]
mod access;
#[path = "kubernetes_reviewer/faults.rs"]
mod faults;
#[path = "kubernetes_reviewer/identity.rs"]
mod identity;
#[path = "kubernetes_reviewer/keeping.rs"]
mod keeping;
#[path = "kubernetes_reviewer/manifest.rs"]
mod manifest;
#[path = "kubernetes_reviewer/rig.rs"]
mod rig;
#[path = "kubernetes_reviewer/starting.rs"]
mod starting;
