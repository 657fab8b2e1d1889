//! Identity and access by the Kubernetes API server: a TokenReview tells whose token it is, a SubjectAccessReview whether that
//! user may see a namespace.
//!
//! Answers are kept for a short time, and each is asked for once however many streams want it. Where the API server cannot be asked
//! and no answer is kept, nobody is let in.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use promcast_proto::tick::Tick;
use promcast_runtime::clock::Clock;
use prometheus::Registry;

use self::cache::Cache;
use self::metrics::Metrics;
use self::questions::{Projects, Questions};
use self::review::{Access, Identity};
use self::server::Server;
use super::token::Digest;
use super::{Error, Namespace, Namespaces, Reason, Sight, Token};

mod cache;
mod connect;
mod expiry;
mod metrics;
mod questions;
mod review;
mod rule;
mod server;
mod subject;

pub use connect::Error as StartError;
pub use subject::Subject;

/// How long a no is kept that came with an error: the cause may pass, and may stay for good.
const UNSURE_FOR: Duration = Duration::from_secs(5);

/// How the API server is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A kubeconfig to reach it by; none for the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; none for its current one.
    pub context: Option<String>,
    /// The audiences of which a token must name one; none for those of the API server itself.
    pub audiences: Vec<String>,
    /// Where the namespaces of somebody who names none come from.
    pub listing: Listing,
    /// How many namespaces one request may need a review for.
    pub max_namespaces: usize,
    /// How long a question may take.
    pub timeout: Duration,
    /// How many questions are under way at a time.
    pub concurrency: usize,
    /// How long an identity counts.
    pub identity_for: Duration,
    /// How long a yes counts.
    pub allowed_for: Duration,
    /// How long a no counts.
    pub denied_for: Duration,
    /// How many answers of each kind are kept.
    pub cache_entries: u64,
}

/// Where the namespaces of somebody come from who sees some and names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Nowhere: they must be named.
    None,
    /// OpenShift's projects, listed with the user's own token.
    Projects,
}

impl FromStr for Listing {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "projects" => Ok(Self::Projects),
            _ => Err("`none`, or `projects` on OpenShift"),
        }
    }
}

/// How far somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This far.
    Sees(Sight),
    /// Nothing, or not all that was named. Which of the names it was is not told, nor whether there is such a namespace.
    Nothing,
    /// Some namespaces perhaps, but they must be named.
    MustName,
    /// More namespaces are named, or listed, than one request may need a review for.
    TooMany {
        /// How many may be named.
        most: usize,
    },
}

/// Asks the API server who somebody is and what they may see. Cheap to clone.
#[derive(Clone)]
pub struct Reviewer(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Clock,
    questions: Questions,
    identities: Cache<Digest, Result<Subject, Error>>,
    /// By the hash of the question: the user with all attributes, and the namespace.
    accesses: Cache<[u8; 32], Result<bool, Error>>,
    projects: Cache<Digest, Result<Projects, Error>>,
}

impl Reviewer {
    /// Finds the API server and the credentials for it. Asks nothing yet, so a gateway starts while the API server is down.
    pub async fn start(settings: Settings, clock: Clock, registry: &Registry) -> Result<Self, StartError> {
        let (kubeconfig, context) = (settings.kubeconfig.as_deref(), settings.context.as_deref());
        let clients = connect::clients(kubeconfig, context, settings.timeout).await?;
        let server = Server::new(settings.concurrency, settings.timeout, Metrics::new(registry)?);
        let questions = Questions { clients, server, audiences: settings.audiences.clone() };
        let (entries, no) = (settings.cache_entries, settings.denied_for);
        Ok(Self(Arc::new(Inner {
            identities: Cache::new(entries, settings.identity_for.max(no)),
            accesses: Cache::new(entries, settings.allowed_for.max(no)),
            projects: Cache::new(entries, settings.identity_for.max(no)),
            settings,
            clock,
            questions,
        })))
    }

    /// Whose token it is. Kept by the token's hash, and no longer than the token lives where it says so itself.
    pub async fn identify(&self, token: &Token) -> Result<Subject, Error> {
        let expires = expiry::of(token);
        if expires.is_some_and(|end| end <= self.0.clock.now()) {
            return Err(Error::Refused(Reason::Expired));
        }
        self.0.identities.get(token.digest(), self.0.identity(token, expires)).await
    }

    /// Whether `subject` sees all namespaces.
    pub async fn sees_all(&self, subject: &Subject) -> Result<bool, Error> {
        self.0.may_see(subject, None).await
    }

    /// How far `subject`, whose token this is, sees: over all namespaces or those of `wanted`, and nothing where one of those is
    /// not theirs to see.
    pub async fn sight(
        &self,
        token: &Token,
        subject: &Subject,
        wanted: Option<&Namespaces>,
    ) -> Result<Outcome, Error> {
        if self.0.may_see(subject, None).await? {
            return Ok(Outcome::Sees(wanted.cloned().map_or(Sight::All, Sight::Only)));
        }
        match (wanted, self.0.settings.listing) {
            (Some(wanted), _) => self.0.all_of(subject, wanted).await,
            (None, Listing::Projects) => self.0.listed(token, subject).await,
            (None, Listing::None) => Ok(Outcome::MustName),
        }
    }
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reviewer").field(&self.0.settings).finish()
    }
}

impl Inner {
    async fn identity(&self, token: &Token, expires: Option<Tick>) -> (Result<Subject, Error>, Duration) {
        let left = expires.map_or(Duration::MAX, |end| self.clock.until(end));
        match self.questions.identity(token).await {
            Ok(Identity::Known(user)) => {
                (Ok(Subject::new(user, expires)), self.settings.identity_for.min(left))
            }
            Ok(Identity::Refused(reason)) => (Err(Error::Refused(reason)), self.settings.denied_for),
            Ok(Identity::Unsure) => (Err(Error::Refused(Reason::Rejected)), self.unsure_for()),
            Err(failure) => (Err(failure.into()), Duration::ZERO),
        }
    }

    /// Whether `subject` may see `namespace`, or all where it is none.
    async fn may_see(&self, subject: &Subject, namespace: Option<&Namespace>) -> Result<bool, Error> {
        let question = rule::question(subject, namespace);
        let ask = async {
            match self.questions.access(&question).await {
                Ok(Access::Allowed) => (Ok(true), self.settings.allowed_for),
                Ok(Access::Denied) => (Ok(false), self.settings.denied_for),
                Ok(Access::Unsure) => (Ok(false), self.unsure_for()),
                Err(failure) => (Err(failure.into()), Duration::ZERO),
            }
        };
        self.accesses.get(rule::key(&question)?, ask).await
    }

    async fn all_of(&self, subject: &Subject, wanted: &Namespaces) -> Result<Outcome, Error> {
        let most = self.settings.max_namespaces;
        if wanted.len() > most {
            return Ok(Outcome::TooMany { most });
        }
        let answers = join_all(wanted.iter().map(|name| self.may_see(subject, Some(name)))).await;
        // A no is certain whatever the others would be.
        if answers.contains(&Ok(false)) {
            return Ok(Outcome::Nothing);
        }
        match answers.into_iter().find_map(Result::err) {
            Some(error) => Err(error),
            None => Ok(Outcome::Sees(Sight::Only(wanted.clone()))),
        }
    }

    /// Those of the user's projects that they may see the metrics of: a project is listed for any right in it.
    async fn listed(&self, token: &Token, subject: &Subject) -> Result<Outcome, Error> {
        let most = self.settings.max_namespaces;
        let names = match self.projects.get(token.digest(), self.list(token)).await? {
            Projects::Listed(names) => names,
            Projects::TooMany => return Ok(Outcome::TooMany { most }),
            Projects::Forbidden => return Ok(Outcome::MustName),
            Projects::Refused => return Err(Error::Refused(Reason::Rejected)),
        };
        let answers = join_all(names.iter().map(|name| self.may_see(subject, Some(name)))).await;
        let answers: Vec<bool> = answers.into_iter().collect::<Result<_, _>>()?;
        let seen = names.iter().zip(answers).filter(|(_, may)| *may).map(|(name, _)| name.clone());
        Ok(Namespaces::new(seen).map_or(Outcome::Nothing, |names| Outcome::Sees(Sight::Only(names))))
    }

    async fn list(&self, token: &Token) -> (Result<Projects, Error>, Duration) {
        match self.questions.projects(token, self.settings.max_namespaces).await {
            Ok(listed @ (Projects::Listed(_) | Projects::TooMany)) => {
                (Ok(listed), self.settings.identity_for)
            }
            Ok(no @ (Projects::Forbidden | Projects::Refused)) => (Ok(no), self.settings.denied_for),
            Err(failure) => (Err(failure.into()), Duration::ZERO),
        }
    }

    fn unsure_for(&self) -> Duration {
        UNSURE_FOR.min(self.settings.denied_for)
    }
}
