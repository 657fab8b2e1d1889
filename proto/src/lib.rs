//! The wire of Promcast: what gateways and pollers say to each other, and the arithmetic both must agree on.
//!
//! Pure: no runtime, no I/O, no clock. Whoever needs "now" passes it in.
//!
//! - [`topic`]: which query of which datasource, and its key
//! - [`tick`]: when a topic is evaluated
//! - [`cursor`]: how far a connection has read, as an SSE `id`
//! - [`job`], [`update`], [`ask`], [`control`]: the messages; [`envelope`] puts them into bytes
//! - [`body`]: the rendered result inside an update
//! - [`code`], [`problem`]: the closed lists of reasons that clients may rely on
//!
//! # Versioning
//!
//! Every message travels in an [`envelope`] with a major version. Within a major version fields may be added:
//! a reader ignores fields that it does not know, and a field added later has a default. A change that an older
//! reader would misread raises [`envelope::VERSION`], which older readers refuse by name. So two neighbouring
//! releases can share one bus.

pub mod ask;
pub mod body;
pub mod code;
pub mod control;
pub mod cursor;
pub mod envelope;
pub mod job;
pub mod problem;
pub mod tick;
pub mod topic;
pub mod update;
