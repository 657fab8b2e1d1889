//! The promises about control messages between gateways, as functions that hold for any kind of bus.

use std::time::Duration;

use e2e::wait::{PATIENCE, within};
use promcast_proto::control::{Control, Reply};
use promcast_runtime::bus::{Limits, Question};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::rig::{Kind, passed};

/// Answers one question after another with this name, until nobody asks any more.
async fn answer(mut questions: mpsc::Receiver<Question>, replica: &str) {
    while let Some(Question { reply, .. }) = questions.recv().await {
        let answer = Reply::Status { replica: replica.to_owned(), connections: Vec::new() };
        reply.send(answer).unwrap();
    }
}

fn name(reply: &Reply) -> &str {
    match reply {
        Reply::Status { replica, .. } => replica,
        Reply::Closed | Reply::NotHeld | Reply::Changed(_) | Reply::Refused { .. } => panic!("{reply:?}"),
    }
}

pub(crate) async fn everybody_who_is_there_answers<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let (one, two) = (rig.bus.questions().await.unwrap(), rig.other.questions().await.unwrap());
    passed(&rig.bus).await;
    passed(&rig.other).await;
    let question = Control::Status { user: None };
    let asked = async {
        let started = Instant::now();
        let replies = rig.bus.gather(&question, 2, Duration::from_secs(20)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(15), "it waits for more than there are");
        replies
    };
    let replies = tokio::select! {
        replies = asked => replies,
        () = answer(one, "one") => panic!("no more questions"),
        () = answer(two, "two") => panic!("no more questions"),
    };
    let mut names: Vec<_> = replies.iter().map(name).collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two"]);
}

pub(crate) async fn who_does_not_answer_costs_the_wait_and_no_more<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let (one, mut mute) = (rig.bus.questions().await.unwrap(), rig.other.questions().await.unwrap());
    passed(&rig.bus).await;
    passed(&rig.other).await;
    let question = Control::Status { user: None };
    let asked = rig.other.gather(&question, 2, Duration::from_secs(1));
    let replies = tokio::select! {
        replies = asked => replies.unwrap(),
        () = answer(one, "one") => panic!("no more questions"),
        () = async { while mute.recv().await.is_some() {} } => panic!("no more questions"),
    };
    assert_eq!(replies.iter().map(name).collect::<Vec<_>>(), ["one"]);
}

pub(crate) async fn what_is_told_reaches_all<K: Kind>() {
    let rig = K::start(Limits::default()).await;
    let (mut one, mut two) = (rig.bus.questions().await.unwrap(), rig.other.questions().await.unwrap());
    passed(&rig.bus).await;
    passed(&rig.other).await;
    let here = Control::Here { replica: "r".to_owned() };
    rig.bus.tell(&here).await.unwrap();
    for questions in [&mut one, &mut two] {
        let question = within("the message", PATIENCE, questions.recv()).await.unwrap();
        assert_eq!(question.control, here);
    }
}
