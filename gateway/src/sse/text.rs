//! The text of an event that many connections send, and what it is compressed to, each made at most once.

use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::gzip::block;
use super::gzip::sum::Sum;
use super::piece::Piece;

/// Forms of a text behind different others that are kept; whoever comes with one more gets that which stands alone. Connections
/// of one topic need one, and one more for each length of what stood in between.
const FORMS_MAX: usize = 8;

/// A text. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Text(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plain: Piece,
    zipped: OnceLock<Zipped>,
}

#[derive(Debug)]
struct Zipped {
    sum: Sum,
    alone: OnceLock<Piece>,
    after: Mutex<Vec<After>>,
}

/// A text compressed behind another one.
#[derive(Debug)]
struct After {
    /// Held weakly: or each would hold all that were before it.
    last: Weak<Shared>,
    gap: usize,
    block: Piece,
}

impl Text {
    /// The text of these parts.
    pub(super) fn new(parts: &[&[u8]]) -> Self {
        Self(Arc::new(Shared { plain: Piece::of(parts), zipped: OnceLock::new() }))
    }

    /// As it is.
    pub fn plain(&self) -> &Piece {
        &self.0.plain
    }

    /// As pieces of a gzip stream whose last text was `last`, so many bytes ago, and what it adds to the checksum.
    pub(super) fn zipped(&self, last: Option<(&Self, usize)>) -> (Sum, Piece) {
        let new = || Zipped { sum: Sum::of(self), alone: OnceLock::new(), after: Mutex::default() };
        let zipped = self.0.zipped.get_or_init(new);
        let after = last.and_then(|(last, gap)| zipped.after(self, last, gap));
        (zipped.sum, after.unwrap_or_else(|| zipped.alone.get_or_init(|| block::alone(self)).clone()))
    }

    /// Bytes that its compressed forms hold.
    pub(super) fn zipped_size(&self) -> usize {
        self.0.zipped.get().map_or(0, |Zipped { alone, after, .. }| {
            let after: usize = after.lock().iter().map(|after| after.block.chunk().len()).sum();
            alone.get().map_or(0, |alone| alone.chunk().len()) + after
        })
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.plain.bare()
    }
}

impl Zipped {
    fn after(&self, plain: &[u8], last: &Text, gap: usize) -> Option<Piece> {
        // Held while it is made: whoever wants the same waits, and does not make it again.
        let mut forms = self.after.lock();
        let known = forms.iter().find(|form| form.gap == gap && form.last.as_ptr() == Arc::as_ptr(&last.0));
        if let Some(known) = known {
            return Some(known.block.clone());
        }
        if forms.len() >= FORMS_MAX {
            return None;
        }
        let block = block::after(last, gap, plain)?;
        forms.push(After { last: Arc::downgrade(&last.0), gap, block: block.clone() });
        Some(block)
    }
}
