//! The DCGM series that all benchmarks are about: a GPU each, with the labels of nodes under the gpu-operator.

use std::fmt::Write;

/// The query of which they are the answer.
pub(crate) const QUERY: &str = "DCGM_FI_DEV_POWER_USAGE";

/// What Prometheus answers: the whole document.
pub(crate) fn document(series: usize) -> String {
    format!(r#"{{"status":"success","data":{}}}"#, data(series))
}

/// What stands in an event.
pub(crate) fn data(series: usize) -> String {
    let mut result = String::new();
    for number in 0..series {
        let (labels, watts) = (labels(number), 70.0 + spread(number) / 1e7);
        let between = if number == 0 { "" } else { "," };
        write!(result, r#"{between}{{"metric":{labels},"value":[1764000003.007,"{watts:.3}"]}}"#)
            .expect("text grows");
    }
    format!(r#"{{"resultType":"vector","result":[{result}]}}"#)
}

fn labels(number: usize) -> String {
    let (node, gpu, serial) = (number / 8, number % 8, spread(number));
    format!(
        concat!(
            r#"{{"__name__":"DCGM_FI_DEV_POWER_USAGE","DCGM_FI_DRIVER_VERSION":"570.172.08","UUID":"GPU-{serial:010}-4c1d-0f2a","#,
            r#""container":"nvidia-dcgm-exporter","device":"nvidia{gpu}","endpoint":"gpu-metrics","#,
            r#""exported_container":"kserve-container","exported_namespace":"team-{team}","#,
            r#""exported_pod":"llama-3-70b-predictor-{node:05}-{gpu}","gpu":"{gpu}","hostname":"gpu-worker-{node:04}","#,
            r#""instance":"10.128.{team}.17:9400","job":"nvidia-dcgm-exporter","modelName":"NVIDIA H200","#,
            r#""namespace":"nvidia-gpu-operator","pod":"nvidia-dcgm-exporter-{node:05}","service":"nvidia-dcgm-exporter"}}"#
        ),
        serial = serial,
        gpu = gpu,
        team = node % 7,
        node = node,
    )
}

/// A number below 2^32 that looks drawn, and is the same in each run.
fn spread(number: usize) -> f64 {
    let hash = (number + 1).wrapping_mul(0x9e37_79b1) % 0x1_0000_0000;
    f64::from(u32::try_from(hash).unwrap_or_default())
}
