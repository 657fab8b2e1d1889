//! How events get to a server: by HTTP to the peers, over NATS to the gateway.

use super::mark::{self, Mark};
use super::payload::Template;

mod bus;
mod http;

pub use bus::{Feed, INTERVAL, OverBus, update};
pub use http::{Form, OverHttp};

/// Publishes the events of channels.
pub trait Publisher: Send {
    /// Publishes the event of this number. Does not wait for anybody.
    fn publish(&mut self, channel: usize, number: u32);

    /// Goes on with what could not be sent at once. Called often.
    fn settle(&mut self) {}

    /// What went wrong, if anything.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The body of an event that is published now.
fn body(template: &Template, number: u32) -> Vec<u8> {
    template.body(Mark { number, at: mark::now() })
}
