//! A gateway that lets in the users of an issuer, over a Prometheus that holds the metrics of several teams.

use e2e::http::{self, Answer};
use e2e::oidc::{AUDIENCE, Issuer};
use e2e::programs::Gateway;
use e2e::prometheus::Prometheus;
use e2e::tenants;
use serde_json::Value;

/// Room for as many calls as a test makes.
pub(crate) const ROOM: [&str; 4] = ["--http-read-rate", "100000", "--http-read-burst", "100000"];

/// How a call says what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Url,
    Form,
}

/// The parameters of a call.
pub(crate) type Parameters<'a> = &'a [(&'a str, &'a str)];

/// The installation.
pub(crate) struct Rig {
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Gateway,
    pub(crate) prometheus: Prometheus,
    client: reqwest::Client,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let (issuer, prometheus) = (Issuer::start().await, holding_all().await);
        let (url, upstream) = (issuer.url(), prometheus.url());
        let own = [
            ["--auth-mode", "jwt"],
            ["--auth-jwt-issuer", &url],
            ["--auth-jwt-audience", AUDIENCE],
            ["--auth-jwt-namespaces-claim", "namespaces"],
            ["--auth-jwt-admin-groups", "ops"],
            ["--prometheus-url", &upstream],
        ];
        let gateway = Gateway::guarded(&[own.as_flattened(), &ROOM].concat()).await;
        Self { issuer, gateway, prometheus, client: http::client() }
    }

    /// The token of somebody who sees everything.
    pub(crate) fn admin(&self) -> String {
        let mut claims = self.issuer.claims("root", &[]);
        claims["groups"] = serde_json::json!(["ops"]);
        self.issuer.sign(&claims)
    }

    /// What the gateway answers.
    pub(crate) async fn gateway(
        &self,
        token: &str,
        way: Way,
        path: &str,
        parameters: Parameters<'_>,
    ) -> Answer {
        let request = request(&self.client, way, &self.gateway.url(&format!("/api/v1/{path}")), parameters);
        http::send(request.bearer_auth(token)).await
    }

    /// What the Prometheus behind it answers.
    pub(crate) async fn upstream(&self, way: Way, path: &str, parameters: Parameters<'_>) -> Answer {
        ask(&self.client, &self.prometheus, way, path, parameters).await
    }
}

/// A Prometheus with the metrics of all teams.
pub(crate) async fn holding_all() -> Prometheus {
    Prometheus::holding(&tenants::openmetrics(&tenants::all())).await
}

/// What a Prometheus answers.
pub(crate) async fn ask(
    client: &reqwest::Client,
    prometheus: &Prometheus,
    way: Way,
    path: &str,
    parameters: Parameters<'_>,
) -> Answer {
    http::send(request(client, way, &format!("{}/api/v1/{path}", prometheus.url()), parameters)).await
}

fn request(
    client: &reqwest::Client,
    way: Way,
    url: &str,
    parameters: Parameters<'_>,
) -> reqwest::RequestBuilder {
    match way {
        Way::Url => client.get(url).query(parameters),
        Way::Form => client.post(url).form(parameters),
    }
}

/// An answer whose lists say the same in any order: Prometheus promises none.
pub(crate) fn sorted(answer: &Answer) -> Value {
    let mut document = answer.json();
    let list = match document.pointer_mut("/data/result") {
        Some(Value::Array(list)) => Some(list),
        Some(_) | None => document.get_mut("data").and_then(Value::as_array_mut),
    };
    if let Some(list) = list {
        list.sort_by_key(Value::to_string);
    }
    document
}
