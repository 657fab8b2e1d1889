//! A client's socket: watched for whether it takes bytes, and given up when it has not for too long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::connections::Pressure;
use crate::metrics::{ConnectionError, Metrics};

/// A socket whose writes fail once it has taken no byte for the stall time.
pub(super) struct Watched<S> {
    inner: S,
    pressure: Arc<Pressure>,
    metrics: Metrics,
    stall: Duration,
    /// Runs while the socket takes no byte.
    stalled: Pin<Box<Sleep>>,
    blocked: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, pressure: Arc<Pressure>, stall: Duration, metrics: Metrics) -> Self {
        Self { inner, pressure, metrics, stall, stalled: Box::pin(sleep(stall)), blocked: false }
    }

    /// The socket, no longer watched.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    /// The socket, to look at.
    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    /// Takes note of what became of a write.
    fn note(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            if std::mem::take(&mut self.blocked) {
                self.pressure.set(false);
                let began = self.stalled.deadline() - self.stall;
                self.metrics.way.unblocked(began.elapsed());
            }
            return wrote;
        }
        if !self.blocked {
            self.blocked = true;
            self.pressure.set(true);
            self.stalled.as_mut().reset(Instant::now() + self.stall);
        }
        ready!(self.stalled.as_mut().poll(cx));
        self.metrics.connection_error(ConnectionError::WriteStalled).inc();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client took no byte for too long")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.note(cx, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.note(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn watched() -> (Watched<tokio::io::DuplexStream>, tokio::io::DuplexStream, Arc<Pressure>) {
        let (ours, theirs) = tokio::io::duplex(64);
        let pressure = Arc::new(Pressure::default());
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        (Watched::new(ours, pressure.clone(), Duration::from_secs(10), metrics), theirs, pressure)
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_nothing_is_given_up_after_the_stall_time() {
        let (mut ours, _theirs, _) = watched();
        let started = Instant::now();
        let error = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 10);
        assert_eq!(ours.metrics.connection_error(ConnectionError::WriteStalled).get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_socket_is_not_given_up() {
        let (mut ours, mut theirs, pressure) = watched();
        let reader = async {
            let mut some = [0; 10];
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                theirs.read_exact(&mut some).await.unwrap();
            }
        };
        let (wrote, ()) = tokio::join!(ours.write_all(&[0; 200]), reader);
        wrote.unwrap();
        assert!(!pressure.is_blocked(&Context::from_waker(std::task::Waker::noop())));
    }
}
