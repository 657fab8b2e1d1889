//! From an ask to its answer, on one datasource: gate, call, classification, packing.

use std::time::Duration;

use promcast_proto::ask::{Answer, Ask, Question};
use promcast_proto::body::Body;
use tokio::time::Instant;
use tracing::Span;

use crate::encode;
use crate::evaluate::Source;
use crate::prometheus::call::Call;
use crate::prometheus::classify::{self, Failed};

impl Source {
    /// The answer to an ask: always one, whatever happens.
    pub(super) async fn answer(&self, ask: &Ask) -> Answer {
        let ticket = match self.admit() {
            Ok(ticket) => ticket,
            Err(failure) => return Answer::Failure(failure),
        };
        let started = Instant::now();
        let result = self.ask(ask).await;
        let failed = result.as_ref().err();
        let code = failed.map(|failed| failed.failure.code);
        self.metrics().asked(ask.question.kind(), code, started.elapsed());
        self.settle(ticket, failed);
        result.map_or_else(|failed| Answer::Failure(failed.failure), Answer::Result)
    }

    async fn ask(&self, ask: &Ask) -> Result<Body, Failed> {
        let _running = self.metrics().answering();
        let timeout = self.query_timeout().min(Duration::from_millis(u64::from(ask.timeout_ms)));
        let limit = self.max_range();
        let reply = self.client().call(&Call::of(&ask.question, timeout), limit, &Span::none()).await?;
        match ask.question {
            Question::Instant { .. } | Question::Range { .. } => {
                classify::answer(reply.status, &reply.body)?;
            }
            Question::Labels { .. }
            | Question::LabelValues { .. }
            | Question::Series { .. }
            | Question::Metadata { .. }
            | Question::BuildInfo => {
                classify::any(reply.status, &reply.body)?;
            }
        }
        encode::document(reply.body, limit)
    }
}
