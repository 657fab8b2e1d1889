//! What is kept, for how long, and what many ask for at once.

use std::time::Duration;

use e2e::kube_api::{Account, Call, Fault, KubeApi};
use e2e::wait::{PATIENCE, until, within};
use futures_util::future::join_all;
use promcast_gateway::auth::Sight;
use promcast_gateway::auth::kubernetes::{Outcome, Settings};

use crate::rig::{TIMEOUT, api, only, reviewer, sees, settings, start, unavailable};

#[tokio::test]
async fn a_hundred_streams_of_a_user_make_each_review_once() {
    let api = api().await;
    let reviewer = reviewer(&api).await;
    api.fail(Call::Token, Fault::Slow(TIMEOUT / 10));
    api.fail(Call::Access, Fault::Slow(TIMEOUT / 10));
    let outcomes = join_all((0..100).map(|_| sees(&reviewer, "ada", &["team-a"]))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(only(&["team-a"]))));
    assert_eq!((api.count(Call::Token), api.count(Call::Access)), (1, 2));
    // And they fail together, with one question.
    api.fail(Call::Token, Fault::Hang);
    let all = join_all((0..100).map(|_| async { unavailable(sees(&reviewer, "root", &[]).await) }));
    within("all of them to fail", PATIENCE, all).await;
    assert_eq!(api.count(Call::Token), 2);
}

#[tokio::test]
async fn tokens_of_one_user_share_no_identity_but_do_share_what_is_the_same() {
    let mut other = Account::new("ada", &["team-a"]);
    other.token = "other-token".to_owned();
    let mut narrow = Account::new("ada", &[]);
    narrow.token = "narrow-token".to_owned();
    narrow.user.extra = None;
    let api = KubeApi::start([Account::new("ada", &["team-a"]), other, narrow]).await;
    let reviewer = reviewer(&api).await;
    assert_eq!(sees(&reviewer, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
    assert_eq!(sees(&reviewer, "other", &["team-a"]).await, Ok(only(&["team-a"])));
    assert_eq!((api.count(Call::Token), api.count(Call::Access)), (2, 2));
    assert_eq!(sees(&reviewer, "narrow", &["team-a"]).await, Ok(Outcome::Nothing));
    assert_eq!(api.count(Call::Access), 4);
}

#[tokio::test]
async fn no_more_questions_are_under_way_than_configured() {
    let accounts = (0..8).map(|number| Account::admin(&format!("user-{number}")));
    let api = KubeApi::start(accounts).await;
    let reviewer = start(Settings { concurrency: 2, ..settings(&api) }).await;
    api.fail(Call::Token, Fault::Slow(Duration::from_millis(50)));
    let names: Vec<_> = (0..8).map(|number| format!("user-{number}")).collect();
    let outcomes = join_all(names.iter().map(|name| sees(&reviewer, name, &[]))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Sees(Sight::All))), "{outcomes:?}");
    assert_eq!(api.most_under_way(), 2);
}

#[tokio::test]
async fn while_the_api_server_is_away_kept_answers_count_for_their_time_and_nobody_new_is_let_in() {
    let mut api = api().await;
    let allowed_for = Duration::from_secs(3);
    let reviewer = start(Settings { allowed_for, ..settings(&api) }).await;
    let started = tokio::time::Instant::now();
    assert_eq!(sees(&reviewer, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
    api.stop().await;
    assert_eq!(sees(&reviewer, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
    let why = unavailable(sees(&reviewer, "root", &[]).await);
    assert!(why.contains("cannot be reached"), "{why}");
    let over = until("the right is no longer kept", PATIENCE, || async {
        sees(&reviewer, "ada", &["team-a"]).await.is_err().then(|| started.elapsed())
    });
    assert!(over.await >= allowed_for);
}
