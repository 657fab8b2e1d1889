//! `/api/v1/labels`, `/api/v1/label/{name}/values` and `/api/v1/series`.

use std::time::Duration;

use promcast_proto::tick::Tick;

use super::Call;
use super::answer::Answer;
use super::failure::Failure;
use super::form::Form;
use super::query::bad_time;
use super::time;
use crate::http::State;
use crate::reads::{Read, Window};
use crate::scope::Selection;

const MATCH: &str = "match[]";

/// The names of labels.
pub(super) async fn names(state: &State, call: Call) -> Result<Answer, Failure> {
    let (selection, window, timeout) = select(state, call).await?;
    Ok(state.reads.answer(&Read::labels(&selection, window, timeout)).await?.into())
}

/// The values of the label `name`.
pub(super) async fn values(state: &State, call: Call, name: &str) -> Result<Answer, Failure> {
    if !is_name(name) {
        return Err(Failure::bad(format!("invalid label name: {name:?}")));
    }
    let (selection, window, timeout) = select(state, call).await?;
    Ok(state.reads.answer(&Read::label_values(&selection, name, window, timeout)).await?.into())
}

/// Whole series, by their labels.
pub(super) async fn series(state: &State, call: Call) -> Result<Answer, Failure> {
    if call.form.all(MATCH).next().is_none() {
        return Err(Failure::bad("no match[] parameter provided"));
    }
    let (selection, window, timeout) = select(state, call).await?;
    Ok(state.reads.answer(&Read::series(&selection, window, timeout)).await?.into())
}

async fn select(state: &State, call: Call) -> Result<(Selection, Window, Duration), Failure> {
    let (window, timeout) = (window(&call.form)?, call.timeout(state)?);
    let selectors = call.form.all(MATCH).map(str::to_owned).collect();
    let selected = state.scope.select(&call.sight, call.datasource, selectors).await;
    Ok((selected.map_err(|error| Failure::scope(MATCH, error))?, window, timeout))
}

/// The time and the amount that a lookup is bounded to. A time before or after all that can be is no bound.
fn window(form: &Form) -> Result<Window, Failure> {
    let bound = |name: &str| -> Result<Option<Tick>, Failure> {
        let Some(text) = form.first(name) else { return Ok(None) };
        let millis = time::millis(text).map_err(|error| bad_time(name, &error))?;
        Ok(Some(Tick::from_millis(millis)))
    };
    Ok(Window { start: bound("start")?, end: bound("end")?, limit: limit(form)? })
}

/// Zero is no limit, and so is more than can be.
fn limit(form: &Form) -> Result<Option<u32>, Failure> {
    let Some(text) = form.first("limit") else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(number) if number < 0 => Err(Failure::parameter("limit", "limit must be non-negative")),
        Ok(number) => Ok(u32::try_from(number).ok()),
        Err(_) => Err(Failure::parameter("limit", format_args!("cannot parse {text:?} to a valid limit"))),
    }
}

/// The name of a label in the classic alphabet. Other names have a form in it (`U__…`), for those upstreams that know them.
fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_and_bounded() {
        let read = |text: &str| window(&Form::of(b"", text));
        assert_eq!(read("").unwrap(), Window::default());
        let some = read("start=5&end=2025-11-24T16:00:00Z&limit=7").unwrap();
        assert_eq!(some.start, Some(Tick::from_millis(5_000)));
        assert_eq!((some.end.map(Tick::millis), some.limit), (Some(1_764_000_000_000), Some(7)));
        assert_eq!(read("start=-5&limit=0").unwrap(), Window { start: Some(Tick::MIN), ..Window::default() });
        for bad in ["start=x", "end=x", "limit=x", "limit=-1", "limit=1.5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_has_a_name_that_cannot_be_a_path() {
        for good in ["a", "__name__", "U__a_2e_b", "A1"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "a-b", "a/b", "..", "a b", "ä", "a.b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
