//! `/api/v1/query` and `/api/v1/query_range`.

use promcast_proto::tick::Tick;

use super::Call;
use super::answer::Answer;
use super::failure::Failure;
use super::form::Form;
use super::time;
use crate::http::State;
use crate::metrics::ReadOutcome;
use crate::reads::{Read, live};
use crate::scope::Grant;

/// The most points of each series, as Prometheus has it.
const POINTS_MAX: i64 = 11_000;

/// A query at one time.
pub(super) async fn instant(state: &State, call: Call) -> Result<Answer, Failure> {
    let time = call.form.first("time").map(|text| time::tick(text).map_err(|error| bad_time("time", &error)));
    let time = time.transpose()?;
    let timeout = call.timeout(state)?;
    let grant = grant(state, call).await?;
    if let Some(document) = live::answer(&state.hub, &grant, time, state.clock.now()) {
        return Ok(Answer { document, outcome: ReadOutcome::Live });
    }
    Ok(state.reads.answer(&Read::instant(&grant, time, timeout)).await?.into())
}

/// A query over a range.
pub(super) async fn range(state: &State, call: Call) -> Result<Answer, Failure> {
    let Steps { start, end, step_ms } = Steps::read(&call.form)?;
    let timeout = call.timeout(state)?;
    let grant = grant(state, call).await?;
    Ok(state.reads.answer(&Read::range(&grant, start, end, step_ms, timeout)).await?.into())
}

async fn grant(state: &State, call: Call) -> Result<Grant, Failure> {
    let Call { form, sight, datasource } = call;
    if form.first("lookback_delta").is_some() {
        let error = "it is the upstream's here; leave the parameter out";
        return Err(Failure::parameter("lookback_delta", error));
    }
    let query = form.first("query").unwrap_or_default();
    if query.trim().is_empty() {
        return Err(Failure::parameter("query", "1:1: parse error: no expression found in input"));
    }
    let granted = state.scope.authorise(&sight, datasource, query.to_owned()).await;
    granted.map_err(|error| Failure::scope("query", error))
}

/// Where Prometheus says it twice.
pub(super) fn bad_time(name: &str, error: &str) -> Failure {
    Failure::parameter(name, format_args!("Invalid time value for '{name}': {error}"))
}

/// The evaluation times of a range.
#[derive(Debug, PartialEq, Eq)]
struct Steps {
    start: Tick,
    end: Tick,
    step_ms: u64,
}

impl Steps {
    /// In the order in which Prometheus looks at them.
    fn read(form: &Form) -> Result<Self, Failure> {
        let of = |name: &str| {
            time::tick(form.first(name).unwrap_or_default()).map_err(|error| Failure::parameter(name, error))
        };
        let (start, end) = (of("start")?, of("end")?);
        if end < start {
            return Err(Failure::parameter("end", "end timestamp must not be before start time"));
        }
        let step = time::duration(form.first("step").unwrap_or_default());
        let step = step.map_err(|error| Failure::parameter("step", error))?;
        if step <= 0 {
            let error =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(Failure::parameter("step", error));
        }
        if i128::from(end.since(start)) * 1_000_000 / i128::from(step) > i128::from(POINTS_MAX) {
            let error = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
            return Err(Failure::bad(error));
        }
        let step_ms = u64::try_from(step / 1_000_000).unwrap_or_default();
        if step_ms == 0 {
            return Err(Failure::parameter("step", "a step is a millisecond or more"));
        }
        Ok(Self { start, end, step_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(query_string: &str) -> Result<Steps, String> {
        Steps::read(&Form::of(b"", query_string)).map_err(|failure| match failure {
            Failure::Said(_, error) => error,
            Failure::Problem(_) => panic!("a problem"),
        })
    }

    #[test]
    fn a_range_has_as_many_points_as_prometheus_allows() {
        let expected =
            Steps { start: Tick::from_millis(0), end: Tick::from_millis(11_000_000), step_ms: 1000 };
        assert_eq!(steps("start=0&end=11000&step=1"), Ok(expected));
        assert_eq!(steps("start=0&end=11000.999&step=1").unwrap().step_ms, 1000);
        assert!(steps("start=0&end=11001&step=1").unwrap_err().starts_with("exceeded maximum resolution"));
        assert!(steps("start=0&end=1&step=0.00001").unwrap_err().starts_with("exceeded maximum resolution"));
        assert!(steps("start=0&end=0&step=0.00001").unwrap_err().contains("a millisecond or more"));
        assert_eq!(steps("start=5&end=5&step=5m").unwrap().step_ms, 300_000);
    }

    #[test]
    fn what_is_wrong_is_told_in_the_order_of_prometheus() {
        for (query_string, error) in [
            ("", r#"invalid parameter "start": cannot parse "" to a valid timestamp"#),
            ("start=1&end=x", r#"invalid parameter "end": cannot parse "x" to a valid timestamp"#),
            ("start=1&end=0", r#"invalid parameter "end": end timestamp must not be before start time"#),
            ("start=1&end=2", r#"invalid parameter "step": cannot parse "" to a valid duration"#),
        ] {
            assert_eq!(steps(query_string).unwrap_err(), error);
        }
        assert!(steps("start=1&end=2&step=-1").unwrap_err().contains("zero or negative"));
    }
}
