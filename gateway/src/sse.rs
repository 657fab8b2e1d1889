//! Server-Sent Events: what stands in an event, and how a connection's events become an HTTP body.
//!
//! [`Frame`] is the bytes of an event, made once and shared by all connections that send it. [`event`] writes the
//! events that are a connection's own. [`Stream`] decides what a connection sends next; how the bytes reach a socket
//! is not its business.

pub mod event;
pub mod frame;
mod stream;

pub use frame::Frame;
pub use stream::{Parts, Rhythm, Stream};
