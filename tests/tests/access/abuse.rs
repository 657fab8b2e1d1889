//! What one user may have at once, and how fast.

use e2e::http;

use crate::rig::{Rig, problem};

#[tokio::test]
async fn a_user_has_so_many_streams_and_others_have_theirs() {
    let flags = ["--stream-max-connections-per-user", "2", "--stream-max-topics-per-user", "1"];
    let rig = Rig::start(&flags).await;
    let ann = rig.issuer.token("ann", &["a"]);
    let first = rig.open(&ann, &[("query", "up")]).await.unwrap();
    let other_topic = rig.open(&ann, &[("query", "down")]).await.unwrap_err();
    assert_eq!((other_topic.status, problem(&other_topic).as_str()), (429, "user-limit"));
    let second = rig.open(&ann, &[("query", "up")]).await.unwrap();
    let third = rig.open(&ann, &[("query", "up")]).await.unwrap_err();
    assert_eq!((third.status, problem(&third).as_str()), (429, "user-limit"));
    assert!(third.headers.contains_key("retry-after"));
    rig.open(&rig.issuer.token("ben", &["a"]), &[("query", "down")]).await.unwrap();
    drop((first, second));
}

#[tokio::test]
async fn a_user_opens_streams_so_fast_and_no_faster() {
    let rig = Rig::start(&["--stream-open-rate", "1", "--stream-open-burst", "3"]).await;
    let ann = rig.issuer.token("ann", &["a"]);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(rig.open(&ann, &[("query", "up")]).await.map_or_else(|answer| answer.status, |_| 200));
    }
    assert_eq!(answers[..3], [200, 200, 200]);
    assert!(answers[3..].contains(&429), "{answers:?}");
}

#[tokio::test]
async fn the_log_tells_who_streams_what_and_no_query() {
    let rig = Rig::start(&[]).await;
    let stream = rig.open(&rig.issuer.token("ann", &["a", "b"]), &[("query", "sum(secret_name)")]).await;
    let stream = stream.unwrap();
    let opened = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["fields"]["message"] == "stream opened").then(|| line["fields"].clone())
    };
    let fields = rig.gateway.process.line("that a stream was opened", opened).await;
    assert_eq!((&fields["user"], &fields["sight"]), (&"ann".into(), &"a,b".into()));
    assert_eq!(fields["topic"], stream.topic());
    assert!(!rig.gateway.process.output().contains("secret_name"));
}

#[tokio::test]
async fn guessing_tokens_is_slow_wherever_it_is_tried() {
    let rig = Rig::start(&["--stream-open-rate", "1", "--stream-open-burst", "3"]).await;
    for path in ["/api/v1/metrics/stream/status", "/api/v1/metrics/stream?query=up"] {
        let mut answers = Vec::new();
        for guess in 0..6 {
            let request = rig.gateway.http.get(rig.gateway.url(path)).bearer_auth(format!("guess-{guess}"));
            answers.push(http::send(request).await.status);
        }
        assert_eq!(answers[..3], [401, 401, 401], "{path}");
        assert!(answers[3..].contains(&429), "{path}: {answers:?}");
    }
}
