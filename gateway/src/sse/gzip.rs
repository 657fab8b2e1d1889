//! One connection's stream as gzip (RFC 1952), made of pieces that all connections share.
//!
//! A gzip stream of its own would cost each connection a window of what it has sent, and each event a compression for each
//! connection. So an event is compressed against the event that the connection was sent before, and nothing else. All whose last
//! event was the same get the same bytes, which are made once. Between two events a connection may be sent bytes of its own, of
//! which the second event knows the number only.

use super::piece::Piece;
use super::text::Text;
use sum::Running;

pub(super) mod block;
pub(super) mod sum;

/// What a gzip stream begins with: no name, no time, from no known system (RFC 1952, 2.3).
pub(super) const HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// Bytes of a connection's own that are sent as they are: compressing them would hardly make them fewer.
const SMALL: usize = 256;

/// What is known of what a connection was sent.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    sum: Running,
    last: Option<Text>,
    /// Bytes of the connection's own since then.
    gap: usize,
}

impl Gzip {
    /// A text that others send as well.
    pub(super) fn text(&mut self, text: &Text) -> Piece {
        let (sum, block) = text.zipped(self.last.as_ref().map(|last| (last, self.gap)));
        self.sum.add(&sum);
        (self.last, self.gap) = (Some(text.clone()), 0);
        block
    }

    /// Bytes of the connection's own.
    pub(super) fn own(&mut self, bytes: &[u8]) -> Piece {
        self.sum.add_bytes(bytes);
        self.gap += bytes.len();
        if bytes.len() < SMALL { block::stored(bytes) } else { block::alone(bytes) }
    }

    /// What stands behind the last piece.
    pub(super) fn end(&self) -> Piece {
        Piece::of(&[&block::LAST, &self.sum.trailer()])
    }
}

#[cfg(test)]
mod tests;
