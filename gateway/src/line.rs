//! Questions to the pollers of a datasource, in a line: some at once, the others when it is their turn, and again what was turned
//! away.
//!
//! A dashboard has more questions at the same moment than a poller has places for, and there are other gateways. What finds no
//! place is turned away at once, so that ticks never wait for it; it waits here instead.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::body::Body;
use promcast_proto::code::ErrorCode;
use promcast_proto::topic::Datasource;
use promcast_proto::update::Failure;
use promcast_runtime::bus::{self, Bus};
use rand::RngExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

/// Questions to one datasource at once, of one line.
pub const AT_ONCE: usize = 8;

/// How long a question waits that was turned away, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The upstream refused, or could not be asked.
    #[error("{}", .0.message)]
    Upstream(Failure),
    /// No poller could be asked.
    #[error(transparent)]
    Bus(#[from] bus::Error),
    /// Others were asked for all of its time.
    #[error("the datasource has too many questions to answer")]
    Late,
}

/// Until when a question may take what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// By then it is its turn, or never.
    pub turn: Instant,
    /// By then it is answered.
    pub answer: Instant,
}

/// A line for each datasource.
pub struct Line {
    bus: Arc<dyn Bus>,
    /// One for each datasource, of which there is a fixed list.
    turns: Mutex<HashMap<Datasource, Arc<Semaphore>>>,
}

impl Line {
    /// To the pollers on this bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus, turns: Mutex::default() }
    }

    /// Asks when it is its turn, and again while it is turned away. `ask` is told how much of its time is left.
    pub async fn ask(
        &self,
        datasource: &Datasource,
        patience: Patience,
        ask: impl Fn(Duration) -> Ask,
    ) -> Result<Body, Error> {
        let turns = self.turns(datasource);
        // The semaphore is never closed; should it be, asking unbounded is the lesser evil.
        let _turn = timeout_at(patience.turn, turns.acquire()).await.map_err(|_| Error::Late)?.ok();
        let (mut pause, longest) = PAUSE;
        loop {
            let left = patience.answer.saturating_duration_since(Instant::now());
            let failure = match self.bus.consult(&ask(left)).await? {
                Answer::Result(body) => return Ok(body),
                Answer::Failure(failure) => failure,
            };
            if failure.code != ErrorCode::Overloaded || Instant::now() + pause >= patience.answer {
                return Err(Error::Upstream(failure));
            }
            let some = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
            sleep(some).await;
            pause = (pause * 2).min(longest);
        }
    }

    fn turns(&self, datasource: &Datasource) -> Arc<Semaphore> {
        let mut turns = self.turns.lock();
        turns.entry(datasource.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::ask::Question;
    use promcast_runtime::bus::Limits;
    use promcast_runtime::bus::embedded::Embedded;

    use super::*;

    fn ask(left: Duration) -> Ask {
        let timeout_ms = u32::try_from(left.as_millis()).unwrap();
        Ask { datasource: Datasource::default(), timeout_ms, question: Question::BuildInfo }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_turned_away_is_asked_again_while_there_is_time() {
        let bus: Arc<dyn Bus> = Arc::new(Embedded::new(Limits::default()));
        let mut asks = bus.asks(&Datasource::default()).await.unwrap();
        let line = Line::new(bus);
        let within = |seconds| {
            let at = Instant::now() + Duration::from_secs(seconds);
            Patience { turn: at, answer: at }
        };
        let away =
            || Answer::Failure(Failure { code: ErrorCode::Overloaded, message: "no place".to_owned() });
        let datasource = Datasource::default();
        let poller = async {
            let mut left = Vec::new();
            for answer in [away(), away(), Answer::Result(Body::pack(b"{}".to_vec()).unwrap())] {
                let asked = asks.recv().await.unwrap();
                left.push(asked.ask.timeout_ms);
                asked.reply.send(answer).unwrap();
            }
            left
        };
        let (answer, left) = tokio::join!(line.ask(&datasource, within(10), ask), poller);
        answer.unwrap();
        assert!(left.is_sorted_by(|one, next| one > next), "{left:?}");
        let never = async {
            while let Some(asked) = asks.recv().await {
                asked.reply.send(away()).unwrap();
            }
        };
        let answer = tokio::select! {
            answer = line.ask(&datasource, within(5), ask) => answer,
            () = never => panic!("nobody asks any more"),
        };
        assert!(matches!(answer, Err(Error::Upstream(failure)) if failure.code == ErrorCode::Overloaded));
    }
}
