//! Any request for a stream: a line of parameters, and below it a header on each line. It is refused, or it is read.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use promcast_gateway::http::{Cookie, is_readable};
use promcast_proto::tick::Tick;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let query_string = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.take(50).filter_map(|line| line.split_once(':')) {
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.trim().as_bytes())) {
            headers.append(name, value);
        }
    }
    let cookie = Cookie { name: Some("session".to_owned()), origins: Vec::new() };
    is_readable(query_string, &headers, &cookie, Tick::from_millis(1_764_000_000_000));
});
