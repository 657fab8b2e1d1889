//! Who a GPU is: hostname, UUID, bus id, MIG layout, and the labels made of them.

use crate::config::Dialect;
use crate::dice::Key;

/// PCI bus numbers of an eight-GPU HGX board, then of a second one.
const BUSES: [&str; 16] =
    ["19", "3B", "4C", "5D", "9B", "BB", "CB", "DB", "1B", "3D", "4E", "5F", "9D", "BD", "CD", "DD"];

/// Framebuffer of an H200 in MiB: used + free + reserved.
pub(crate) const H200_MIB: f64 = 143_771.0;

/// A MIG instance as `nvidia-smi mig` names it. An H200 has 7 compute slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Instance {
    /// `GPU_I_PROFILE`: compute slices and memory.
    pub(crate) profile: &'static str,
    /// `GPU_I_ID`.
    pub(crate) id: u64,
    /// Compute slices, of 7.
    pub(crate) slices: f64,
    /// Framebuffer, MiB.
    pub(crate) memory_mib: f64,
}

const fn one(id: u64) -> Instance {
    Instance { profile: "1g.18gb", id, slices: 1.0, memory_mib: 16_384.0 }
}

const SEVEN_SMALL: &[Instance] = &[one(7), one(8), one(9), one(10), one(11), one(12), one(13)];
const THREE_SIZES: &[Instance] = &[
    Instance { profile: "3g.71gb", id: 2, slices: 3.0, memory_mib: 71_424.0 },
    Instance { profile: "2g.35gb", id: 3, slices: 2.0, memory_mib: 35_712.0 },
    one(9),
];

/// How the `index`-th GPU of a node is cut; empty for a whole one. In the MIG dialect each third GPU is whole.
pub(crate) fn instances(dialect: Dialect, index: u64) -> &'static [Instance] {
    match (dialect, index % 3) {
        (Dialect::Mig, 0) => SEVEN_SMALL,
        (Dialect::Mig, 1) => THREE_SIZES,
        (Dialect::Mig | Dialect::K8s | Dialect::Bare, _) => &[],
    }
}

/// Labels that every series of one GPU, or of one instance, begins with, in dcgm-exporter's order.
pub(crate) fn labels(
    dialect: Dialect,
    board: Key,
    node: u64,
    index: u64,
    instance: Option<Instance>,
) -> String {
    let uuid = uuid(board);
    let bus = usize::try_from(index).ok().and_then(|index| BUSES.get(index)).unwrap_or(&"01");
    let mig = instance.map_or_else(String::new, |instance| {
        format!(r#",GPU_I_PROFILE="{}",GPU_I_ID="{}""#, instance.profile, instance.id)
    });
    let (host, driver) = match dialect {
        Dialect::K8s | Dialect::Mig => ("hostname", "580.95.05"),
        Dialect::Bare => ("Hostname", "570.148.08"),
    };
    format!(
        r#"gpu="{index}",UUID="{uuid}",pci_bus_id="00000000:{bus}:00.0",device="nvidia{index}",modelName="NVIDIA H200"{mig},{host}="gpu-worker-{:02}",DCGM_FI_DRIVER_VERSION="{driver}""#,
        node + 1
    )
}

fn uuid(board: Key) -> String {
    let (high, low) = (board.bits(1), board.bits(2));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
    format!("GPU-{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_exporter() {
        let mig = labels(Dialect::Mig, Key::root(1), 8, 0, Some(one(7)));
        let names: Vec<&str> = mig.split(',').filter_map(|label| label.split('=').next()).collect();
        assert_eq!(
            names.join(","),
            "gpu,UUID,pci_bus_id,device,modelName,GPU_I_PROFILE,GPU_I_ID,hostname,DCGM_FI_DRIVER_VERSION"
        );
        assert!(mig.contains(r#"hostname="gpu-worker-09""#), "{mig}");
        assert!(labels(Dialect::Bare, Key::root(1), 99, 0, None).contains(r#",Hostname="gpu-worker-100","#));
    }

    #[test]
    fn a_uuid_has_the_shape_of_a_real_one() {
        let uuid = uuid(Key::root(7));
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [3, 8, 4, 4, 4, 12], "{uuid}");
    }

    #[test]
    fn no_layout_has_more_than_seven_slices() {
        for index in 0..3 {
            let slices: f64 = instances(Dialect::Mig, index).iter().map(|instance| instance.slices).sum();
            assert!(slices <= 7.0);
        }
    }
}
