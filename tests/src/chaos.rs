//! Chaos: an installation with many viewers, faults that are really inflicted, and a judge who reads every viewer's log.
//!
//! The promise under test: every viewer sees every evaluation exactly once, in order, on any replica, through any
//! single failure, or is told in the stream what was lost.

pub mod fault;
pub mod journal;
pub mod path;
pub mod rig;
pub mod verdict;
pub mod viewer;
