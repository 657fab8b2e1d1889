//! The read side of the Prometheus HTTP API, for dashboards and tools that know nothing else: the same parameters, answers and
//! errors, for what the caller may see.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State as Shared};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use promcast_proto::problem::Type;
use promcast_proto::topic::Datasource;
use tracing::debug;

use super::State;
use super::admission::Asked;
use super::problem::Problem;
use crate::auth::{Namespace, Namespaces, Sight};
use crate::metrics::Endpoint;

mod answer;
mod failure;
mod form;
mod labels;
mod metadata;
mod query;
mod time;

use failure::Failure;
use form::Form;

#[cfg(test)]
pub(super) use failure::kinds;
pub(super) use failure::speak;

const QUERY: &str = "/api/v1/query";
const QUERY_RANGE: &str = "/api/v1/query_range";
const LABELS: &str = "/api/v1/labels";
const LABEL_VALUES: &str = "/api/v1/label/{name}/values";
const SERIES: &str = "/api/v1/series";
const METADATA: &str = "/api/v1/metadata";
const BUILD_INFO: &str = "/api/v1/status/buildinfo";

/// All paths, as routes.
const PATHS: [&str; 7] = [QUERY, QUERY_RANGE, LABELS, LABEL_VALUES, SERIES, METADATA, BUILD_INFO];

/// Narrows what a call sees; may be given more than once.
const NAMESPACE: &str = "namespace";

/// The most namespaces that a call may name, as on streams.
const NAMESPACES_MAX: usize = 100;

/// The routes. POST is possible where Prometheus takes it: where what is asked may be too long for a URL.
pub(super) fn routes() -> [(&'static str, MethodRouter<Arc<State>>); PATHS.len()] {
    [
        (QUERY, both(instant)),
        (QUERY_RANGE, both(range)),
        (LABELS, both(label_names)),
        (LABEL_VALUES, get(label_values)),
        (SERIES, both(series)),
        (METADATA, get(metadata)),
        (BUILD_INFO, get(build_info)),
    ]
}

fn both<H, T>(handler: H) -> MethodRouter<Arc<State>>
where
    H: axum::handler::Handler<T, Arc<State>>,
    T: 'static,
{
    get(handler.clone()).post(handler)
}

async fn instant(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async { query::instant(&state, Call::of(&state, request).await?).await };
    answer::respond(&state, Endpoint::Query, answer.await)
}

async fn range(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async { query::range(&state, Call::of(&state, request).await?).await };
    answer::respond(&state, Endpoint::QueryRange, answer.await)
}

async fn label_names(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async { labels::names(&state, Call::of(&state, request).await?).await };
    answer::respond(&state, Endpoint::Labels, answer.await)
}

async fn label_values(
    Shared(state): Shared<Arc<State>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let answer = async { labels::values(&state, Call::of(&state, request).await?, &name).await };
    answer::respond(&state, Endpoint::LabelValues, answer.await)
}

async fn series(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async { labels::series(&state, Call::of(&state, request).await?).await };
    answer::respond(&state, Endpoint::Series, answer.await)
}

async fn metadata(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async { metadata::of_metrics(&state, Call::of(&state, request).await?).await };
    answer::respond(&state, Endpoint::Metadata, answer.await)
}

async fn build_info(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let answer = async { metadata::of_upstream(&state, Call::of(&state, request).await?).await };
    answer::respond(&state, Endpoint::BuildInfo, answer.await)
}

/// A call whose caller was let in.
struct Call {
    form: Form,
    sight: Sight,
    datasource: Datasource,
}

impl Call {
    async fn of(state: &State, request: Request) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let form = Form::read(&parts, body).await?;
        let datasource =
            form.first("datasource").map_or_else(|| Ok(Datasource::default()), read_datasource)?;
        let namespaces = read_namespaces(&form)?;
        let asked = Asked { wanted: &[], namespaces, ticket: None };
        let (access, _) = state.admit(&parts.headers, asked).await?;
        debug!(user = access.caller.user().map(AsRef::<str>::as_ref), sight = %access.sight, %datasource, "read");
        Ok(Self { form, sight: access.sight, datasource })
    }

    /// How long the answer may take: what the caller gives it, and no longer than the gateway does.
    fn timeout(&self, state: &State) -> Result<Duration, Failure> {
        let most = state.read_timeout;
        match self.form.first("timeout") {
            None => Ok(most),
            Some(text) => match time::duration(text).map_err(|error| Failure::parameter("timeout", error))? {
                nanos if nanos < 1_000_000 => Err(Failure::late()),
                nanos => Ok(Duration::from_nanos(nanos.unsigned_abs()).min(most)),
            },
        }
    }
}

fn read_datasource(name: &str) -> Result<Datasource, Failure> {
    name.parse().map_err(|error| Problem::new(Type::UnknownDatasource, format!("{error}")).into())
}

fn read_namespaces(form: &Form) -> Result<Option<Namespaces>, Failure> {
    let names = form.all(NAMESPACE).map(str::parse::<Namespace>);
    let names: Vec<_> =
        names.collect::<Result<_, _>>().map_err(|error| Failure::parameter(NAMESPACE, error))?;
    if names.len() > NAMESPACES_MAX {
        return Err(Failure::parameter(
            NAMESPACE,
            format_args!("it is given more than {NAMESPACES_MAX} times"),
        ));
    }
    Ok(Namespaces::new(names))
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
