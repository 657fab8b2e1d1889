//! Answers as Prometheus, Thanos and the proxies before them give them.

use proptest::prelude::*;

use super::*;

fn code(status: u16, body: &str) -> ErrorCode {
    answer(status, body.as_bytes()).unwrap_err().failure.code
}

fn error(error_type: &str, text: &str) -> String {
    serde_json::json!({"status": "error", "errorType": error_type, "error": text}).to_string()
}

#[test]
fn the_error_type_counts_and_not_the_status() {
    for (error_type, expected) in [
        ("bad_data", ErrorCode::BadData),
        ("execution", ErrorCode::Execution),
        ("timeout", ErrorCode::Timeout),
        ("canceled", ErrorCode::Canceled),
        ("internal", ErrorCode::Internal),
        ("unavailable", ErrorCode::Overloaded),
        ("not_found", ErrorCode::Malformed),
    ] {
        for status in [200, 400, 422, 499, 500, 503] {
            assert_eq!(code(status, &error(error_type, "because")), expected, "{error_type} {status}");
        }
    }
}

#[test]
fn without_a_known_error_type_the_status_counts() {
    for (status, expected) in [
        (200, ErrorCode::Malformed),
        (204, ErrorCode::Malformed),
        (302, ErrorCode::Malformed),
        (401, ErrorCode::Unauthorized),
        (403, ErrorCode::Unauthorized),
        (404, ErrorCode::Malformed),
        (429, ErrorCode::Overloaded),
        (500, ErrorCode::Internal),
        (502, ErrorCode::Internal),
        (503, ErrorCode::Overloaded),
        (504, ErrorCode::Timeout),
    ] {
        for body in ["", "<html>no</html>", "{}", &error("made_up", "x")] {
            assert_eq!(code(status, body), expected, "{status} {body}");
        }
    }
}

#[test]
fn only_failures_that_any_query_would_meet_are_the_upstreams() {
    assert_eq!(answer(503, b"busy").unwrap_err().scope, Scope::Upstream);
    assert_eq!(answer(401, b"").unwrap_err().scope, Scope::Upstream);
    assert_eq!(lost(Lost::Timeout).scope, Scope::Upstream);
    // Prometheus gave the query up by itself, so it is there.
    assert_eq!(answer(503, error("timeout", "too slow").as_bytes()).unwrap_err().scope, Scope::Query);
}

#[test]
fn a_result_must_be_one() {
    let good = r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["w"],"infos":null,"x":1}"#;
    let found = answer(200, good.as_bytes()).unwrap();
    assert_eq!(found.data.get(), r#"{"resultType":"vector","result":[]}"#);
    assert_eq!((found.warnings, found.infos), (vec!["w".to_owned()], Vec::new()));
    for bad in [
        r#"{"status":"success"}"#,
        r#"{"status":"success","data":null}"#,
        r#"{"status":"success","data":[]}"#,
        r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[]}} trailing"#,
        r#"["success"]"#,
    ] {
        assert_eq!(code(200, bad), ErrorCode::Malformed, "{bad}");
    }
    assert_eq!(code(200, &good[..40]), ErrorCode::Malformed);
    assert_eq!(answer(200, &good.as_bytes()[..40]).unwrap_err(), lost(Lost::CutShort));
    assert_eq!(answer(500, good.as_bytes()).unwrap_err().failure.code, ErrorCode::Internal);
}

#[test]
fn the_upstreams_words_come_through_without_addresses_and_line_breaks() {
    let said = |text: &str| answer(400, error("execution", text).as_bytes()).unwrap_err().failure.message;
    assert_eq!(said("1:5: parse error:\n unexpected <op:/>"), "1:5: parse error: unexpected <op:/>");
    assert_eq!(
        said("receive series from Addr: 10.1.2.3:10901 LabelSets: {a=\"1.2.3.4:9400\"}"),
        "receive series from Addr: [address] LabelSets: {a=\"1.2.3.4:9400\"}"
    );
    assert_eq!(
        said("dial tcp [::1]:9090: refused (see http://prom:9090/x)"),
        "dial tcp [address] refused (see [address]"
    );
    assert_eq!(said("lookup store.monitoring.svc:10901, again"), "lookup [address] again");
    assert_eq!(said(""), "the datasource gave no reason");
    assert_eq!(said(&"ü".repeat(600)).chars().count(), WORDS_MAX + 1);
}

#[test]
fn what_the_upstream_says_of_its_inside_is_not_for_viewers() {
    let failed = answer(500, error("internal", "open /data/wal: no space").as_bytes()).unwrap_err();
    assert_eq!(failed.failure.message, "the datasource failed inside");
    assert_eq!(failed.cause.unwrap(), "open /data/wal: no space");
}

proptest! {
    #[test]
    fn words_are_one_short_line(text: String) {
        let said = words(&text);
        prop_assert!(said.chars().count() <= WORDS_MAX + 1);
        prop_assert!(!said.contains(char::is_control));
    }

    #[test]
    fn any_bytes_mean_something(status in 100u16..600, body: Vec<u8>) {
        prop_assert!(answer(status, &body).is_err());
    }
}
