//! Server-Sent Events: what stands in an event, and how a connection's events become an HTTP body.
//!
//! [`Frame`] is an event of a topic, rendered once in each [`Format`] that is asked for and shared by all connections
//! that send it; [`Span`] is the same for the ticks of a time that is over. [`event`] writes the events that are a
//! connection's own. [`Stream`] decides what a connection sends next; how the bytes reach a socket is not its business.

pub mod event;
mod failed;
pub mod format;
pub mod frame;
mod rendered;
pub mod span;
mod stream;

pub use format::compact::{Memory, Schema};
pub use format::{Format, UnknownFormat};
pub use frame::Frame;
pub use rendered::Rendered;
pub use span::Span;
pub use stream::{Parts, Rhythm, Stream};
