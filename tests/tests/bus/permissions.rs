//! The users of `deploy/nats/users.conf`: each role can do its work, and nothing of another's.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e::nats::Nats as Server;
use e2e::wait::{PATIENCE, until, within};
use promcast_proto::ask::{Answer, Ask, Question};
use promcast_proto::code::ErrorCode;
use promcast_proto::control::Control;
use promcast_proto::tick::Tick;
use promcast_proto::topic::Datasource;
use promcast_proto::update::Failure;
use promcast_runtime::bus::nats::{self, Login, Options};
use promcast_runtime::bus::{Accepted, Bus, Error, Limits, Stored};

use crate::rig::{address, connect, history, is_up, job, next, options, result, subscribe, worker};

/// A server with the deployed users, whose passwords are their names.
async fn server() -> Server {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats/users.conf");
    let mut config = std::fs::read_to_string(file).unwrap();
    for role in ["init", "gateway", "poller"] {
        config = config.replace(&format!("$NATS_{}_PASSWORD", role.to_uppercase()), role);
    }
    Server::start_with(&config).await
}

fn as_user(server: &Server, role: &str) -> Options {
    Options {
        login: Some(Login { user: role.to_owned(), password: role.into() }),
        inbox_prefix: format!("_INBOX_{role}"),
        ..options(server)
    }
}

async fn set_up(server: &Server, role: &str) -> Result<(), nats::Error> {
    nats::init(&as_user(server, role), &Limits::default(), &[Datasource::default()], 1).await
}

/// A gateway's and a poller's way to a bus that `init` has set up.
async fn roles(server: &Server) -> (Arc<dyn Bus>, Arc<dyn Bus>) {
    set_up(server, "init").await.unwrap();
    set_up(server, "init").await.unwrap();
    let gateway = connect(&as_user(server, "gateway")).await;
    let poller = connect(&as_user(server, "poller")).await;
    is_up(&gateway).await;
    is_up(&poller).await;
    (gateway, poller)
}

#[tokio::test]
async fn each_role_can_do_its_work() {
    let server = server().await;
    let (gateway, poller) = roles(&server).await;
    let mut live = subscribe(&gateway, 1).await;
    let mut questions = gateway.questions().await.unwrap();
    assert_eq!(gateway.ask(&job(1, 5), 0).await.unwrap(), Accepted::Queued);

    let mut jobs = worker(&poller).await;
    let delivery = within("the job", PATIENCE, jobs.next()).await.unwrap();
    delivery.progress().await.unwrap();
    assert_eq!(poller.publish(&Datasource::default(), &result(1, 5)).await.unwrap(), Stored::New);
    delivery.done().await.unwrap();

    assert_eq!(next(&mut live).await, Some(5));
    assert_eq!(history(&gateway, 1).await, [5]);
    let leaving = Control::Leaving { replica: "r".to_owned() };
    gateway.tell(&leaving).await.unwrap();
    let heard = within("the message", PATIENCE, questions.recv()).await.unwrap();
    assert_eq!(heard.control, leaving);
}

fn ask() -> Ask {
    Ask { datasource: Datasource::default(), timeout_ms: 1_000, question: Question::BuildInfo }
}

#[tokio::test]
async fn a_gateway_asks_and_a_poller_answers() {
    let server = server().await;
    let (gateway, poller) = roles(&server).await;
    let mut asks = poller.asks(&Datasource::default()).await.unwrap();
    let answer = Answer::Failure(Failure { code: ErrorCode::BadData, message: "answered".to_owned() });
    let given = answer.clone();
    tokio::spawn(async move {
        while let Some(asked) = asks.recv().await {
            // Long enough for signs of life: to the server these are answers as well.
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(asked.reply.send(given.clone()));
        }
    });
    // Until the server has the poller's subscription nobody is there.
    let heard = until("an answer", PATIENCE, || async { gateway.consult(&ask()).await.ok() }).await;
    assert_eq!(heard, answer);
}

#[tokio::test]
async fn a_gateway_cannot_answer_and_a_poller_cannot_ask() {
    let server = server().await;
    let (gateway, poller) = roles(&server).await;
    let mut stolen = gateway.asks(&Datasource::default()).await.unwrap();
    history(&gateway, 1).await;
    let answer = gateway.consult(&ask()).await;
    assert!(matches!(answer, Err(Error::Unanswered)), "{answer:?}");
    assert!(stolen.try_recv().is_err(), "a gateway hears what pollers are asked");

    let mut asks = poller.asks(&Datasource::default()).await.unwrap();
    let answer = poller.consult(&ask()).await;
    assert!(matches!(answer, Err(Error::Unanswered)), "{answer:?}");
    assert!(asks.try_recv().is_err(), "a poller asks");
}

#[tokio::test]
async fn no_role_can_do_the_work_of_another() {
    let server = server().await;
    let (gateway, poller) = roles(&server).await;
    let mut live = subscribe(&gateway, 1).await;

    assert!(
        gateway.publish(&Datasource::default(), &result(1, 5)).await.is_err(),
        "a gateway forges updates"
    );
    assert!(poller.ask(&job(1, 5), 0).await.is_err(), "a poller asks for evaluations");
    assert!(poller.history(&address(1), Tick::MIN).await.is_err(), "a poller reads what others published");
    for role in ["gateway", "poller"] {
        assert!(set_up(&server, role).await.is_err(), "a {role} changes the streams");
    }
    let mut jobs = worker(&gateway).await;
    assert_eq!(gateway.ask(&job(1, 5), 0).await.unwrap(), Accepted::Queued);
    let stolen = tokio::time::timeout(Duration::from_secs(3), jobs.next()).await;
    assert!(!matches!(stolen, Ok(Ok(_))), "a gateway takes jobs");

    // Of all that was tried, nothing arrived.
    assert_eq!(poller.publish(&Datasource::default(), &result(1, 10)).await.unwrap(), Stored::New);
    assert_eq!(next(&mut live).await, Some(10));
}
