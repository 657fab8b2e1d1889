//! A gateway that lets in the users of an issuer, over an upstream that takes note of what it is asked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use e2e::http::Answer;
use e2e::oidc::{AUDIENCE, Issuer};
use e2e::programs::Gateway;
use e2e::stream::{PATH, Stream};
use e2e::upstream::{Reply, Upstream};

/// Queries that came to an upstream.
pub(crate) type Seen = Arc<Mutex<BTreeSet<String>>>;

/// An upstream that answers each query with one sample.
pub(crate) async fn upstream() -> (Upstream, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let upstream = Upstream::start(move |query| {
        noted.lock().unwrap().insert(query.to_owned());
        Reply::data(r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}"#)
    });
    (upstream.await, seen)
}

/// The installation.
pub(crate) struct Rig {
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    pub(crate) seen: Seen,
}

impl Rig {
    /// With more flags for the gateway.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let (issuer, (upstream, seen)) = (Issuer::start().await, upstream().await);
        let (url, prometheus) = (issuer.url(), upstream.url());
        let own = [
            ["--auth-mode", "jwt"],
            ["--auth-jwt-issuer", &url],
            ["--auth-jwt-audience", AUDIENCE],
            ["--auth-jwt-namespaces-claim", "namespaces"],
            ["--auth-jwt-admin-groups", "ops"],
            ["--prometheus-url", &prometheus],
        ];
        let gateway = Gateway::guarded(&[own.as_flattened(), flags].concat()).await;
        Self { issuer, gateway, upstream, seen }
    }

    /// The token of somebody who sees everything.
    pub(crate) fn admin(&self) -> String {
        let mut claims = self.issuer.claims("root", &[]);
        claims["groups"] = serde_json::json!(["ops"]);
        self.issuer.sign(&claims)
    }

    /// A request for a stream, without a token.
    pub(crate) fn request(&self, parameters: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.gateway.http.get(self.gateway.url(PATH)).query(parameters)
    }

    /// Opens a stream, or gives the answer that refused it.
    pub(crate) async fn open(&self, token: &str, parameters: &[(&str, &str)]) -> Result<Stream, Answer> {
        Stream::try_send(self.request(parameters).bearer_auth(token)).await
    }

    /// The queries that came to the upstream so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().cloned().collect()
    }
}

/// The short name of a problem document's type.
pub(crate) fn problem(answer: &Answer) -> String {
    answer.json()["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}
