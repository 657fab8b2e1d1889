//! What a caller may see: from a query as it was typed to a grant for a scoped query.
//!
//! A [`Grant`] can be made here only, and the hub takes nothing else: a path that forgets the check does not compile.

use std::sync::Arc;

use promcast_proto::problem;
use promcast_proto::topic::{Datasource, Topic};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::auth::Sight;

mod canonical;
mod cost;
mod enforce;
mod guard;
pub mod labels;
mod position;
mod select;
mod tokens;

pub use canonical::Invalid;
pub use enforce::Refusal;
pub use guard::QUERY_CHARS_MAX;
pub use labels::Labels;
pub use select::{Selection, selected};

/// Queries checked at once. Checking is short work; this bounds what a flood of bad ones can take.
const CHECKS_AT_ONCE: usize = 4;

/// Proof that a caller may see a scoped query.
#[derive(Clone, Debug)]
pub struct Grant {
    topic: Topic,
    given: String,
}

impl Grant {
    /// What may be seen.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The query as the caller gave it.
    pub fn given(&self) -> &str {
        &self.given
    }
}

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query cannot be used.
    #[error(transparent)]
    Query(Invalid),
    /// The query asks for what is not the caller's to see. The text is the same whatever that is.
    #[error("{}", Refusal::Forbidden)]
    Forbidden,
    /// There is no such datasource here.
    #[error("there is no datasource `{0}` here")]
    Datasource(Datasource),
    /// The check itself failed.
    #[error("the query could not be checked; try again")]
    Check(#[source] JoinError),
}

impl Error {
    /// The kind of problem that a client is told.
    pub fn kind(&self) -> problem::Type {
        match self {
            Self::Query(_) => problem::Type::InvalidQuery,
            Self::Forbidden => problem::Type::Forbidden,
            Self::Datasource(_) => problem::Type::UnknownDatasource,
            Self::Check(_) => problem::Type::Internal,
        }
    }

    /// Where in the query it is, as a character counted from 1, where that is known.
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::Query(Invalid::Syntax { position, .. }) => Some(*position),
            Self::Query(
                Invalid::Costly(_)
                | Invalid::Excessive(_)
                | Invalid::Refused(_)
                | Invalid::Unparsable
                | Invalid::Unprintable(_),
            )
            | Self::Forbidden
            | Self::Datasource(_)
            | Self::Check(_) => None,
        }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        if matches!(invalid, Invalid::Refused(Refusal::Forbidden)) {
            Self::Forbidden
        } else {
            Self::Query(invalid)
        }
    }
}

/// The text that goes upstream for `query`: its canonical print, restricted to what `sight` lets its caller see.
///
/// Pure, and bounded in time and memory for any text. [`Scope::authorise`] is this, in a place where a fault of the parser
/// does no harm.
pub fn scoped(query: &str, sight: &Sight, labels: &Labels) -> Result<String, Error> {
    Ok(canonical::canonical(query, sight, labels)?)
}

/// Grants queries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scope {
    datasources: Arc<[Datasource]>,
    labels: Labels,
    checks: Arc<Semaphore>,
}

impl Scope {
    /// Grants queries on these datasources, where `labels` says which label of a series holds its namespace.
    pub fn new(datasources: impl IntoIterator<Item = Datasource>, labels: Labels) -> Self {
        Self {
            datasources: datasources.into_iter().collect(),
            labels,
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
        }
    }

    /// A grant for `query`, as far as `sight` goes.
    pub async fn authorise(
        &self,
        sight: &Sight,
        datasource: Datasource,
        query: String,
    ) -> Result<Grant, Error> {
        self.knows(&datasource)?;
        let (sight, labels) = (sight.clone(), self.labels.clone());
        let (scoped, given) = self.check(move || (scoped(&query, &sight, &labels), query)).await?;
        Ok(Grant { topic: Topic::new(datasource, scoped?), given })
    }

    /// What is selected by any of `selectors`, or everything where there are none, as far as `sight` goes.
    pub async fn select(
        &self,
        sight: &Sight,
        datasource: Datasource,
        selectors: Vec<String>,
    ) -> Result<Selection, Error> {
        self.knows(&datasource)?;
        let (seen, labels) = (sight.clone(), self.labels.clone());
        let selectors = self.check(move || selected(&selectors, &seen, &labels)).await??;
        Ok(Selection { datasource, selectors, is_all: *sight == Sight::All })
    }

    fn knows(&self, datasource: &Datasource) -> Result<(), Error> {
        let known = self.datasources.contains(datasource);
        if known { Ok(()) } else { Err(Error::Datasource(datasource.clone())) }
    }

    /// Runs a check where a panic of the parser ends it alone and not the gateway.
    async fn check<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        // The semaphore is never closed; should it be, checking unbounded is the lesser evil.
        let _turn = self.checks.acquire().await.ok();
        spawn_blocking(check).await.map_err(|error| {
            if error.is_panic() { Error::Query(Invalid::Unparsable) } else { Error::Check(error) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Namespaces;

    async fn authorise(datasource: &str, query: &str) -> Result<Grant, Error> {
        let scope = Scope::new([Datasource::default()], Labels::default());
        scope.authorise(&Sight::All, datasource.parse().unwrap(), query.to_owned()).await
    }

    #[tokio::test]
    async fn spellings_of_one_query_share_a_topic() {
        let one = authorise("default", "sum(rate(x[5m]))by(gpu)").await.unwrap();
        let two = authorise("default", " sum by (gpu) (\n  rate( x [300s] ) # comment\n)").await.unwrap();
        assert_eq!(one.topic().key(), two.topic().key());
        let other = authorise("default", "sum by (pod) (rate(x[5m]))").await.unwrap();
        assert_ne!(one.topic().key(), other.topic().key());
    }

    #[tokio::test]
    async fn a_grant_is_for_what_its_caller_sees() {
        let scope = Scope::new([Datasource::default()], Labels::default());
        let ask = async |names: &[&str], query: &str| {
            let names = names.iter().map(|name| name.parse().unwrap());
            let sight = Namespaces::new(names).map_or(Sight::All, Sight::Only);
            scope.authorise(&sight, Datasource::default(), query.to_owned()).await
        };
        let key = async |names: &[&str]| ask(names, "up").await.unwrap().topic().key();
        assert_eq!(key(&["b", "a"]).await, key(&["a", "b"]).await);
        assert_ne!(key(&["a"]).await, key(&["a", "b"]).await);
        assert_ne!(key(&["a"]).await, key(&[]).await);
        let grant = ask(&["a"], "up").await.unwrap();
        assert_eq!((grant.topic().query(), grant.given()), (r#"up{namespace="a"}"#, "up"));
        assert!(matches!(ask(&["a"], r#"up{namespace="b"}"#).await, Err(Error::Forbidden)));
    }

    #[tokio::test]
    async fn a_datasource_must_be_one_of_ours() {
        assert!(matches!(authorise("elsewhere", "up").await, Err(Error::Datasource(_))));
    }

    #[tokio::test]
    async fn what_the_parser_would_panic_on_is_a_refusal() {
        for query in ["x[1e30]", "x offset 1e30", "x offset NaN"] {
            assert!(matches!(authorise("default", query).await, Err(Error::Query(_))), "{query}");
        }
    }
}
