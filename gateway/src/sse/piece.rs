//! Bytes of a stream as they stand on the wire of HTTP/1.1, where each piece is a chunk of its own (RFC 9112, 7.1).

use std::io::Write;

use bytes::Bytes;

/// The line before a chunk: at most 16 hexadecimal digits.
const LINE: usize = 18;

const CRLF: &[u8] = b"\r\n";

/// Some bytes of a stream, with the frame of a chunk around them, so that whoever writes chunks can hand it to the system as it is.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    chunk: Bytes,
    /// Bytes of the line before.
    line: u8,
}

impl Piece {
    /// These bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self::of(&[bytes])
    }

    /// These bytes, one part behind the other. A chunk without bytes would end the body, so nothing is nothing.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes == 0 {
            return Self::default();
        }
        let mut chunk = Vec::with_capacity(LINE + bytes + CRLF.len());
        // Writing to memory cannot fail.
        write!(chunk, "{bytes:x}\r\n").ok();
        let line = chunk.len();
        parts.iter().for_each(|part| chunk.extend_from_slice(part));
        chunk.extend_from_slice(CRLF);
        chunk.shrink_to_fit();
        Self { chunk: Bytes::from(chunk), line: u8::try_from(line).unwrap_or_default() }
    }

    /// The chunk.
    pub fn chunk(&self) -> &Bytes {
        &self.chunk
    }

    /// The chunk, for whoever sends it.
    pub fn into_chunk(self) -> Bytes {
        self.chunk
    }

    /// The bytes themselves.
    pub fn bare(&self) -> &[u8] {
        let end = self.chunk.len().saturating_sub(CRLF.len());
        self.chunk.get(usize::from(self.line)..end).unwrap_or_default()
    }

    /// The same, for whoever keeps them.
    pub fn to_bare(&self) -> Bytes {
        let end = self.chunk.len().saturating_sub(CRLF.len());
        if self.chunk.is_empty() { Bytes::new() } else { self.chunk.slice(usize::from(self.line)..end) }
    }

    /// Whether there is nothing to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_a_chunk_around_its_bytes() {
        let piece = Piece::of(&[b"0123456789", b"abcdef"]);
        assert_eq!(piece.chunk(), "10\r\n0123456789abcdef\r\n");
        assert_eq!(piece.bare(), b"0123456789abcdef");
        assert_eq!(piece.to_bare(), "0123456789abcdef");
    }

    #[test]
    fn nothing_is_no_chunk_for_that_would_be_the_end() {
        let piece = Piece::of(&[b"", b""]);
        assert!(piece.is_empty() && piece.bare().is_empty() && piece.to_bare().is_empty());
    }
}
