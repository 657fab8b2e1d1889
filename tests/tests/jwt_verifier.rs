//! The verifier of tokens against an issuer that is real enough to fall ill: keys that change, keys that are gone, and
//! floods of tokens that nobody signed.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::oidc::{AUDIENCE, Issuer, Mood, forge};
use e2e::wait::{PATIENCE, clock_reaches, until, within};
use futures_util::future::join_all;
use promcast_gateway::auth::jwt::metrics::Look;
use promcast_gateway::auth::jwt::settings::{Pace, Source, discovery};
use promcast_gateway::auth::jwt::{self, Metrics, Reach, Rules, Settings, Verifier, verify};
use promcast_gateway::auth::{Error, Reason, Sight, Token};
use promcast_proto::tick::Tick;
use promcast_runtime::clock::Clock;
use promcast_runtime::lifecycle::Tasks;
use prometheus::Registry;
use serde_json::json;

/// An issuer, and a verifier of its tokens.
struct Door {
    issuer: Issuer,
    verifier: Verifier,
    metrics: Metrics,
}

impl Door {
    /// Tokens may ask for one look, however long the test takes.
    async fn open() -> Self {
        let pace = Pace { gap: Duration::from_secs(3600), ..Pace::default() };
        Self::of(Issuer::start().await, pace, verify::LEEWAY)
    }

    fn of(issuer: Issuer, pace: Pace, leeway: Duration) -> Self {
        let source = Source::Discovery(discovery(&issuer.url()).unwrap());
        let settings = Settings { pace, ..settings(&issuer, source, leeway) };
        let (verifier, metrics) = start(settings);
        Self { issuer, verifier: verifier.unwrap(), metrics }
    }

    async fn user(&self, token: &str) -> Result<String, Error> {
        let token = Token::new(token).unwrap();
        within("a verdict", PATIENCE, self.verifier.identify(&token)).await.map(|identity| identity.user)
    }

    /// What became of each of these tokens, all of them sent at once.
    async fn crowd(&self, tokens: &[String]) -> Vec<Result<String, Error>> {
        join_all(tokens.iter().map(|token| self.user(token))).await
    }
}

fn settings(issuer: &Issuer, source: Source, leeway: Duration) -> Settings {
    let reach = Reach {
        namespaces: Some("namespaces".parse().unwrap()),
        groups: "groups".parse().unwrap(),
        group_namespaces: BTreeMap::new(),
        admins: BTreeSet::new(),
    };
    let (audiences, user) = (vec![AUDIENCE.to_owned()], "sub".parse().unwrap());
    let rules = Rules { issuer: issuer.url(), audiences, leeway, user, reach };
    Settings { rules, source, pace: Pace::default(), ca_file: None }
}

fn start(settings: Settings) -> (Result<Verifier, jwt::Error>, Metrics) {
    let metrics = Metrics::new(&Registry::new()).unwrap();
    (Verifier::start(settings, Clock::system(), &Tasks::default(), metrics.clone()), metrics)
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user-{number}")).collect()
}

fn unavailable(verdict: &Result<String, Error>) -> &str {
    match verdict {
        Err(Error::Unavailable(why)) => why,
        Ok(_) | Err(Error::Refused(_)) => panic!("not unavailable but {verdict:?}"),
    }
}

#[tokio::test]
async fn a_token_is_known_by_the_keys_that_discovery_names_and_is_remembered() {
    let door = Door::open().await;
    let token = door.issuer.token("ann", &["team-a", "Not A Name"]);
    let identity = door.verifier.identify(&Token::new(&token).unwrap()).await.unwrap();
    let Some(Sight::Only(names)) = &identity.sight else { panic!("{identity:?}") };
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["team-a"]);
    assert_eq!((identity.user.as_str(), door.metrics.ignored_names.get()), ("ann", 1));
    assert_eq!((door.issuer.asked(), door.metrics.keys.get()), ((1, 1), 1));
    door.issuer.rotate();
    // It is remembered: nobody looks at it again, or the key would be missed.
    assert_eq!(door.user(&token).await.unwrap(), "ann");
    assert_eq!(door.metrics.ignored_names.get(), 1);
}

#[tokio::test]
async fn a_hundred_tokens_by_a_new_key_are_known_after_one_look() {
    let door = Door::open().await;
    let old = door.issuer.token("old", &["a"]);
    assert_eq!(door.user(&door.issuer.token("ann", &["a"])).await.unwrap(), "ann");
    door.issuer.rotate();
    door.issuer.feel(Mood::Slow(Duration::from_millis(100)));
    let names = users(100);
    let tokens: Vec<_> = names.iter().map(|name| door.issuer.token(name, &["a"])).collect();
    let found: Vec<_> = door.crowd(&tokens).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, names);
    assert_eq!(door.issuer.asked(), (2, 2));
    assert_eq!(door.user(&old).await, Err(Error::Refused(Reason::UnknownKey)), "a withdrawn key counts");
}

#[tokio::test]
async fn a_flood_of_bad_tokens_makes_one_look_and_the_next_flood_none() {
    let door = Door::open().await;
    let good = door.issuer.token("ann", &["a"]);
    assert_eq!(door.user(&good).await.unwrap(), "ann");
    door.issuer.feel(Mood::Slow(Duration::from_millis(100)));
    let claims = door.issuer.claims("eve", &["victim"]);
    for _ in 0..3 {
        let forged: Vec<_> = users(100).iter().map(|name| forge(name, &claims)).collect();
        for verdict in door.crowd(&forged).await {
            assert_eq!(verdict, Err(Error::Refused(Reason::UnknownKey)));
        }
        assert_eq!(door.issuer.asked(), (2, 2));
    }
    assert_eq!(door.user(&good).await.unwrap(), "ann");
    // By the right name, and not by the right key: that is no reason to look.
    assert_eq!(door.user(&forge("key-1", &claims)).await, Err(Error::Refused(Reason::Signature)));
    assert_eq!(door.issuer.asked(), (2, 2));
}

#[tokio::test]
async fn after_the_gap_tokens_may_ask_again() {
    let pace = Pace { gap: Duration::from_millis(300), ..Pace::default() };
    let door = Door::of(Issuer::start().await, pace, verify::LEEWAY);
    assert_eq!(door.user(&door.issuer.token("ann", &["a"])).await.unwrap(), "ann");
    let claims = door.issuer.claims("eve", &[]);
    assert_eq!(door.user(&forge("one", &claims)).await, Err(Error::Refused(Reason::UnknownKey)));
    door.issuer.rotate();
    let token = door.issuer.token("ben", &["a"]);
    until("the new key is known", PATIENCE, || async { door.user(&token).await.ok() }).await;
    assert_eq!(door.issuer.asked(), (3, 3));
}

#[tokio::test]
async fn new_keys_are_found_by_the_regular_look_too() {
    let pace =
        Pace { refresh: Duration::from_millis(100), gap: Duration::from_secs(3600), ..Pace::default() };
    let door = Door::of(Issuer::start().await, pace, verify::LEEWAY);
    let withdrawn = door.issuer.token("old", &["a"]);
    // This uses up what tokens may ask for.
    let forged = forge("one", &door.issuer.claims("eve", &[]));
    assert_eq!(door.user(&forged).await, Err(Error::Refused(Reason::UnknownKey)));
    door.issuer.rotate();
    let token = door.issuer.token("ann", &["a"]);
    until("the new key is known", PATIENCE, || async { door.user(&token).await.ok() }).await;
    assert_eq!(door.user(&withdrawn).await, Err(Error::Refused(Reason::UnknownKey)));
}

#[tokio::test]
async fn old_keys_stay_while_the_issuer_is_down_or_talks_nonsense() {
    let pace = Pace { gap: Duration::ZERO, ..Pace::default() };
    let door = Door::of(Issuer::start().await, pace, verify::LEEWAY);
    assert_eq!(door.user(&door.issuer.token("ann", &["a"])).await.unwrap(), "ann");
    let nonsense = ["", "{}", r#"{"keys":[]}"#, "<html>", r#"{"keys":[{"kty":"oct","k":"AA"}]}"#];
    let other = "https://evil.example".to_owned();
    let moods = nonsense.map(|text| Mood::Keys(text.to_owned())).into_iter().chain([
        Mood::Down,
        Mood::Keys("x".repeat(1 << 20)),
        Mood::Stranger(other),
        Mood::Elsewhere("file:///etc/hosts".to_owned()),
    ]);
    for (number, mood) in moods.enumerate() {
        door.issuer.feel(mood.clone());
        let user = format!("user-{number}");
        let failed = door.metrics.looks(Look::Failed).get();
        let verdict = door.user(&forge("unknown", &door.issuer.claims(&user, &["a"]))).await;
        unavailable(&verdict);
        assert!(door.metrics.looks(Look::Failed).get() > failed, "{mood:?}");
        assert_eq!(door.user(&door.issuer.token(&user, &["a"])).await.unwrap(), user, "{mood:?}");
    }
    door.issuer.feel(Mood::Well);
    door.issuer.rotate();
    assert_eq!(door.user(&door.issuer.token("ben", &["a"])).await.unwrap(), "ben");
}

#[tokio::test]
async fn without_any_keys_nobody_is_let_in_until_the_issuer_recovers() {
    let issuer = Issuer::start().await;
    issuer.feel(Mood::Down);
    let door = Door::of(issuer, Pace::default(), verify::LEEWAY);
    let token = door.issuer.token("ann", &["a"]);
    let why = unavailable(&door.user(&token).await).to_owned();
    assert!(why.contains("503") && why.contains(&door.issuer.url()), "{why}");
    // What is no token is refused all the same.
    assert_eq!(door.user("abc").await, Err(Error::Refused(Reason::Malformed)));
    door.issuer.feel(Mood::Well);
    let user = until("the keys are there", PATIENCE, || async { door.user(&token).await.ok() }).await;
    assert_eq!(user, "ann");
}

#[tokio::test]
async fn the_discovery_document_of_another_issuer_gives_no_keys() {
    let issuer = Issuer::start().await;
    for near in [format!("{}/", issuer.url()), "https://evil.example".to_owned()] {
        issuer.feel(Mood::Stranger(near.clone()));
        let source = Source::Discovery(discovery(&issuer.url()).unwrap());
        let verifier = start(settings(&issuer, source, verify::LEEWAY)).0.unwrap();
        let verdict = verifier.identify(&Token::new(&issuer.token("ann", &["a"])).unwrap()).await;
        let why = unavailable(&verdict.map(|identity| identity.user)).to_owned();
        assert!(why.contains(&near), "{why}");
    }
    assert_eq!(issuer.asked(), (2, 0), "keys were fetched");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_costs_the_timeout_and_no_more() {
    let issuer = Issuer::start().await;
    issuer.feel(Mood::Slow(Duration::from_secs(3600)));
    let pace = Pace { timeout: Duration::from_millis(200), ..Pace::default() };
    let door = Door::of(issuer, pace, verify::LEEWAY);
    let token = door.issuer.token("ann", &["a"]);
    let verdict = within("the timeout", Duration::from_secs(5), door.user(&token)).await;
    assert!(unavailable(&verdict).contains("200ms"), "{verdict:?}");
}

#[tokio::test]
async fn a_token_that_was_remembered_ends_when_it_expires() {
    let door = Door::of(Issuer::start().await, Pace::default(), Duration::ZERO);
    let mut claims = door.issuer.claims("ann", &["a"]);
    let end = e2e::wait::now().millis() / 1000 + 4;
    claims["exp"] = json!(end);
    let token = door.issuer.sign(&claims);
    assert_eq!(door.user(&token).await.unwrap(), "ann");
    clock_reaches(Tick::from_millis(end * 1000)).await;
    assert_eq!(door.user(&token).await, Err(Error::Refused(Reason::Expired)));
}

#[tokio::test]
async fn keys_of_a_file_follow_it_and_a_broken_file_is_outlived() {
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let settings = || settings(&issuer, Source::File(path.clone()), verify::LEEWAY);
    assert!(matches!(start(settings()).0, Err(jwt::Error::Unreadable { .. })));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(start(settings()).0, Err(jwt::Error::Keys { .. })));
    std::fs::write(&path, issuer.key_set()).unwrap();
    Verifier::check(&settings()).unwrap();
    let verifier = start(settings()).0.unwrap();
    let user = |token: String| {
        let verifier = verifier.clone();
        async move { verifier.identify(&Token::new(&token).unwrap()).await.map(|identity| identity.user) }
    };
    assert_eq!(user(issuer.token("ann", &["a"])).await.unwrap(), "ann");
    let old = issuer.token("ben", &["a"]);
    issuer.rotate();
    std::fs::write(&path, "{").unwrap();
    unavailable(&user(issuer.token("cat", &["a"])).await);
    assert_eq!(user(old).await.unwrap(), "ben");
    std::fs::write(&path, issuer.key_set()).unwrap();
    let token = issuer.token("dan", &["a"]);
    let found = until("the file is read again", PATIENCE, || async { user(token.clone()).await.ok() }).await;
    assert_eq!((found.as_str(), issuer.asked()), ("dan", (0, 0)));
}
