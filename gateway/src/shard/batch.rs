//! Pieces of a stream that are written together, each a chunk of its own.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};

use crate::sse::Piece;

/// Pieces in one write: with the end of the body, what fits into an array of [`SLICES`].
const PIECES: usize = SLICES - 1;

/// Slices given to the system at once.
const SLICES: usize = 32;

/// No piece is added to a batch that has so many bytes: the socket takes little more at once.
const ENOUGH: usize = 64 * 1024;

/// The chunk that ends a body (RFC 9112, 7.1).
const END: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// Who takes bytes, and says how many it took; nothing where it would have to wait.
pub(super) trait Sink {
    /// One run of bytes.
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Several, one behind the other.
    fn send_all(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

/// What is written next. Made anew for each write, of the same memory.
#[derive(Default)]
pub(super) struct Batch {
    chunks: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.bytes = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.chunks.len() >= PIECES || self.bytes >= ENOUGH
    }

    /// One more piece.
    pub(super) fn push(&mut self, piece: Piece) {
        self.add(piece.into_chunk());
    }

    /// It is the end of the body.
    pub(super) fn end(&mut self) {
        self.add(END);
    }

    fn add(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        self.chunks.push(chunk);
    }

    /// Writes it, as far as the sink takes it. What is not taken is put into `rest`; behind what is there already all of it is.
    pub(super) fn write(&mut self, sink: &impl Sink, rest: &mut VecDeque<Bytes>) -> io::Result<()> {
        if !rest.is_empty() {
            rest.extend(self.chunks.drain(..));
            return Ok(());
        }
        let written = if let [chunk] = self.chunks.as_slice() {
            // Mostly there is one update for one connection, and one call that takes one run is the cheapest.
            sink.send(chunk)?
        } else {
            write(self.chunks.iter(), sink)?
        };
        if written < self.bytes {
            rest.extend(self.chunks.drain(..));
            advance(rest, written);
        }
        Ok(())
    }
}

/// Writes what is left, as far as the sink takes it.
pub(super) fn write_rest(rest: &mut VecDeque<Bytes>, sink: &impl Sink) -> io::Result<usize> {
    let written = write(rest.iter(), sink)?;
    advance(rest, written);
    Ok(written)
}

fn write<'a>(chunks: impl ExactSizeIterator<Item = &'a Bytes>, sink: &impl Sink) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = chunks.len().min(SLICES);
    for (slice, chunk) in slices.iter_mut().zip(chunks) {
        *slice = IoSlice::new(chunk);
    }
    sink.send_all(slices.get(..count).unwrap_or(&slices))
}

fn advance(rest: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = rest.front_mut() {
        let some = written.min(first.len());
        first.advance(some);
        written -= some;
        if !first.is_empty() {
            return;
        }
        rest.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    /// A socket that takes so many bytes at a time, in turn.
    struct Socket {
        took: RefCell<Vec<u8>>,
        turns: RefCell<std::iter::Cycle<std::vec::IntoIter<usize>>>,
    }

    impl Socket {
        fn new(turns: Vec<usize>) -> Self {
            Self { took: RefCell::default(), turns: RefCell::new(turns.into_iter().cycle()) }
        }
    }

    impl Sink for Socket {
        fn send(&self, bytes: &[u8]) -> io::Result<usize> {
            let some = self.turns.borrow_mut().next().unwrap_or(1).min(bytes.len());
            self.took.borrow_mut().extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn send_all(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.send(&slices.iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<_>>())
        }
    }

    proptest! {
        #[test]
        fn however_little_a_socket_takes_it_gets_all_of_it_in_order(
            batches in prop::collection::vec(prop::collection::vec(1..300usize, 0..12), 1..8),
            turns in prop::collection::vec(0..400usize, 1..6).prop_filter("it takes some", |turns| turns.iter().any(|some| *some > 0)),
            patience in prop::collection::vec(0..4usize, 8),
        ) {
            let (mut batch, mut rest, mut expected) = (Batch::default(), VecDeque::new(), Vec::new());
            let socket = Socket::new(turns);
            let last = batches.len() - 1;
            for (index, sizes) in batches.into_iter().enumerate() {
                batch.clear();
                for size in sizes {
                    let bytes = "x".repeat(size);
                    batch.push(Piece::new(bytes.as_bytes()));
                    expected.extend_from_slice(format!("{size:x}\r\n{bytes}\r\n").as_bytes());
                }
                if index == last {
                    batch.end();
                    expected.extend_from_slice(b"0\r\n\r\n");
                }
                if batch.is_empty() {
                    continue;
                }
                batch.write(&socket, &mut rest).unwrap();
                for _ in 0..patience[index] {
                    write_rest(&mut rest, &socket).unwrap();
                }
            }
            while !rest.is_empty() {
                write_rest(&mut rest, &socket).unwrap();
            }
            prop_assert_eq!(String::from_utf8(socket.took.into_inner()).unwrap(), String::from_utf8(expected).unwrap());
        }
    }

    #[test]
    fn a_batch_holds_as_many_pieces_as_the_system_is_given_at_once() {
        let (mut batch, piece) = (Batch::default(), Piece::new(b"x"));
        while !batch.is_full() {
            batch.push(piece.clone());
        }
        batch.end();
        let (mut rest, socket) = (VecDeque::new(), Socket::new(vec![usize::MAX]));
        batch.write(&socket, &mut rest).unwrap();
        let whole = PIECES * piece.chunk().len() + "0\r\n\r\n".len();
        assert_eq!((socket.took.into_inner().len(), rest.len()), (whole, 0));
    }
}
