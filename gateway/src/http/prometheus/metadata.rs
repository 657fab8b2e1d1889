//! `/api/v1/metadata` and `/api/v1/status/buildinfo`.

use super::Call;
use super::answer::Answer;
use super::failure::Failure;
use super::form::Form;
use crate::http::State;
use crate::reads::Read;
use crate::reads::metadata::{self, Wanted};
use crate::scope::Selection;

/// What is known of metrics.
pub(super) async fn of_metrics(state: &State, call: Call) -> Result<Answer, Failure> {
    let wanted = Wanted {
        metric: call.form.first("metric").map(str::to_owned),
        limit: limit(&call.form, "limit")?,
        limit_per_metric: limit(&call.form, "limit_per_metric")?,
    };
    let timeout = call.timeout(state)?;
    let selection = everything(state, call).await?;
    Ok(metadata::answer(&state.reads, &selection, &wanted, timeout).await?.into())
}

/// What the upstream is, so that clients know what they can ask of it.
pub(super) async fn of_upstream(state: &State, call: Call) -> Result<Answer, Failure> {
    let timeout = call.timeout(state)?;
    let selection = everything(state, call).await?;
    Ok(state.reads.answer(&Read::build_info(&selection, timeout)).await?.into())
}

/// All that the caller sees.
async fn everything(state: &State, call: Call) -> Result<Selection, Failure> {
    let selected = state.scope.select(&call.sight, call.datasource, Vec::new()).await;
    selected.map_err(|error| Failure::scope("match[]", error))
}

/// Below zero is no limit, as Prometheus has it here.
fn limit(form: &Form, name: &str) -> Result<Option<u32>, Failure> {
    let Some(text) = form.first(name) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| Failure::bad(format!("{name} must be a number")))?;
    Ok(u32::try_from(number).ok())
}
