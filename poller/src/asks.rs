//! Answers what is asked outside the ticks: so many asks at once, each in a task of its own, and the rest is turned away.

use std::sync::Arc;
use std::time::Duration;

use promcast_proto::ask::Answer;
use promcast_proto::code::ErrorCode;
use promcast_proto::update::Failure;
use promcast_runtime::bus::{self, Asked, Bus};
use promcast_runtime::lifecycle::Tasks;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, error, warn};

use crate::evaluate::Source;

mod answer;

/// How long asks that cannot be heard are left alone.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// The asks of one datasource.
#[derive(Clone)]
pub(crate) struct Desk {
    source: Arc<Source>,
    bus: Arc<dyn Bus>,
    tasks: Tasks,
    permits: Arc<Semaphore>,
}

impl Desk {
    /// At most `places` asks are answered at once.
    pub(crate) fn new(source: Arc<Source>, bus: Arc<dyn Bus>, tasks: Tasks, places: usize) -> Self {
        Self { source, bus, tasks, permits: Arc::new(Semaphore::new(places)) }
    }

    /// Answers until the soft token; what was begun is finished.
    pub(crate) async fn run(self) {
        let soft = self.tasks.soft().clone();
        tokio::select! {
            () = soft.cancelled() => {}
            () = self.listen() => {}
        }
    }

    /// Listens for ever; whatever goes wrong is tried again.
    async fn listen(&self) {
        let mut troubled = false;
        loop {
            let mut state = self.bus.state();
            if state.wait_for(bus::State::is_up).await.is_err() {
                return;
            }
            match self.bus.asks(self.source.name()).await {
                Ok(asks) => {
                    troubled = false;
                    self.serve(asks).await;
                }
                Err(error) if troubled => debug!(%error, "still cannot hear asks"),
                Err(error) => {
                    troubled = true;
                    warn!(datasource = %self.source.name(), %error, "cannot hear asks; trying again");
                }
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    /// Takes asks as they come: one that lies here counts as one that nobody answers.
    async fn serve(&self, mut asks: mpsc::Receiver<Asked>) {
        while let Some(asked) = asks.recv().await {
            if asked.reply.is_closed() {
                continue;
            }
            if asked.ask.datasource != *self.source.name() {
                error!(datasource = %self.source.name(), "an ask of another datasource came here; dropping it");
                continue;
            }
            match Arc::clone(&self.permits).try_acquire_owned() {
                Ok(permit) => self.tasks.spawn("ask", Arc::clone(&self.source).attend(asked, permit)),
                Err(_) => self.turn_away(asked),
            }
        }
    }

    fn turn_away(&self, asked: Asked) {
        self.source.metrics().turned_away(asked.ask.question.kind());
        let message = "the poller has too many questions to answer; ask again in a moment".to_owned();
        // Who asked may be gone.
        drop(asked.reply.send(Answer::Failure(Failure { code: ErrorCode::Overloaded, message })));
    }
}

impl Source {
    /// One ask, from its arrival to its answer. Once nobody waits for that any more the query is dropped.
    async fn attend(self: Arc<Self>, asked: Asked, _permit: OwnedSemaphorePermit) {
        let Asked { ask, mut reply } = asked;
        let answer = tokio::select! {
            answer = self.answer(&ask) => answer,
            () = reply.closed() => return,
        };
        drop(reply.send(answer));
    }
}

#[cfg(test)]
mod tests;
