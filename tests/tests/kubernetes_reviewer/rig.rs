//! What the tests of the reviewer share: two users, and a reviewer that asks the stand-in.

use std::time::Duration;

use e2e::kube_api::{Account, KubeApi};
use promcast_gateway::auth::kubernetes::{Listing, Outcome, Reviewer, Settings};
use promcast_gateway::auth::{Error, Namespaces, Sight, Token};
use promcast_runtime::clock::Clock;
use prometheus::Registry;

/// Long against an answer of the stand-in, short against patience.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn settings(api: &KubeApi) -> Settings {
    Settings {
        kubeconfig: Some(api.kubeconfig()),
        context: None,
        audiences: Vec::new(),
        listing: Listing::None,
        max_namespaces: 3,
        timeout: TIMEOUT,
        concurrency: 32,
        identity_for: Duration::from_secs(120),
        allowed_for: Duration::from_secs(300),
        denied_for: Duration::from_secs(30),
        cache_entries: 1_000,
    }
}

pub(crate) async fn start(settings: Settings) -> Reviewer {
    Reviewer::start(settings, Clock::system(), &Registry::new()).await.unwrap()
}

pub(crate) async fn reviewer(api: &KubeApi) -> Reviewer {
    start(settings(api)).await
}

/// Ada sees two namespaces and has rights in a third, and Root sees all.
pub(crate) async fn api() -> KubeApi {
    let mut ada = Account::new("ada", &["team-a", "team-b"]);
    ada.projects.push("without-metrics".to_owned());
    KubeApi::start([ada, Account::admin("root")]).await
}

pub(crate) fn token(name: &str) -> Token {
    Token::new(&format!("{name}-token")).unwrap()
}

pub(crate) fn named(names: &[&str]) -> Namespaces {
    Namespaces::new(names.iter().map(|name| name.parse().unwrap())).unwrap()
}

pub(crate) fn only(names: &[&str]) -> Outcome {
    Outcome::Sees(Sight::Only(named(names)))
}

/// What somebody sees who names these namespaces, or none.
pub(crate) async fn sees(reviewer: &Reviewer, name: &str, names: &[&str]) -> Result<Outcome, Error> {
    let token = token(name);
    let subject = reviewer.identify(&token).await?;
    let wanted = (!names.is_empty()).then(|| named(names));
    reviewer.sight(&token, &subject, wanted.as_ref()).await
}

pub(crate) fn unavailable<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Unavailable(why) => why,
        Error::Refused(reason) => panic!("refused: {}", reason.as_str()),
    }
}
