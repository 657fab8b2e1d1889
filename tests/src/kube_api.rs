//! A stand-in for the Kubernetes API server, over TLS: it reviews tokens and access by a table of accounts, lists projects, and fails
//! on command.
//!
//! It speaks the types of k8s-openapi. Its answers about unknown tokens and foreign audiences are worded like those of a real one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus, UserInfo};
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewStatus};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

mod answers;
mod serve;

/// The token of the gateway itself.
pub const GATEWAY: &str = "the-gateways-own-token";

/// The audience of tokens that name no other.
pub const API_AUDIENCE: &str = "https://kubernetes.default.svc";

/// One who has a token.
#[derive(Clone, Debug)]
pub struct Account {
    /// The token.
    pub token: String,
    /// What a review of the token says.
    pub user: UserInfo,
    /// Whom the token is for.
    pub audiences: Vec<String>,
    /// Whether metrics of all namespaces may be seen.
    pub all: bool,
    /// The namespaces whose metrics may be seen.
    pub sees: Vec<String>,
    /// The projects with any right in them.
    pub projects: Vec<String>,
}

impl Account {
    /// Somebody with this name, and a token for the API server that is the name and `-token`, who sees these namespaces.
    pub fn new(name: &str, sees: &[&str]) -> Self {
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let extra = BTreeMap::from([
            ("scopes.authorization.openshift.io".to_owned(), strings(&["user:info", "user:check-access"])),
            ("example.org/café".to_owned(), vec![String::new(), "b\"\\".to_owned()]),
        ]);
        Self {
            token: format!("{name}-token"),
            user: UserInfo {
                username: Some(name.to_owned()),
                uid: Some(format!("uid-of-{name}")),
                groups: Some(strings(&["system:authenticated", "z", "a"])),
                extra: Some(extra),
            },
            audiences: vec![API_AUDIENCE.to_owned()],
            all: false,
            sees: strings(sees),
            projects: strings(sees),
        }
    }

    /// Somebody who sees all namespaces.
    pub fn admin(name: &str) -> Self {
        Self { all: true, ..Self::new(name, &[]) }
    }
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// TokenReview.
    Token,
    /// SubjectAccessReview.
    Access,
    /// The list of projects.
    Projects,
}

/// How a call goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with the API server's own body for it.
    Status(u16),
    /// Success with this body.
    Body(String),
    /// The right answer, after a while.
    Slow(Duration),
    /// No answer.
    Hang,
    /// Half of the right answer, then the connection is gone.
    Cut,
}

/// A call that came in.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which.
    pub call: Call,
    /// Path and query.
    pub uri: String,
    /// The token of the caller.
    pub bearer: Option<String>,
    /// The object, null where there is none.
    pub body: Value,
}

/// What the handlers share.
#[derive(Debug, Default)]
struct Shared {
    accounts: Vec<Account>,
    faults: Mutex<BTreeMap<Call, Fault>>,
    recorded: Mutex<Vec<Recorded>>,
    /// Now, and the most so far.
    under_way: Mutex<(usize, usize)>,
}

/// A running stand-in; it ends with its handle.
#[derive(Debug)]
pub struct KubeApi {
    address: SocketAddr,
    folder: TempDir,
    kubeconfigs: AtomicUsize,
    shared: Arc<Shared>,
    server: JoinSet<()>,
}

impl KubeApi {
    /// Starts one that knows these accounts.
    ///
    /// # Panics
    /// Where no port is free or the temporary folder cannot be written.
    pub async fn start(accounts: impl IntoIterator<Item = Account>) -> Self {
        let names = ["localhost", "127.0.0.1"].map(ToOwned::to_owned).to_vec();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), cert.pem()).expect("a file is written");
        let shared = Arc::new(Shared { accounts: accounts.into_iter().collect(), ..Shared::default() });
        let (address, server) = serve::start(&cert, &signing_key, shared.clone()).await;
        Self { address, folder, kubeconfigs: AtomicUsize::default(), shared, server }
    }

    /// A new kubeconfig file with the gateway's token.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_with(GATEWAY, json!({ "certificate-authority": self.ca() }))
    }

    /// A new kubeconfig file with this token, whose cluster has these settings beside the address.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn kubeconfig_with(&self, token: &str, mut cluster: Value) -> PathBuf {
        let server = format!("https://{}", self.address);
        cluster.as_object_mut().expect("settings").entry("server").or_insert(server.into());
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{ "name": "stand-in", "cluster": cluster }],
            "users": [{ "name": "gateway", "user": { "token": token } }],
            "contexts": [{ "name": "here", "context": { "cluster": "stand-in", "user": "gateway" } }],
        });
        // YAML is a superset of JSON.
        let number = self.kubeconfigs.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("kubeconfig-{number}"));
        std::fs::write(&path, config.to_string()).expect("a file is written");
        path
    }

    /// The certificate that the server's is signed with.
    pub fn ca(&self) -> PathBuf {
        Path::join(self.folder.path(), "ca.pem")
    }

    /// Makes a call fail from now on.
    ///
    /// # Panics
    /// Where a handler panicked.
    pub fn fail(&self, call: Call, fault: Fault) {
        self.shared.faults.lock().expect("no handler panicked").insert(call, fault);
    }

    /// Makes all calls work again.
    ///
    /// # Panics
    /// Where a handler panicked.
    pub fn heal(&self) {
        self.shared.faults.lock().expect("no handler panicked").clear();
    }

    /// What came in so far, of this kind.
    ///
    /// # Panics
    /// Where a handler panicked.
    pub fn recorded(&self, call: Call) -> Vec<Recorded> {
        let recorded = self.shared.recorded.lock().expect("no handler panicked");
        recorded.iter().filter(|one| one.call == call).cloned().collect()
    }

    /// How many calls came in so far, of this kind.
    ///
    /// # Panics
    /// Where a handler panicked.
    pub fn count(&self, call: Call) -> usize {
        self.recorded(call).len()
    }

    /// The most calls that were under way at a time.
    ///
    /// # Panics
    /// Where a handler panicked.
    pub fn most_under_way(&self) -> usize {
        self.shared.under_way.lock().expect("no handler panicked").1
    }

    /// Goes away: connections break, and new ones are refused.
    pub async fn stop(&mut self) {
        self.server.shutdown().await;
    }
}

/// A TokenReview with this status, as text.
pub fn token_review(status: TokenReviewStatus) -> String {
    json!(TokenReview { status: Some(status), ..TokenReview::default() }).to_string()
}

/// A SubjectAccessReview with this status, as text.
pub fn access_review(status: SubjectAccessReviewStatus) -> String {
    json!(SubjectAccessReview { status: Some(status), ..SubjectAccessReview::default() }).to_string()
}
