//! A program's life: every task is tracked, a signal starts a drain, a second one ends it, a crash is an exit code.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{error, info, warn};

/// Spawns tasks and tells them when to stop. Cheap to clone; the one way to spawn.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    background: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    crash: Crash,
}

/// Work that is not a task of its own. While it is held, the program does not end by itself.
#[derive(Debug)]
pub struct Hold {
    _token: TaskTrackerToken,
}

/// What a crash leads to: an orderly end of the program, and its exit code.
#[derive(Clone, Debug)]
struct Crash {
    happened: Arc<AtomicBool>,
    end: CancellationToken,
}

impl Default for Tasks {
    fn default() -> Self {
        let hard = CancellationToken::new();
        let soft = hard.child_token();
        let crash = Crash { happened: Arc::default(), end: soft.clone() };
        Self { tracker: TaskTracker::new(), background: TaskTracker::new(), soft, hard, crash }
    }
}

impl Tasks {
    /// Runs `future` until it ends or the program must end at once. A panic in it takes the program down in order:
    /// half a gateway is worse than none.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.watched(name, future));
    }

    /// For what the others need while they finish: the program's end does not wait for these tasks, and ends them
    /// after all others. Their soft token is the hard one.
    #[must_use]
    pub fn background(&self) -> Self {
        Self { tracker: self.background.clone(), soft: self.hard.clone(), ..self.clone() }
    }

    fn watched(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let guard = CrashGuard { name, crash: self.crash.clone(), armed: true };
        let hard = self.hard.clone();
        // It has no span of whoever started it: it serves others too, and would write their lines under that request's name.
        async move {
            let mut guard = guard;
            tokio::select! {
                () = future => {}
                () = hard.cancelled() => {}
            }
            guard.armed = false;
        }
    }

    /// What is held, the program's end waits for as for a task.
    pub fn hold(&self) -> Hold {
        Hold { _token: self.tracker.token() }
    }

    /// Cancelled when the program should finish what it does and end.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when the program must end at once. Implies [`Tasks::soft`].
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }
}

/// Notices that a task was dropped while it unwound.
struct CrashGuard {
    name: &'static str,
    crash: Crash,
    armed: bool,
}

impl Drop for CrashGuard {
    fn drop(&mut self) {
        if self.armed && std::thread::panicking() {
            error!(task = self.name, "a task crashed; shutting down");
            self.crash.happened.store(true, Ordering::Relaxed);
            self.crash.end.cancel();
        }
    }
}

/// Signals could not be listened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for signals")]
pub struct Error(#[from] std::io::Error);

/// Waits for the end of the program and carries it out.
#[derive(Debug)]
pub struct Lifecycle {
    tasks: Tasks,
    terminate: Signal,
    interrupt: Signal,
    grace: Duration,
}

impl Lifecycle {
    /// Listens for SIGTERM and SIGINT from here on. After the first, tasks get `grace` to end by themselves.
    pub fn new(grace: Duration) -> Result<Self, Error> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { tasks: Tasks::default(), terminate, interrupt, grace })
    }

    /// What to spawn on.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Waits for a signal or a crash, then for the tasks: until they ended, the grace period is over, or a second
    /// signal. The exit code is 0 only where nothing crashed and nothing had to be cut off.
    pub async fn run(mut self) -> ExitCode {
        let soft = self.tasks.soft.clone();
        tokio::select! {
            () = soft.cancelled() => {}
            () = self.signalled() => info!("shutting down; a second signal ends it at once"),
        }
        self.tasks.soft.cancel();
        self.tasks.tracker.close();
        let (tracker, grace) = (self.tasks.tracker.clone(), self.grace);
        let in_time = tokio::select! {
            () = tracker.wait() => true,
            () = tokio::time::sleep(grace) => {
                warn!(tasks = tracker.len(), "tasks outlived the grace period; ending them");
                false
            }
            () = self.signalled() => {
                warn!(tasks = tracker.len(), "second signal; ending at once");
                false
            }
        };
        self.tasks.hard.cancel();
        tracker.wait().await;
        self.tasks.background.close();
        self.tasks.background.wait().await;
        if in_time && !self.tasks.crash.happened.load(Ordering::Relaxed) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifecycle() -> Lifecycle {
        Lifecycle::new(Duration::from_secs(20)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_end_on_the_soft_token_make_a_clean_exit() {
        let lifecycle = lifecycle();
        let tasks = lifecycle.tasks().clone();
        let soft = tasks.soft().clone();
        tasks.spawn("patient", async move { soft.cancelled().await });
        tasks.soft().cancel();
        assert_eq!(lifecycle.run().await, ExitCode::SUCCESS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_cut_off_after_the_grace_period() {
        let lifecycle = lifecycle();
        let started = tokio::time::Instant::now();
        lifecycle.tasks().spawn("stubborn", std::future::pending());
        lifecycle.tasks().soft().cancel();
        assert_eq!(lifecycle.run().await, ExitCode::FAILURE);
        assert_eq!(started.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test]
    async fn a_task_has_no_span_of_whoever_started_it() {
        let _logs = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (tell, told) = tokio::sync::oneshot::channel();
        let lifecycle = lifecycle();
        let task = async move { tell.send(tracing::Span::current().is_none()).unwrap() };
        tracing::info_span!("request").in_scope(|| lifecycle.tasks().spawn("other", task));
        assert!(told.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_ends_the_others_and_is_an_exit_code() {
        let lifecycle = lifecycle();
        let soft = lifecycle.tasks().soft().clone();
        lifecycle.tasks().spawn("patient", async move { soft.cancelled().await });
        lifecycle.tasks().spawn("crashing", async { panic!("on purpose") });
        assert_eq!(lifecycle.run().await, ExitCode::FAILURE);
    }
}
