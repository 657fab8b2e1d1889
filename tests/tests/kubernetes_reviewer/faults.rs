//! Whatever goes wrong lets nobody in, is not kept, and tells nobody a token.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use e2e::kube_api::{Account, Call, Fault, GATEWAY, access_review, token_review};
use futures_util::future::join_all;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus;
use promcast_gateway::auth::kubernetes::{Listing, Reviewer, Settings};
use promcast_runtime::clock::Clock;
use prometheus::Registry;
use serde_json::json;

use crate::rig::{TIMEOUT, api, only, reviewer, sees, settings, start, token, unavailable};

/// Faults of any call, and what the metric calls them.
fn faults() -> Vec<(Fault, &'static str)> {
    let body = |text: &str| Fault::Body(text.to_owned());
    vec![
        (Fault::Status(500), "error_status"),
        (Fault::Status(429), "error_status"),
        (Fault::Status(302), "error_status"),
        (Fault::Status(404), "error_status"),
        (Fault::Hang, "timed_out"),
        (Fault::Slow(TIMEOUT * 10), "timed_out"),
        (Fault::Cut, "unreachable"),
        (body("{"), "bad_answer"),
        (body(""), "bad_answer"),
        (body(r#"{"kind":"Status","apiVersion":"v1","status":"Success"}"#), "bad_answer"),
        (body(&" ".repeat(5 * 1024 * 1024)), "bad_answer"),
        // The token where none belongs.
        (body(r#"{"spec":"ada-token","status":"ada-token"}"#), "bad_answer"),
    ]
}

/// What the metric of the reviews shows for this kind, without the zeros.
fn counted(registry: &Registry, kind: &str) -> BTreeSet<(String, u64)> {
    let families = registry.gather();
    let reviews = families.iter().find(|family| family.name().ends_with("kubernetes_reviews_total")).unwrap();
    let of_kind = reviews.get_metric().iter().filter(|metric| metric.get_label()[0].value() == kind);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small and whole")]
    let counts = of_kind
        .map(|metric| (metric.get_label()[1].value().to_owned(), metric.get_counter().get_value() as u64));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// Whoever has no answer in the cache is not let in while `call` fails so, and is once it works again.
async fn fails_closed(call: Call, fault: Fault, outcome: &str) {
    let (api, registry) = (api().await, Registry::new());
    let settings = Settings { listing: Listing::Projects, ..settings(&api) };
    let reviewer = Reviewer::start(settings, Clock::system(), &registry).await.unwrap();
    api.fail(call, fault.clone());
    let why = unavailable(sees(&reviewer, "ada", &[]).await);
    assert!(!why.contains("ada"), "{fault:?} is told as: {why}");
    let kind = match call {
        Call::Token => "token",
        Call::Access => "access",
        Call::Projects => "projects",
    };
    assert_eq!(counted(&registry, kind), BTreeSet::from([(outcome.to_owned(), 1)]), "{call:?} {fault:?}");
    api.heal();
    assert_eq!(sees(&reviewer, "ada", &[]).await, Ok(only(&["team-a", "team-b"])), "{call:?} {fault:?}");
}

#[tokio::test]
async fn whatever_goes_wrong_with_a_call_lets_nobody_in_and_is_not_kept() {
    let calls = [Call::Token, Call::Access, Call::Projects];
    let cases = calls.into_iter().flat_map(|call| {
        faults().into_iter().map(move |(fault, outcome)| fails_closed(call, fault, outcome))
    });
    join_all(cases).await;
}

#[tokio::test]
async fn a_gateway_that_has_no_right_to_ask_lets_nobody_in() {
    for code in [401, 403] {
        fails_closed(Call::Token, Fault::Status(code), "not_permitted").await;
        fails_closed(Call::Access, Fault::Status(code), "not_permitted").await;
    }
    let api = api().await;
    let kubeconfig = api.kubeconfig_with("some-other-token", json!({ "certificate-authority": api.ca() }));
    let stranger = start(Settings { kubeconfig: Some(kubeconfig), ..settings(&api) }).await;
    let why = unavailable(stranger.identify(&token("ada")).await);
    assert!(why.contains("401") && why.contains("tokenreviews"), "{why}");
}

#[tokio::test]
async fn reviews_that_contradict_themselves_let_nobody_in() {
    let user = Account::new("ada", &[]).user;
    let known =
        TokenReviewStatus { authenticated: Some(true), user: Some(user), ..TokenReviewStatus::default() };
    let contradictions = [
        TokenReviewStatus { error: Some("could not be checked".to_owned()), ..known.clone() },
        TokenReviewStatus { user: None, ..known },
    ];
    for status in contradictions {
        fails_closed(Call::Token, Fault::Body(token_review(status)), "bad_answer").await;
    }
    fails_closed(Call::Token, Fault::Body("{}".to_owned()), "bad_answer").await;
    let both = SubjectAccessReviewStatus { allowed: true, denied: Some(true), ..Default::default() };
    fails_closed(Call::Access, Fault::Body(access_review(both)), "bad_answer").await;
    fails_closed(Call::Access, Fault::Body("{}".to_owned()), "bad_answer").await;
}

#[tokio::test]
async fn a_yes_in_an_answer_that_is_too_large_is_none() {
    let yes = SubjectAccessReviewStatus { allowed: true, ..Default::default() };
    let text = access_review(yes) + &" ".repeat(5 * 1024 * 1024);
    fails_closed(Call::Access, Fault::Body(text), "bad_answer").await;
}

#[tokio::test]
async fn a_slow_answer_within_the_time_counts() {
    let api = api().await;
    api.fail(Call::Token, Fault::Slow(TIMEOUT / 10));
    api.fail(Call::Access, Fault::Slow(TIMEOUT / 10));
    assert_eq!(sees(&reviewer(&api).await, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
}

/// What is logged, by anybody.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_is_logged_at_any_level_whatever_the_api_server_answers() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let api = api().await;
    for call in [Call::Token, Call::Access, Call::Projects] {
        let reviewer = start(Settings { listing: Listing::Projects, ..settings(&api) }).await;
        for (fault, _) in faults().into_iter().filter(|(_, outcome)| *outcome == "bad_answer") {
            api.fail(call, fault);
            unavailable(sees(&reviewer, "ada", &[]).await);
        }
        api.heal();
        sees(&reviewer, "ada", &[]).await.unwrap();
        sees(&reviewer, "eve", &[]).await.unwrap_err();
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("reviews fail") && log.contains("reviews work again"), "{log}");
    for secret in ["ada-token", "eve-token", GATEWAY] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
