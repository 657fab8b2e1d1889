//! A child process: its output is kept, searched and, when a test fails, shown; it dies with its handle.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use rustix::process::Signal;

use crate::measure;
use crate::wait::{PATIENCE, within};

/// Lines of output shown when a test fails.
const TAIL: usize = 40;

/// A running (or ended) program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: u32,
    lines: watch::Receiver<Vec<String>>,
    readers: JoinSet<()>,
}

impl Process {
    /// Starts `command` with both its outputs captured.
    ///
    /// # Panics
    /// Where the program is not there.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {:?}: {error}", command.as_std().get_program()),
        };
        let pid = child.id().expect("a child that was not waited for has an id");
        let (sender, lines) = watch::channel(Vec::new());
        let mut readers = JoinSet::new();
        readers.spawn(keep(child.stdout.take(), sender.clone()));
        readers.spawn(keep(child.stderr.take(), sender));
        Self { name: name.to_owned(), child, pid, lines, readers }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything it has printed so far, on either output.
    pub fn output(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// What `find` makes of the first line it makes something of.
    ///
    /// # Panics
    /// Where the program ends, or a while passes, without such a line.
    pub async fn line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut lines = self.lines.clone();
        let printed = async {
            loop {
                if let Some(found) = lines.borrow_and_update().iter().find_map(|line| find(line)) {
                    return Some(found);
                }
                if lines.changed().await.is_err() {
                    return None;
                }
            }
        };
        let found = within(&format!("{}: {what}", self.name), PATIENCE, printed).await;
        match found {
            Some(found) => found,
            None => panic!("{} ended without printing {what}", self.name),
        }
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Where the process is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let sent = pid.map(|pid| rustix::process::kill_process(pid, signal));
        assert_eq!(sent, Some(Ok(())), "{} takes no signal", self.name);
    }

    /// Waits until it has ended and all of its output is there.
    ///
    /// # Panics
    /// Where that takes longer than `limit`.
    pub async fn exit(&mut self, limit: Duration) -> ExitStatus {
        let ended = async {
            let status = self.child.wait().await.expect("a child can be waited for");
            while self.readers.join_next().await.is_some() {}
            status
        };
        within(&format!("the end of {}", self.name), limit, ended).await
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exit(PATIENCE).await;
    }

    /// [`measure::resident`].
    ///
    /// # Panics
    /// Where the process is gone: nothing would pass for little.
    pub fn resident_bytes(&self) -> u64 {
        let bytes = measure::resident(self.pid);
        assert!(bytes > 0, "{} is gone", self.name);
        bytes
    }

    /// [`measure::cpu_time`].
    ///
    /// # Panics
    /// Where the process is gone.
    pub fn processor_time(&self) -> Duration {
        let time = measure::cpu_time(self.pid);
        assert!(!time.is_zero(), "{} is gone", self.name);
        time
    }

    fn tail(&self) -> String {
        let lines = self.lines.borrow();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- the last lines of {} (pid {})\n{}\n----", self.name, self.pid, self.tail());
        }
    }
}

async fn keep(output: Option<impl AsyncRead + Unpin>, lines: watch::Sender<Vec<String>>) {
    let Some(output) = output else { return };
    let mut output = BufReader::new(output).lines();
    while let Ok(Some(line)) = output.next_line().await {
        lines.send_modify(|lines| lines.push(line));
    }
}
