//! What runs the tasks of a program, and tells why it failed.

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::config::complain;

/// Turns of tasks between two looks at sockets and timers. Tokio's 61 are meant for tasks of a few microseconds; a turn of a
/// gateway's shard is 32 writes, so that what arrives meanwhile would wait for 2,000 of them.
const TURNS: u32 = 4;

/// Runs a program to its end, on a thread for each core that it may use. Its exit code.
pub fn run(program: impl Future<Output = Result<ExitCode, Box<dyn Error>>>) -> ExitCode {
    let runtime = Builder::new_multi_thread().enable_all().event_interval(TURNS).build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(program));
    ended.unwrap_or_else(|error| {
        complain(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}
