//! Any bytes, taken from the bus as a message of each kind: they are refused, or say the same when they are written again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use promcast_proto::control::{Control, Reply};
use promcast_proto::envelope;
use promcast_proto::job::Job;
use promcast_proto::update::{Outcome, Update};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most that a body may unpack to here.
const BODY_MAX: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    again::<Job>(bytes);
    again::<Control>(bytes);
    again::<Reply>(bytes);
    if let Some(Update { outcome: Outcome::Result(body), .. }) = again::<Update>(bytes)
        && let Ok(json) = body.unpack(BODY_MAX)
    {
        assert!(json.len() <= BODY_MAX);
    }
});

fn again<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let message: T = envelope::decode(bytes).ok()?;
    let written = envelope::encode(&message).ok()?;
    assert_eq!(envelope::decode::<T>(&written).ok().as_ref(), Some(&message));
    Some(message)
}
