//! Whose token it is.

use data_encoding::BASE64URL_NOPAD;
use e2e::kube_api::{API_AUDIENCE, Account, Call, Fault, GATEWAY, KubeApi, token_review};
use e2e::wait::{PATIENCE, now, until};
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use promcast_gateway::auth::kubernetes::Settings;
use promcast_gateway::auth::{Error, Reason, Token};
use serde_json::json;

use crate::rig::{api, reviewer, settings, start, token};

#[tokio::test]
async fn a_token_is_identified_with_all_that_the_review_says() {
    let api = api().await;
    let subject = reviewer(&api).await.identify(&token("ada")).await.unwrap();
    let expected = Account::new("ada", &[]).user;
    assert_eq!(subject.username(), "ada");
    assert_eq!(subject.uid(), Some("uid-of-ada"));
    assert_eq!(Some(subject.groups()), expected.groups.as_deref());
    assert_eq!(subject.extra(), expected.extra.as_ref());
    assert_eq!(subject.expires(), None);
    let asked = api.recorded(Call::Token).remove(0);
    assert_eq!(asked.bearer.as_deref(), Some(GATEWAY));
    assert_eq!(asked.body["spec"], json!({ "token": "ada-token" }));
}

#[tokio::test]
async fn an_unknown_token_is_refused_with_no_word_of_why() {
    let api = api().await;
    let error = reviewer(&api).await.identify(&token("eve")).await.unwrap_err();
    assert_eq!(error, Error::Refused(Reason::Rejected));
    assert_eq!(error.to_string(), "the token is refused: rejected");
}

#[tokio::test]
async fn where_audiences_are_configured_only_tokens_for_them_count() {
    let mut for_us = Account::new("for-us", &["team-a"]);
    for_us.audiences = vec!["other".to_owned(), "promcast".to_owned()];
    let api = KubeApi::start([for_us, Account::new("ada", &[])]).await;
    let audiences = ["spare", "promcast"].map(ToOwned::to_owned).to_vec();
    let reviewer = start(Settings { audiences, ..settings(&api) }).await;
    assert_eq!(reviewer.identify(&token("for-us")).await.unwrap().username(), "for-us");
    assert_eq!(api.recorded(Call::Token)[0].body["spec"]["audiences"], json!(["spare", "promcast"]));
    let error = reviewer.identify(&token("ada")).await.unwrap_err();
    assert_eq!(error, Error::Refused(Reason::Rejected));
    // One that knows of no audiences says yes and names none, or its own.
    for audiences in [None, Some(vec![]), Some(vec![API_AUDIENCE.to_owned()])] {
        let user = Some(Account::new("old", &[]).user);
        let status = TokenReviewStatus { authenticated: Some(true), user, audiences, error: None };
        api.fail(Call::Token, Fault::Body(token_review(status)));
        let token = Token::new(&format!("old-{}", api.count(Call::Token))).unwrap();
        let error = reviewer.identify(&token).await.unwrap_err();
        assert_eq!(error, Error::Refused(Reason::Audience));
    }
    // And without audiences a token for us alone is none for the API server.
    api.heal();
    let error = self::reviewer(&api).await.identify(&token("for-us")).await.unwrap_err();
    assert_eq!(error, Error::Refused(Reason::Rejected));
}

#[tokio::test]
async fn a_token_counts_no_longer_than_it_says_itself() {
    let jwt = |exp: i64| {
        let claims = json!({ "exp": exp }).to_string();
        format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
    };
    let seconds = now().millis() / 1000;
    let (past, soon) = (jwt(seconds - 1), jwt(seconds + 2));
    let accounts = [&past, &soon].map(|token| Account { token: token.clone(), ..Account::admin("root") });
    let api = KubeApi::start(accounts).await;
    let reviewer = reviewer(&api).await;
    let error = reviewer.identify(&Token::new(&past).unwrap()).await.unwrap_err();
    assert_eq!(error, Error::Refused(Reason::Expired));
    assert_eq!(api.count(Call::Token), 0);
    let soon = Token::new(&soon).unwrap();
    let expires = reviewer.identify(&soon).await.unwrap().expires().unwrap();
    assert_eq!(expires.millis(), (seconds + 2) * 1000);
    let refused = until("the token is refused", PATIENCE, || async { reviewer.identify(&soon).await.err() });
    assert_eq!(refused.await, Error::Refused(Reason::Expired));
    assert!(now() >= expires);
}
