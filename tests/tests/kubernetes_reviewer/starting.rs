//! With which API server a reviewer starts.

use e2e::kube_api::{Call, GATEWAY};
use promcast_gateway::auth::kubernetes::{Reviewer, Settings, StartError};
use promcast_runtime::clock::Clock;
use prometheus::Registry;
use serde_json::json;

use crate::rig::{api, settings, start, token, unavailable};

#[tokio::test]
async fn what_cannot_reach_an_api_server_safely_does_not_start() {
    let api = api().await;
    let refused = async |cluster: serde_json::Value| {
        let kubeconfig = Some(api.kubeconfig_with(GATEWAY, cluster));
        let settings = Settings { kubeconfig, ..settings(&api) };
        Reviewer::start(settings, Clock::system(), &Registry::new()).await.unwrap_err()
    };
    let error = refused(json!({ "insecure-skip-tls-verify": true })).await;
    assert!(matches!(error, StartError::Unverified), "{error}");
    let error = refused(json!({ "server": "http://10.0.0.1:8080" })).await;
    assert!(matches!(error, StartError::InClear(_)), "{error}");
    let error = refused(json!({ "certificate-authority": "/no/such/file" })).await;
    assert!(matches!(error, StartError::Kubeconfig { .. }), "{error}");
    let other = Settings { context: Some("elsewhere".to_owned()), ..settings(&api) };
    let error = Reviewer::start(other, Clock::system(), &Registry::new()).await.unwrap_err();
    assert!(error.to_string().contains("elsewhere"), "{error}");
    let no_file = Settings { kubeconfig: Some("/no/such/file".into()), ..settings(&api) };
    let error = Reviewer::start(no_file, Clock::system(), &Registry::new()).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/file"), "{error}");
}

#[tokio::test]
async fn an_api_server_with_another_certificate_is_not_asked() {
    let (api, other) = (api().await, self::api().await);
    let kubeconfig = api.kubeconfig_with(GATEWAY, json!({ "certificate-authority": other.ca() }));
    let reviewer = start(Settings { kubeconfig: Some(kubeconfig), ..settings(&api) }).await;
    let why = unavailable(reviewer.identify(&token("ada")).await);
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(api.count(Call::Token), 0);
}

#[tokio::test]
async fn every_series_is_there_from_the_start() {
    let (api, registry) = (api().await, Registry::new());
    let _reviewer = Reviewer::start(settings(&api), Clock::system(), &registry).await.unwrap();
    let series = |name: &str| {
        let families = registry.gather();
        families.iter().find(|family| family.name() == name).unwrap().get_metric().len()
    };
    assert_eq!(series("promcast_gateway_kubernetes_reviews_total"), 3 * 7);
    assert_eq!(series("promcast_gateway_kubernetes_review_duration_seconds"), 3);
}
