//! `GET /openapi.json`: all calls, as OpenAPI describes them.

use axum::http::header;
use axum::response::IntoResponse;

/// What `docs/openapi.yaml` says, as JSON; the build script writes it.
const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// Shows it. It is the same for everybody, and changes with the release.
pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use promcast_proto::problem::Type;
    use serde_json::Value;

    use super::*;
    use crate::http::{problem, prometheus, routes};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    fn texts(list: &Value) -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described: BTreeSet<_> = document()["paths"].as_object().unwrap().keys().cloned().collect();
        let mut served: BTreeSet<_> = routes().iter().map(|(path, ..)| (*path).to_owned()).collect();
        // The one page whose path is known.
        served.insert("/".to_owned());
        assert_eq!(described, served);
    }

    #[test]
    fn it_is_of_this_release() {
        let document = document();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    }

    #[test]
    fn every_type_of_problem_is_described_with_its_status() {
        let document = document();
        let all: BTreeSet<_> = Type::ALL.iter().map(|kind| kind.uri()).collect();
        assert_eq!(texts(&document["components"]["schemas"]["ProblemType"]["enum"]), all);
        let mut told: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for (name, response) in document["components"]["responses"].as_object().unwrap() {
            let narrowed =
                &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"];
            if narrowed.is_object() {
                let status = narrowed["status"]["const"].as_u64().unwrap();
                assert_eq!(told.insert(status, texts(&narrowed["type"]["enum"])), None, "{name}");
            }
        }
        let mut expected: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for kind in Type::ALL {
            expected.entry(problem::status(*kind).as_u16().into()).or_default().insert(kind.uri());
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn what_tells_when_to_come_back_says_so() {
        for response in document()["components"]["responses"].as_object().unwrap().values() {
            let status = &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]
                ["status"];
            let waits = matches!(status["const"].as_u64(), Some(429 | 503));
            assert_eq!(response["headers"]["Retry-After"].is_object(), waits, "{response}");
        }
    }

    #[test]
    fn every_kind_of_error_of_prometheus_is_described() {
        let schema =
            &document()["components"]["schemas"]["PrometheusError"]["properties"]["errorType"]["enum"];
        assert_eq!(texts(schema), prometheus::kinds());
    }
}
