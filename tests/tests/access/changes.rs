//! A live connection that is changed: by whoever opened it, and never to see more.

use e2e::dashboard::{Panel, change_as};
use e2e::stream::Stream;

use crate::rig::{Rig, problem};

fn id(stream: &Stream) -> &str {
    stream.connected.data["connection_id"].as_str().unwrap()
}

fn panel(query: &str) -> Panel {
    Panel { id: "new".to_owned(), query: query.to_owned(), interval: 5 }
}

#[tokio::test]
async fn what_is_added_sees_what_the_connection_was_opened_with() {
    let rig = Rig::start(&[]).await;
    let token = rig.issuer.token("ann", &["a", "b"]);
    let parameters = [("query", "up"), ("interval", "5"), ("namespace", "a")];
    let mut stream = rig.open(&token, &parameters).await.unwrap();
    stream.update().await;
    let added = change_as(&rig.gateway, Some(&token), id(&stream), &[panel("sum(up)")], &[]).await;
    assert_eq!(added.status, 200, "{}", added.body);
    stream.until("subscriptions", e2e::wait::PATIENCE).await;
    stream.updates(2).await;
    assert_eq!(rig.asked(), [r#"sum(up{namespace="a"})"#, r#"up{namespace="a"}"#]);
    let wider = [panel(r#"max(up{namespace="b"})"#)];
    let wider = change_as(&rig.gateway, Some(&token), id(&stream), &wider, &["new"]).await;
    assert_eq!(
        (wider.status, problem(&wider).as_str()),
        (403, "forbidden"),
        "it was narrowed to another namespace"
    );
    stream.updates(2).await;
}

#[tokio::test]
async fn nobody_else_can_change_it() {
    let rig = Rig::start(&[]).await;
    let token = rig.issuer.token("ann", &["a"]);
    let stream = rig.open(&token, &[("query", "up")]).await.unwrap();
    let change = async |token: Option<&str>| {
        let answer = change_as(&rig.gateway, token, id(&stream), &[panel("sum(up)")], &[]).await;
        (answer.status, problem(&answer))
    };
    assert_eq!(change(None).await, (401, "unauthenticated".to_owned()));
    let other = rig.issuer.token("ben", &["a"]);
    assert_eq!(change(Some(&other)).await, (404, "not-found".to_owned()), "as if unknown");
    assert_eq!(change(Some(&rig.admin())).await.0, 404, "whoever sees all does not speak for others");
}

#[tokio::test]
async fn topics_that_are_added_count_as_the_users_own() {
    let rig = Rig::start(&["--stream-max-topics-per-user", "2"]).await;
    let token = rig.issuer.token("ann", &["a"]);
    let _one = rig.open(&token, &[("query", "up")]).await.unwrap();
    let two = rig.open(&token, &[("query", "sum(up)")]).await.unwrap();
    let add = async |query: &str, remove: &[&str]| {
        change_as(&rig.gateway, Some(&token), id(&two), &[panel(query)], remove).await.status
    };
    assert_eq!(add("max(up)", &[]).await, 429);
    assert_eq!(add("up", &[]).await, 200, "it is streamed by the other connection anyway");
    assert_eq!(add("max(up)", &["new", "0"]).await, 200, "another one went");
}
