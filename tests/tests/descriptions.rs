//! The closed lists in `docs/asyncapi.yaml` are those of the code. Those of `docs/openapi.yaml` are held where they are served.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use promcast_proto::code::{ErrorCode, GapReason, ShutdownCode};
use promcast_proto::problem::Type;
use promcast_proto::topic::DATASOURCE_MAX;
use serde_json::Value;

/// `components/schemas` of the description.
fn schemas() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/asyncapi.yaml");
    let whole: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    whole["components"]["schemas"].clone()
}

/// The values that a schema lists.
fn listed(schema: &Value) -> BTreeSet<String> {
    let values = schema["enum"].as_array().unwrap();
    let set: BTreeSet<_> = values.iter().map(|value| value.as_str().unwrap().to_owned()).collect();
    assert_eq!(set.len(), values.len(), "one is listed twice: {schema}");
    set
}

fn all<T: Copy>(values: &[T], text: impl Fn(T) -> String) -> BTreeSet<String> {
    values.iter().map(|value| text(*value)).collect()
}

#[test]
fn codes_of_events_are_described() {
    let schemas = schemas();
    assert_eq!(listed(&schemas["ErrorCode"]), all(ErrorCode::ALL, |code| code.as_str().to_owned()));
    assert_eq!(listed(&schemas["GapReason"]), all(GapReason::ALL, |code| code.as_str().to_owned()));
    assert_eq!(listed(&schemas["ShutdownCode"]), all(ShutdownCode::ALL, |code| code.as_str().to_owned()));
}

#[test]
fn problems_are_described_as_gateways_name_them_to_each_other() {
    let name = |kind: Type| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
    assert_eq!(listed(&schemas()["ProblemKind"]), all(Type::ALL, name));
}

#[test]
fn names_of_datasources_have_the_length_that_they_may_have() {
    let pattern = schemas()["Datasource"]["pattern"].as_str().unwrap().to_owned();
    assert!(pattern.ends_with(&format!("{{1,{DATASOURCE_MAX}}}$")), "{pattern}");
}
