//! The GPUs that are simulated: boards, their units, and what each is given at the start.

use crate::config::{Config, Dialect, Profile};
use crate::dice::Key;
use crate::identity::{self, H200_MIB, Instance};
use crate::physics::Cooling;
use crate::tenancy::{self, Attributes, Role, Seat};
use crate::workload::{Kind, Workload};

/// One GPU.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    /// Draws everything that is the board's own.
    pub(crate) key: Key,
    /// The whole GPU, or its MIG instances.
    pub(crate) units: Vec<Unit>,
    /// How well it is cooled.
    pub(crate) cooling: Cooling,
}

/// What dcgm-exporter gives a series to: a whole GPU or a MIG instance.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    /// The labels every series of it begins with.
    pub(crate) labels: String,
    /// A label set for each tenant.
    pub(crate) attributes: Vec<Attributes>,
    /// What runs on it.
    pub(crate) workload: Workload,
    /// Its part of the GPU, in (0, 1].
    pub(crate) share: f64,
    /// Framebuffer, MiB: used + free + reserved.
    pub(crate) memory_mib: f64,
    /// Framebuffer that the driver keeps, MiB.
    pub(crate) reserved_mib: f64,
    /// A MIG instance: it has no `GPU_UTIL`, `MEM_COPY_UTIL`, `ENC_UTIL` and `DEC_UTIL`.
    pub(crate) mig: bool,
    /// Its pod has another GPU of the node, so they talk over NVLink.
    pub(crate) linked: bool,
}

/// Every board of a configuration, in the order of nodes and of indices.
pub(crate) fn build(config: &Config) -> Vec<Board> {
    let root = Key::root(config.seed);
    let mut seats = 0;
    let mut boards = Vec::new();
    for node in 0..config.nodes {
        for index in 0..config.gpus {
            let board = board(config, root, node, index, seats);
            seats += u64::try_from(board.units.len()).unwrap_or_default();
            boards.push(board);
        }
    }
    boards
}

fn board(config: &Config, root: Key, node: u64, index: u64, first_seat: u64) -> Board {
    let key = root.of(1_000_000 + node).of(index);
    let instances = identity::instances(config.dialect, index);
    let unit = |number: u64, instance: Option<&Instance>| {
        let labels = identity::labels(config.dialect, key, node, index, instance.copied());
        // Instances make the count of seats uneven, so pairs of whole GPUs are for fleets without MIG.
        let seat = Seat { node, number, shared: config.dialect != Dialect::Mig };
        unit(config, root, seat, labels, instance)
    };
    let units = if instances.is_empty() {
        vec![unit(first_seat, None)]
    } else {
        (first_seat..).zip(instances).map(|(number, instance)| unit(number, Some(instance))).collect()
    };
    Board { key, units, cooling: Cooling::of(key, config.profile == Profile::Throttle) }
}

fn unit(config: &Config, root: Key, seat: Seat, labels: String, instance: Option<&Instance>) -> Unit {
    let tenant = tenancy::tenant(config, root, seat);
    let noise = root.of(2_000_000 + seat.node).of(seat.number);
    let workload = Workload::new(kind(config.profile, tenant.role), tenant.pod, noise);
    let (share, memory_mib, reserved_mib) = match instance {
        Some(instance) => (instance.slices / 7.0, instance.memory_mib, 64.0),
        None => (1.0, H200_MIB, 614.0),
    };
    Unit {
        labels,
        attributes: tenant.attributes,
        workload,
        share,
        memory_mib,
        reserved_mib,
        mig: instance.is_some(),
        linked: tenant.linked,
    }
}

fn kind(profile: Profile, role: Role) -> Kind {
    match (profile, role) {
        (Profile::Idle, _) | (_, Role::Vacant) => Kind::Idle,
        (Profile::Load, _) => Kind::Saturated,
        (Profile::Throttle, _) => Kind::HeatBound,
        (Profile::Mixed | Profile::Xid, Role::Serving) => Kind::Serving,
        (Profile::Mixed | Profile::Xid, Role::Training) => Kind::Training,
        (Profile::Mixed | Profile::Xid, Role::Notebook) => Kind::Notebook,
        (Profile::Mixed | Profile::Xid, Role::Batch) => Kind::Batch,
    }
}
