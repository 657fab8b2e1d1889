//! Server-Sent Events: what stands in an event, and how a connection's events become an HTTP body.
//!
//! [`Frame`] is an event of a topic, rendered once in each [`Format`] that is asked for and shared by all connections
//! that send it; [`Span`] is the same for the ticks of a time that is over. [`event`] writes the events that are a
//! connection's own. [`Stream`] decides what a connection sends next; how the bytes reach a socket is not its business: [`Body`] gives
//! them to the HTTP library, and the shards write them to sockets of their own.

mod body;
pub mod event;
mod failed;
pub mod format;
pub mod frame;
mod gzip;
mod outbox;
mod piece;
mod places;
mod rendered;
pub mod span;
mod stream;
mod text;
mod turns;
mod watch;

pub use body::Body;
pub use format::compact::{Memory, Schema};
pub use format::{Format, UnknownFormat};
pub use frame::Frame;
pub use outbox::Coding;
pub use piece::Piece;
pub use rendered::Rendered;
pub use span::Span;
pub use stream::{Parts, Rhythm, Stream};
pub use text::Text;
pub use turns::Turns;
