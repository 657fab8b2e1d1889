//! Pieces of a raw deflate stream (RFC 1951) that each end at a byte, so that they can be put one behind the other.

use flate2::{Compress, Compression, FlushCompress};

use crate::sse::piece::Piece;

/// How far back a deflate stream can refer (RFC 1951, 2).
const WINDOW: usize = 32 * 1024;

/// From this size on a text is compressed fast and not well: whoever sends it first does the work, and others wait for that.
const LARGE: usize = 64 * 1024;

/// The most bytes of a stored block (RFC 1951, 3.2.4).
const STORED_MAX: usize = 0xFFFF;

/// The block that ends a stream: the last one, of the fixed codes, empty.
pub(super) const LAST: [u8; 2] = [0x03, 0x00];

/// A text that refers to nothing but itself.
pub(in crate::sse) fn alone(text: &[u8]) -> Piece {
    deflate(&[], text)
}

/// A text that refers to what stands before it: `history`, and then `gap` bytes that can be anything. Nothing where those are so
/// many that it is not worth it, or where the text could be taken for what stands in their place.
pub(in crate::sse) fn after(history: &[u8], gap: usize, text: &[u8]) -> Option<Piece> {
    const FILLER: u8 = 0;
    if gap > WINDOW / 16 || text.contains(&FILLER) {
        return None;
    }
    let from = history.len().saturating_sub(WINDOW - gap);
    let history = history.get(from..).unwrap_or_default();
    let mut dictionary = Vec::with_capacity(history.len() + gap);
    dictionary.extend_from_slice(history);
    // The text has no such byte, so it never refers to one of these.
    dictionary.resize(history.len() + gap, FILLER);
    Some(deflate(&dictionary, text))
}

/// A text as it is, in as many blocks as it takes: for what is too short to be compressed.
pub(in crate::sse) fn stored(text: &[u8]) -> Piece {
    let mut blocks = Vec::with_capacity(text.len() + 5);
    for part in text.chunks(STORED_MAX) {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        blocks.push(0);
        blocks.extend_from_slice(&length.to_le_bytes());
        blocks.extend_from_slice(&(!length).to_le_bytes());
        blocks.extend_from_slice(part);
    }
    Piece::new(&blocks)
}

fn deflate(dictionary: &[u8], text: &[u8]) -> Piece {
    try_deflate(dictionary, text).map_or_else(|_| stored(text), |block| Piece::new(&block))
}

fn try_deflate(dictionary: &[u8], text: &[u8]) -> Result<Vec<u8>, flate2::CompressError> {
    let level = if text.len() < LARGE { Compression::default() } else { Compression::fast() };
    let mut compress = Compress::new(level, false);
    if !dictionary.is_empty() {
        compress.set_dictionary(dictionary)?;
    }
    let mut block = Vec::with_capacity(text.len() / 8 + 128);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        compress.compress_vec(text.get(taken..).unwrap_or_default(), &mut block, FlushCompress::Sync)?;
        // Room that is left says that nothing is left to be written.
        if block.len() < block.capacity() {
            return Ok(block);
        }
        block.reserve(block.capacity());
    }
}
