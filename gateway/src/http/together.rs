//! A connection and all its streams in one task, turn by turn: first the streams say what they have, then the library writes it,
//! and then all of it is sent at once.
//!
//! With a task for each stream the runtime would run the connection after each of them, and each event would be a write of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;

use super::gathered::Sheaf;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Wakes the task of a connection, and tells whether it has since it was last asked.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// Where the library puts the streams of a connection. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Newcomers(Arc<Mutex<Vec<Task>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Newcomers {
    fn execute(&self, stream: F) {
        self.0.lock().push(Box::pin(stream));
    }
}

/// What a connection is made of besides itself.
pub(super) struct Together<S> {
    newcomers: Newcomers,
    streams: FuturesUnordered<Task>,
    bell: Arc<Bell>,
    sheaf: Sheaf<S>,
    ended: bool,
}

impl<S: AsyncWrite + Unpin> Together<S> {
    /// The streams that are put there, and the socket that they are sent to.
    pub(super) fn new(newcomers: Newcomers, sheaf: Sheaf<S>) -> Self {
        Self { newcomers, streams: FuturesUnordered::new(), bell: Arc::default(), sheaf, ended: false }
    }

    /// Takes turns until the connection ends; what it has said then is sent.
    pub(super) fn poll<E: From<io::Error>>(
        &mut self,
        cx: &mut Context<'_>,
        mut connection: Pin<&mut impl Future<Output = Result<(), E>>>,
    ) -> Poll<Result<(), E>> {
        while !self.ended {
            self.poll_streams(cx);
            self.ended = connection.as_mut().poll(cx)?.is_ready();
            let new = std::mem::take(&mut *self.newcomers.0.lock());
            if new.is_empty() {
                break;
            }
            self.streams.extend(new);
        }
        let sent = self.sheaf.poll_send(cx)?;
        if self.ended { sent.map(Ok) } else { Poll::Pending }
    }

    /// Each stream that has something says it. The library wakes a stream while it speaks, after two of which the set of streams
    /// gives way to others; but what it gives way to is the connection, which would send for those two alone.
    fn poll_streams(&mut self, cx: &mut Context<'_>) {
        self.bell.task.register(cx.waker());
        let waker = Waker::from(self.bell.clone());
        for _ in 0..=self.streams.len() {
            self.bell.rung.store(false, Ordering::Release);
            while let Poll::Ready(Some(())) = self.streams.poll_next_unpin(&mut Context::from_waker(&waker)) {
            }
            if !self.bell.rung.load(Ordering::Acquire) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use hyper::rt::Executor;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::http::gathered::gather;

    const STREAMS: usize = 10;

    /// Says one thing, and is woken while it does.
    async fn speak(spoken: Arc<AtomicUsize>) {
        let mut said = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut said, true) {
                return Poll::Ready(());
            }
            spoken.fetch_add(1, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn all_streams_have_spoken_when_the_connection_has_its_turn_and_what_it_says_is_sent() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut socket, sheaf) = gather(ours);
        let (newcomers, spoken) = (Newcomers::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..STREAMS {
            newcomers.execute(speak(spoken.clone()));
        }
        let mut heard = Vec::new();
        let mut connection = std::pin::pin!(async {
            poll_fn(|_| {
                heard.push(spoken.load(Ordering::Relaxed));
                if heard.len() > 1 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            socket.write_all(b"all of it").await
        });
        let mut together = Together::new(newcomers, sheaf);
        let ended: io::Result<()> = poll_fn(|cx| together.poll(cx, connection.as_mut())).await;
        ended.unwrap();
        let mut read = [0; 9];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, heard), (b"all of it", vec![0, STREAMS]));
    }
}
