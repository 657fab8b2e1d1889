//! What somebody may see.

use e2e::kube_api::{Account, Call, Fault, GATEWAY, KubeApi, access_review};
use k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus;
use promcast_gateway::auth::kubernetes::{Listing, Outcome, Settings};
use promcast_gateway::auth::{Error, Reason, Sight};
use serde_json::json;

use crate::rig::{api, only, reviewer, sees, settings, start, unavailable};

#[tokio::test]
async fn every_question_for_access_carries_the_user_whole_and_the_one_rule() {
    let api = api().await;
    let outcome = sees(&reviewer(&api).await, "ada", &["team-a"]).await;
    assert_eq!(outcome, Ok(only(&["team-a"])));
    let asked = api.recorded(Call::Access);
    let user = Account::new("ada", &[]).user;
    let spec = |attributes| {
        json!({
            "user": "ada",
            "uid": "uid-of-ada",
            "groups": user.groups.clone(),
            "extra": user.extra.clone(),
            "resourceAttributes": attributes,
        })
    };
    let rule = json!({ "verb": "get", "group": "metrics.k8s.io", "version": "v1beta1", "resource": "pods" });
    let mut in_one = rule.clone();
    in_one["namespace"] = "team-a".into();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body["spec"], spec(rule));
    assert_eq!(asked[1].body["spec"], spec(in_one));
    assert!(asked.iter().all(|one| one.bearer.as_deref() == Some(GATEWAY)));
}

#[tokio::test]
async fn an_error_beside_a_no_is_a_no_and_beside_a_yes_a_yes() {
    let api = api().await;
    let reviewer = reviewer(&api).await;
    let evaluation_error = Some("RBAC: role.rbac.authorization.k8s.io \"gone\" not found".to_owned());
    let no = SubjectAccessReviewStatus { evaluation_error, ..SubjectAccessReviewStatus::default() };
    api.fail(Call::Access, Fault::Body(access_review(no.clone())));
    assert_eq!(sees(&reviewer, "ada", &["team-a"]).await, Ok(Outcome::Nothing));
    let yes = SubjectAccessReviewStatus { allowed: true, ..no };
    api.fail(Call::Access, Fault::Body(access_review(yes)));
    assert_eq!(sees(&reviewer, "root", &[]).await, Ok(Outcome::Sees(Sight::All)));
}

#[tokio::test]
async fn who_may_see_all_namespaces_sees_all_or_what_they_name_by_one_review() {
    let api = api().await;
    let reviewer = reviewer(&api).await;
    assert_eq!(sees(&reviewer, "root", &[]).await, Ok(Outcome::Sees(Sight::All)));
    let many = ["a", "b", "c", "d", "e"];
    assert_eq!(sees(&reviewer, "root", &many).await, Ok(only(&many)));
    assert_eq!((api.count(Call::Token), api.count(Call::Access)), (1, 1));
}

#[tokio::test]
async fn others_see_what_they_name_if_all_of_it_is_theirs_and_nothing_else() {
    let api = api().await;
    let reviewer = reviewer(&api).await;
    assert_eq!(sees(&reviewer, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
    let both = ["team-a", "team-b"];
    assert_eq!(sees(&reviewer, "ada", &both).await, Ok(only(&both)));
    // One that exists and one that does not look alike.
    for foreign in ["team-c", "no-such-namespace"] {
        assert_eq!(sees(&reviewer, "ada", &["team-a", foreign]).await, Ok(Outcome::Nothing));
        assert_eq!(sees(&reviewer, "ada", &[foreign]).await, Ok(Outcome::Nothing));
    }
}

#[tokio::test]
async fn a_no_is_certain_whatever_the_others_would_be() {
    let api = api().await;
    let reviewer = reviewer(&api).await;
    assert_eq!(sees(&reviewer, "ada", &["team-c"]).await, Ok(Outcome::Nothing));
    api.fail(Call::Access, Fault::Status(500));
    assert_eq!(sees(&reviewer, "ada", &["team-a", "team-c"]).await, Ok(Outcome::Nothing));
    unavailable(sees(&reviewer, "ada", &["team-a"]).await);
}

#[tokio::test]
async fn more_namespaces_than_may_be_named_cost_no_review_each() {
    let api = api().await;
    let reviewer = reviewer(&api).await;
    let outcome = sees(&reviewer, "ada", &["team-a", "team-b", "c", "d"]).await;
    assert_eq!(outcome, Ok(Outcome::TooMany { most: 3 }));
    assert_eq!(api.count(Call::Access), 1);
}

#[tokio::test]
async fn without_a_list_namespaces_must_be_named() {
    let api = api().await;
    assert_eq!(sees(&reviewer(&api).await, "ada", &[]).await, Ok(Outcome::MustName));
    assert_eq!(api.count(Call::Projects), 0);
}

#[tokio::test]
async fn projects_are_listed_with_the_users_token_and_those_with_the_right_remain() {
    let api = api().await;
    let reviewer = start(Settings { listing: Listing::Projects, ..settings(&api) }).await;
    assert_eq!(sees(&reviewer, "ada", &[]).await, Ok(only(&["team-a", "team-b"])));
    assert_eq!(sees(&reviewer, "root", &[]).await, Ok(Outcome::Sees(Sight::All)));
    let asked = api.recorded(Call::Projects);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].bearer.as_deref(), Some("ada-token"));
    assert_eq!(asked[0].uri, "/apis/project.openshift.io/v1/projects?limit=4");
}

#[tokio::test]
async fn what_is_wrong_with_a_list_of_projects_is_told_apart() {
    let mut nobody = Account::new("nobody", &[]);
    let mut many = Account::new("many", &["a", "b", "c", "d"]);
    let mut barred = Account::new("barred", &[]);
    nobody.projects = vec!["without-metrics".to_owned()];
    many.sees = Vec::new();
    barred.projects = Vec::new();
    let api = KubeApi::start([nobody, many, barred, Account::new("gone", &[])]).await;
    let reviewer = start(Settings { listing: Listing::Projects, ..settings(&api) }).await;
    assert_eq!(sees(&reviewer, "nobody", &[]).await, Ok(Outcome::Nothing));
    assert_eq!(sees(&reviewer, "many", &[]).await, Ok(Outcome::TooMany { most: 3 }));
    assert_eq!(sees(&reviewer, "barred", &[]).await, Ok(Outcome::Nothing));
    api.fail(Call::Projects, Fault::Status(401));
    assert_eq!(sees(&reviewer, "gone", &[]).await, Err(Error::Refused(Reason::Rejected)));
    // A token whose scopes do not reach so far may still name its namespaces.
    let api = self::api().await;
    let reviewer = start(Settings { listing: Listing::Projects, ..settings(&api) }).await;
    api.fail(Call::Projects, Fault::Status(403));
    assert_eq!(sees(&reviewer, "ada", &[]).await, Ok(Outcome::MustName));
    assert_eq!(sees(&reviewer, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
}
