//! Any body of a request that opens or changes a stream: it is refused, or it is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promcast_gateway::http::is_readable_body;
use promcast_proto::tick::Tick;

fuzz_target!(|body: &[u8]| {
    is_readable_body(body, Tick::from_millis(1_764_000_000_000));
});
