//! Any text, sent as the last event id: it is refused, or is what a gateway would have written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promcast_proto::cursor::Cursor;

fuzz_target!(|text: &str| {
    if let Ok(cursor) = Cursor::decode(text) {
        assert_eq!(cursor.encode().as_deref(), Some(text));
    }
});
