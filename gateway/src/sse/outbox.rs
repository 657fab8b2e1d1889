//! What a connection is about to be sent, as pieces in the content coding of its response.

use std::collections::VecDeque;

use super::gzip::{self, Gzip};
use super::piece::Piece;
use super::text::Text;

/// How a stream is coded on its way (RFC 9110, 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Compressed.
    Gzip,
}

/// Pieces that wait to be sent.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The first of them. Mostly it is the only one, and needs no memory elsewhere.
    first: Option<Piece>,
    /// Those behind it.
    others: VecDeque<Piece>,
    gzip: Option<Box<Gzip>>,
}

impl Outbox {
    /// Empty but for what the coding begins with.
    pub(super) fn new(coding: Coding) -> Self {
        let (first, gzip) = match coding {
            Coding::Identity => (None, None),
            Coding::Gzip => (Some(Piece::new(&gzip::HEAD)), Some(Box::default())),
        };
        Self { first, others: VecDeque::new(), gzip }
    }

    /// A text that others send as well.
    pub(super) fn text(&mut self, text: &Text) {
        let piece = match &mut self.gzip {
            None => text.plain().clone(),
            Some(gzip) => gzip.text(text),
        };
        self.push(piece);
    }

    /// Bytes of the connection's own.
    pub(super) fn own(&mut self, bytes: &[u8]) {
        let piece = match &mut self.gzip {
            None => Piece::new(bytes),
            Some(gzip) => gzip.own(bytes),
        };
        self.push(piece);
    }

    /// Nothing comes behind it.
    pub(super) fn end(&mut self) {
        if let Some(end) = self.gzip.as_ref().map(|gzip| gzip.end()) {
            self.push(end);
        }
    }

    fn push(&mut self, piece: Piece) {
        if piece.is_empty() {
            return;
        }
        match &self.first {
            None => self.first = Some(piece),
            Some(_) => self.others.push_back(piece),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The next piece.
    pub(super) fn pop(&mut self) -> Option<Piece> {
        std::mem::replace(&mut self.first, self.others.pop_front())
    }
}
