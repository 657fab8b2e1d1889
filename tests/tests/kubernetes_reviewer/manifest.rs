//! The deployed rights are those that are used: `deploy/kubernetes/base/rbac.yaml` beside the calls that a reviewer makes.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::kube_api::Call;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::rig::{api, only, reviewer, sees};

fn objects(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes").join(file);
    serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The object of this type and name, of which nothing is lost when it is read: no field is misspelt.
fn object<T: DeserializeOwned + Serialize>(objects: &[Value], kind: &str, name: &str) -> T {
    let found = objects.iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name).unwrap();
    let object: T = serde_json::from_value(found.clone()).unwrap();
    assert_eq!(serde_json::to_value(&object).unwrap(), *found);
    object
}

type Right = (String, String, String);

/// Group, resource and verb, each with each.
fn rights(rules: Vec<PolicyRule>) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    rights.insert((group.clone(), resource.clone(), verb.clone()));
                }
            }
        }
    }
    rights
}

fn is_bound(role: &RoleRef, subject: &Subject) -> (String, String, String, String) {
    (role.kind.clone(), role.name.clone(), subject.kind.clone(), subject.name.clone())
}

#[tokio::test]
async fn the_gateway_has_the_rights_to_the_calls_it_makes_and_no_others() {
    let objects = objects("base/rbac.yaml");
    let role: ClusterRole = object(&objects, "ClusterRole", "promcast-gateway");
    let api = api().await;
    assert_eq!(sees(&reviewer(&api).await, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
    let calls = [Call::Token, Call::Access].map(|call| {
        let uri = api.recorded(call).remove(0).uri;
        let mut parts = uri.split('/').skip(2).map(ToOwned::to_owned);
        let (group, _version, resource) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        (group, resource, "create".to_owned())
    });
    assert_eq!(rights(role.rules.unwrap()), BTreeSet::from(calls));
    let account: ServiceAccount = object(&objects, "ServiceAccount", "promcast-gateway");
    let binding: ClusterRoleBinding = object(&objects, "ClusterRoleBinding", "promcast-gateway");
    let subject = binding.subjects.unwrap().remove(0);
    assert_eq!(subject.namespace, account.metadata.namespace);
    let (role, account) = (role.metadata.name.unwrap(), account.metadata.name.unwrap());
    let expected = ("ClusterRole".to_owned(), role, "ServiceAccount".to_owned(), account);
    assert_eq!(is_bound(&binding.role_ref, &subject), expected);
}

#[tokio::test]
async fn a_tenant_has_the_right_that_is_asked_for() {
    let role: ClusterRole = object(&objects("base/rbac.yaml"), "ClusterRole", "promcast-viewer");
    let api = api().await;
    assert_eq!(sees(&reviewer(&api).await, "ada", &["team-a"]).await, Ok(only(&["team-a"])));
    let asked = api.recorded(Call::Access).remove(0).body;
    let asked = ["group", "resource", "verb"]
        .map(|part| asked["spec"]["resourceAttributes"][part].as_str().unwrap().to_owned());
    assert_eq!(rights(role.rules.unwrap()), BTreeSet::from([Right::from(asked)]));
    let binding: RoleBinding = object(&objects("rbac-tenant.yaml"), "RoleBinding", "promcast-viewer");
    let subject = binding.subjects.unwrap().remove(0);
    let expected = ["ClusterRole", "promcast-viewer", "Group", "team-a"].map(ToOwned::to_owned);
    assert_eq!(is_bound(&binding.role_ref, &subject), expected.into());
}
