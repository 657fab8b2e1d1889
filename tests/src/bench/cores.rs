//! Which core does what: the server under test has the first one that we may use, everything else the second.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The most cores that a machine is looked through for.
const CORES_MAX: usize = 1024;

/// Files that a process has open besides its connections, at the most.
const SPARE_FILES: u64 = 500;

/// The two cores. On a machine with one they are the same, which the report tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The one of the server under test.
    pub server: usize,
    /// The one of the client, the publisher and NATS.
    pub client: usize,
}

impl Cores {
    /// The first two cores that this process may run on.
    ///
    /// # Panics
    /// Where the kernel does not tell.
    pub fn find() -> Self {
        let allowed = sched_getaffinity(None).expect("the kernel tells the cores of a thread");
        let mut cores = (0..CORES_MAX).filter(|core| allowed.is_set(*core));
        let server = cores.next().expect("a core");
        Self { server, client: cores.next().unwrap_or(server) }
    }

    /// Whether the server has a core for itself.
    pub fn are_apart(self) -> bool {
        self.server != self.client
    }

    /// Moves this thread, and what it starts from now on, to the server's core.
    pub fn enter_server(self) {
        enter(self.server);
    }

    /// Moves this thread, and what it starts from now on, to the client's core.
    pub fn enter_client(self) {
        enter(self.client);
    }
}

fn enter(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).expect("a thread can be moved to a core that it may use");
}

/// Lets this process, and what it starts, have as many connections as the largest round needs.
///
/// # Errors
/// Why it may not, in words.
pub fn raise_files(connections: usize) -> Result<(), String> {
    let needed = connections as u64 + SPARE_FILES;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // Not above what is allowed already, where that is enough: more takes a privilege.
    let maximum = now.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: maximum.or(Some(needed)), maximum })
        .map_err(|error| format!("{needed} open files are needed, and {:?} allowed: {error}", now.maximum))
}
