//! Asks inside one process: from whoever asks to one of the pollers that are there.

use std::collections::HashMap;

use parking_lot::Mutex;
use promcast_proto::ask::{Answer, Ask};
use promcast_proto::topic::Datasource;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::bus::line::{DECLINES, Handed, Line, SILENCE, Word, patience};
use crate::bus::{Asked, Error};

/// Who answers asks, by datasource.
#[derive(Debug, Default)]
pub(super) struct Pollers(Mutex<HashMap<Datasource, Vec<Line>>>);

impl Pollers {
    /// Another poller of `datasource`.
    pub(super) fn join(&self, datasource: &Datasource) -> mpsc::Receiver<Asked> {
        let (line, asks) = Line::new();
        self.0.lock().entry(datasource.clone()).or_default().push(line);
        asks
    }

    /// Asks one poller, and the next one where that is silent or declines.
    pub(super) async fn consult(&self, ask: &Ask) -> Result<Answer, Error> {
        let asking = async {
            let mut declines = 0;
            while declines < DECLINES {
                let Some(line) = self.next(&ask.datasource) else { break };
                match hear(line.hand(ask.clone())).await {
                    Word::Answer(answer) => return Ok(answer),
                    Word::Declined => declines += 1,
                    Word::Taken | Word::Silence => {}
                }
            }
            Err(Error::Unanswered)
        };
        timeout(patience(ask), asking).await.unwrap_or(Err(Error::Unanswered))
    }

    /// The one of those who are there whose turn it is.
    fn next(&self, datasource: &Datasource) -> Option<Line> {
        let mut pollers = self.0.lock();
        let lines = pollers.get_mut(datasource)?;
        lines.retain(|line| !line.is_closed());
        let line = lines.first()?.clone();
        lines.rotate_left(1);
        Some(line)
    }
}

/// What becomes of an ask, once that is known.
async fn hear(handed: Option<Handed>) -> Word {
    let Some(mut handed) = handed else { return Word::Declined };
    loop {
        match handed.word(SILENCE).await {
            Word::Taken => {}
            word @ (Word::Answer(_) | Word::Declined | Word::Silence) => return word,
        }
    }
}
