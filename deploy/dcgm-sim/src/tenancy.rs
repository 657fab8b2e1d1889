//! Who uses a GPU, or an instance: its role, its pod or its HPC jobs. Tenants stay for ever, so the series stay too.

use crate::config::{Config, Dialect, Profile};
use crate::dice::Key;

/// What a tenant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A model server: always loaded, busier by day.
    Serving,
    /// Jobs at full power, with checkpoints.
    Training,
    /// Short bursts.
    Notebook,
    /// Jobs that wait for their data now and then.
    Batch,
    /// Nobody's.
    Vacant,
}

/// Roles of eight neighbouring seats; the next eight repeat them.
const PATTERN: [Role; 8] = [
    Role::Serving,
    Role::Serving,
    Role::Training,
    Role::Training,
    Role::Notebook,
    Role::Batch,
    Role::Vacant,
    Role::Vacant,
];

/// Names for notebooks.
const USERS: [&str; 8] = ["ada", "blaise", "carla", "dirk", "emmy", "fei", "grete", "hiro"];

/// The tenant of one seat.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// What it does.
    pub(crate) role: Role,
    /// Shared by the GPUs of one pod: they run one job.
    pub(crate) pod: Key,
    /// Its pod has another GPU of the node.
    pub(crate) linked: bool,
    /// Labels, a set for each job that shares the seat; one empty set for a vacant seat. dcgm-exporter repeats the
    /// series for each set.
    pub(crate) attributes: Vec<Attributes>,
}

/// Labels of a tenant, each with its leading comma, split where `err_code` and `err_msg` sort in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `container`.
    pub(crate) head: String,
    /// `hpc_job`, `namespace`, `pod`.
    pub(crate) tail: String,
}

/// A place for a tenant: a whole GPU or a MIG instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    /// Node, from 0.
    pub(crate) node: u64,
    /// Count over the whole fleet, from 0.
    pub(crate) number: u64,
    /// A MIG instance has a pod of its own; neighbouring whole GPUs of a node share one.
    pub(crate) shared: bool,
}

/// The tenant of a seat. `root` is the key of the fleet.
pub(crate) fn tenant(config: &Config, root: Key, seat: Seat) -> Tenant {
    let role = role(config.profile, seat.number);
    let turn = seat.number / 8 * 4 + rank(role);
    let pod = root.of(seat.node).of(if seat.shared { turn } else { u64::MAX - seat.number });
    let attributes = match (role, config.dialect) {
        (Role::Vacant, _) => vec![Attributes::default()],
        (_, Dialect::K8s | Dialect::Mig) => vec![pod_labels(role, pod, config.namespaces.of(turn))],
        // Two jobs on one GPU, as a mapping file with two lines gives.
        (Role::Notebook, Dialect::Bare) => vec![job_label(pod, 1), job_label(pod, 2)],
        (Role::Serving | Role::Training | Role::Batch, Dialect::Bare) => vec![job_label(pod, 1)],
    };
    let pair = matches!(role, Role::Serving | Role::Training) && seat.shared;
    Tenant { role, pod, linked: pair && (seat.number ^ 1) / config.gpus == seat.node, attributes }
}

fn role(profile: Profile, number: u64) -> Role {
    let place = usize::try_from(number % 8).unwrap_or_default();
    let role = PATTERN.get(place).copied().unwrap_or(Role::Vacant);
    match (profile, role) {
        // Every GPU works in these, so every GPU has a tenant.
        (Profile::Load | Profile::Throttle, Role::Vacant) => Role::Batch,
        _ => role,
    }
}

fn rank(role: Role) -> u64 {
    match role {
        Role::Serving => 0,
        Role::Training => 1,
        Role::Notebook => 2,
        Role::Batch | Role::Vacant => 3,
    }
}

fn pod_labels(role: Role, pod: Key, namespace: &str) -> Attributes {
    let mark = pod.bits(1) & 0xffff;
    let user = pod.pick(2, &USERS).unwrap_or("ada");
    let (container, name) = match role {
        Role::Serving => {
            let replica = pod.bits(3) & 0xf_ffff;
            ("kserve-container".to_owned(), format!("chat-predictor-{mark:04x}-{replica:05x}"))
        }
        Role::Training => ("pytorch".to_owned(), format!("finetune-{mark:04x}-worker-0")),
        Role::Notebook => (format!("jupyter-nb-{user}"), format!("jupyter-nb-{user}-{mark:04x}-0")),
        Role::Batch | Role::Vacant => ("embed".to_owned(), format!("embed-batch-{mark:04x}")),
    };
    Attributes {
        head: format!(r#",container="{container}""#),
        tail: format!(r#",namespace="{namespace}",pod="{name}""#),
    }
}

fn job_label(pod: Key, nth: u64) -> Attributes {
    let job = 100_000 + pod.bits(nth) % 900_000;
    Attributes { head: String::new(), tail: format!(r#",hpc_job="{job}""#) }
}
