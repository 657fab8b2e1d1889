//! A connection and all its streams in one task, turn by turn: first the streams say what they have, then the library writes it,
//! and then all of it is sent at once.
//!
//! With a task for each stream the runtime would run the connection after each of them, and each event would be a write of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use slab::Slab;
use tokio::io::AsyncWrite;

use super::gathered::Sheaf;
use crate::hub::{Lane, Lanes};
use crate::sse::Turns;

/// Turns that are taken before others run, where there is always one more.
const TURNS: usize = 4;

/// Why a connection broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// What the library says of it.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The socket takes no more.
    #[error(transparent)]
    Socket(#[from] io::Error),
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

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
    turns: Turns,
    streams: Slab<Stream>,
    round: Vec<(Lane, u32)>,
    sheaf: Sheaf<S>,
    ended: bool,
}

/// One of its streams, as the library sees it.
struct Stream {
    task: Task,
    call: Arc<Call>,
    waker: Waker,
}

/// The library's calls for a stream. Those of its topics come by its signal.
struct Call {
    lanes: Arc<Lanes>,
    number: u32,
    state: AtomicU8,
}

impl Call {
    /// It stands in line, or will.
    const CALLED: u8 = 1;
    /// It has its turn.
    const BUSY: u8 = 2;

    fn begin(&self) {
        self.state.store(Self::BUSY, Ordering::Release);
    }

    /// Whether it was called during its turn.
    fn end(&self) -> bool {
        self.state.swap(0, Ordering::AcqRel) & Self::CALLED != 0
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(Self::CALLED, Ordering::AcqRel) == 0 {
            self.lanes.push(Lane::FIRST, &[self.number]);
        }
    }
}

impl<S: AsyncWrite + Unpin> Together<S> {
    /// The streams that are put there, which have these turns, and the socket that they are sent to.
    pub(super) fn new(newcomers: Newcomers, turns: Turns, sheaf: Sheaf<S>) -> Self {
        Self { newcomers, turns, streams: Slab::new(), round: Vec::new(), sheaf, ended: false }
    }

    /// Takes turns until the connection ends; what it has said then is sent.
    pub(super) fn poll<E>(
        &mut self,
        cx: &mut Context<'_>,
        mut connection: Pin<&mut impl Future<Output = Result<(), E>>>,
    ) -> Poll<Result<(), Error>>
    where
        Error: From<E>,
    {
        self.line_up(cx);
        for _ in 0..TURNS {
            if self.ended {
                break;
            }
            self.poll_streams();
            self.ended = connection.as_mut().poll(cx)?.is_ready();
            self.welcome();
            self.line_up(cx);
            if self.round.is_empty() {
                break;
            }
        }
        if !self.round.is_empty() {
            cx.waker().wake_by_ref();
        }
        let sent = self.sheaf.poll_send(cx)?;
        if self.ended { sent.map(Ok) } else { Poll::Pending }
    }

    /// Those who have something to say are next; where there are none, the task is woken by the first of them.
    fn line_up(&mut self, cx: &Context<'_>) {
        self.turns.lanes().take(&mut self.round, usize::MAX, cx.waker());
    }

    /// Takes in who has come.
    fn welcome(&mut self) {
        for task in std::mem::take(&mut *self.newcomers.0.lock()) {
            let entry = self.streams.vacant_entry();
            let Ok(number) = u32::try_from(entry.key()) else { continue };
            let call = Arc::new(Call { lanes: self.turns.lanes().clone(), number, state: AtomicU8::new(0) });
            entry.insert(Stream { task, waker: Waker::from(call.clone()), call });
            self.round.push((Lane::FIRST, number));
        }
    }

    /// Each stream that has something says it.
    ///
    /// The library calls a stream while that one sends, because there is room for what it sends. To ask it again for that would cost as
    /// much as the event. If it rested at the end of its turn, the call is void: what is to come of the topics is told by its signal,
    /// and all else by the connection, which has no turn meanwhile.
    fn poll_streams(&mut self) {
        for (_, number) in self.round.drain(..) {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            // It may have ended since, having stood in line twice.
            let Some(stream) = self.streams.get_mut(index) else { continue };
            self.turns.begin(number);
            stream.call.begin();
            let polled = stream.task.as_mut().poll(&mut Context::from_waker(&stream.waker));
            if polled.is_ready() {
                self.streams.try_remove(index);
            } else if stream.call.end() && !self.turns.has_rested() {
                stream.waker.wake_by_ref();
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
    use crate::http::gathered::{Buffers, gather};

    const STREAMS: usize = 10;

    /// A stream that is called while it has its turn, and how often it had one; whether it rests then.
    async fn called(rests: Option<Turns>, turns: Arc<AtomicUsize>) {
        poll_fn(|cx| {
            turns.fetch_add(1, Ordering::Relaxed);
            if turns.load(Ordering::Relaxed) == 1 {
                cx.waker().wake_by_ref();
            }
            rests.iter().for_each(Turns::rest);
            Poll::Pending
        })
        .await
    }

    #[tokio::test]
    async fn a_stream_that_is_called_in_its_turn_has_another_one_unless_it_rested() {
        for (rests, expected) in [(false, 2), (true, 1)] {
            let (_, sheaf) = gather(tokio::io::duplex(64).0, Buffers::default());
            let (newcomers, turns, had) = (Newcomers::default(), Turns::default(), Arc::default());
            newcomers.execute(called(rests.then(|| turns.clone()), Arc::clone(&had)));
            let mut together = Together::new(newcomers, turns, sheaf);
            let mut connection = std::pin::pin!(std::future::pending::<io::Result<()>>());
            let polled = poll_fn(|cx| Poll::Ready(together.poll(cx, connection.as_mut()))).await;
            assert!(polled.is_pending());
            assert_eq!(had.load(Ordering::Relaxed), expected, "rests: {rests}");
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_call_from_elsewhere_wakes_the_connection_once_for_those_streams_alone() {
        let (_, sheaf) = gather(tokio::io::duplex(64).0, Buffers::default());
        let (newcomers, turns) = (Newcomers::default(), Turns::default());
        let had: [Arc<Mutex<Vec<Waker>>>; STREAMS] = std::array::from_fn(|_| Arc::default());
        for had in had.clone() {
            newcomers.execute(poll_fn(move |cx| {
                had.lock().push(cx.waker().clone());
                Poll::<()>::Pending
            }));
        }
        let mut together = Together::new(newcomers, turns, sheaf);
        let mut connection = std::pin::pin!(std::future::pending::<io::Result<()>>());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        assert!(together.poll(&mut Context::from_waker(&waker), connection.as_mut()).is_pending());
        for index in [3, 7, 3] {
            had[index].lock()[0].wake_by_ref();
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(together.poll(&mut Context::from_waker(&waker), connection.as_mut()).is_pending());
        let polls = had.map(|had| had.lock().len());
        assert_eq!(polls, [1, 1, 1, 2, 1, 1, 1, 2, 1, 1]);
    }

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
        let (mut socket, sheaf) = gather(ours, Buffers::default());
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
        let mut together = Together::new(newcomers, Turns::default(), sheaf);
        poll_fn(|cx| together.poll(cx, connection.as_mut())).await.unwrap();
        let mut read = [0; 9];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!((&read, heard), (b"all of it", vec![0, STREAMS]));
    }
}
