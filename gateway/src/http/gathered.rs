//! A socket whose writes are gathered: what an HTTP library writes in one turn goes to the system at once.
//!
//! An HTTP/2 library writes each frame by itself, and flushes it. With many streams on a connection a call to the system for each
//! of their events costs more than all else; so a flush means nothing here, and whoever drives the connection sends what there is
//! when the library has had its turn.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are gathered. Beyond, what is there is sent first.
const ENOUGH: usize = 32 * 1024;

/// The largest frame of HTTP/2 that our library makes by itself (RFC 9113, 4.2), with its head: what a last write may add.
const FRAME: usize = 16 * 1024 + 9;

/// Buffers that are kept for the next connections: as many as could be in use at a time, each by a thread that runs one.
const SPARE: usize = 16;

/// Buffers that connections lend each other: one needs none but during its turn, and where its client takes no more. Cheap to clone.
#[derive(Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// The socket, for the library.
pub(super) struct Gathered<S>(Arc<Mutex<Inner<S>>>);

/// What was gathered, for whoever drives the connection.
pub(super) struct Sheaf<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    socket: S,
    /// Lent, while there is something in it.
    bytes: Vec<u8>,
    /// So many of them are sent.
    sent: usize,
    buffers: Buffers,
}

/// Both ends of a socket.
pub(super) fn gather<S>(socket: S, buffers: Buffers) -> (Gathered<S>, Sheaf<S>) {
    let inner = Arc::new(Mutex::new(Inner { socket, bytes: Vec::new(), sent: 0, buffers }));
    (Gathered(inner.clone()), Sheaf(inner))
}

impl Buffers {
    fn lend(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_else(|| Vec::with_capacity(ENOUGH + FRAME))
    }

    fn take_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.0.lock();
        if spare.len() < SPARE {
            spare.push(buffer);
        }
    }
}

impl<S: AsyncWrite + Unpin> Sheaf<S> {
    /// Sends all that was gathered.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                some => self.sent += some,
            }
        }
        if !self.bytes.is_empty() {
            self.buffers.take_back(std::mem::take(&mut self.bytes));
            self.sent = 0;
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.bytes.len() >= ENOUGH {
            ready!(self.poll_send(cx))?;
        }
        if self.bytes.is_empty() {
            self.bytes = self.buffers.lend();
        }
        let mut taken = 0;
        for slice in slices {
            // A body in one piece may be of any size, and is not copied as a whole.
            let some = slice.len().min(ENOUGH + FRAME - self.bytes.len());
            self.bytes.extend_from_slice(slice.get(..some).unwrap_or_default());
            taken += some;
        }
        Poll::Ready(Ok(taken))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_take(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_take(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// That is what [`Sheaf::poll_send`] is for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_written_in_a_turn_is_sent_together_and_not_before() {
        let (ours, mut theirs) = duplex(64 * 1024);
        let (mut gathered, sheaf) = gather(ours, Buffers::default());
        for frame in [b"one ", b"two "] {
            gathered.write_all(frame).await.unwrap();
            gathered.flush().await.unwrap();
        }
        let mut read = [0; 64];
        let waiting = futures_util::poll!(std::pin::pin!(theirs.read(&mut read)));
        assert!(waiting.is_pending(), "something was sent in the middle of a turn");
        poll_fn(|cx| sheaf.poll_send(cx)).await.unwrap();
        assert_eq!(theirs.read(&mut read).await.unwrap(), 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_bytes_arrive_in_order_however_they_are_written_and_read(
            writes in prop::collection::vec(0..40_000usize, 1..12),
            room in 1..8_000usize,
            turn in 1..4usize,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let all: Vec<u8> = (0..251).cycle().take(writes.iter().sum()).collect();
            let read = runtime.block_on(async {
                let (ours, mut theirs) = duplex(room);
                let (mut gathered, sheaf) = gather(ours, Buffers::default());
                let writing = async {
                    let mut rest = all.as_slice();
                    for (number, some) in writes.iter().enumerate() {
                        let (now, later) = rest.split_at(*some);
                        gathered.write_all(now).await.unwrap();
                        rest = later;
                        if number % turn == 0 {
                            poll_fn(|cx| sheaf.poll_send(cx)).await.unwrap();
                        }
                    }
                    gathered.shutdown().await.unwrap();
                    drop((gathered, sheaf));
                };
                let mut read = Vec::new();
                let (_, got) = tokio::join!(writing, theirs.read_to_end(&mut read));
                got.unwrap();
                read
            });
            prop_assert!(read == all, "{} of {} bytes", read.len(), all.len());
        }
    }
}
