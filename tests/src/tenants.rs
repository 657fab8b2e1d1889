//! The metrics of a cluster that several teams share, as a Prometheus would hold them, and what of it is whose.
//!
//! Each namespace writes values and names of pods that no other has, so that what shows up in a result says whose it is.

use std::fmt::Write as _;

/// When queries are made, in seconds since the epoch. Samples are written for the half hour before.
pub const TIME: i64 = 1_700_000_000;

/// Seconds of samples before [`TIME`], and between two of them.
const SPAN: i64 = 1_800;
const STEP: i64 = 30;

/// The namespaces of teams, in order: the first two are those of callers in tests.
pub const TEAMS: [&str; 4] = ["team-a", "team-b", "team-c", "victim"];

/// The namespace that dcgm-exporter runs in.
pub const OPERATOR: &str = "nvidia-gpu-operator";

/// One series.
#[derive(Clone, Debug)]
pub struct Series {
    name: String,
    labels: Vec<(&'static str, String)>,
    base: i64,
    slope: i64,
}

impl Series {
    /// A label's value, where it has the label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_str())
    }

    /// Whether it belongs to one of `names`. Of GPU metrics only what the operator's exporter says counts; a series without
    /// a namespace is nobody's.
    pub fn belongs_to(&self, names: &[&str]) -> bool {
        let owner = if ["DCGM_", "accelerator_"].iter().any(|begin| self.name.starts_with(begin)) {
            (self.label("namespace") == Some(OPERATOR)).then(|| self.label("exported_namespace")).flatten()
        } else {
            self.label("namespace")
        };
        owner.is_some_and(|owner| names.contains(&owner))
    }

    /// Its labels' values.
    pub fn values_of_labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(_, value)| value.as_str())
    }

    /// All its samples: the value, and the time in seconds since the epoch.
    pub fn samples(&self) -> impl Iterator<Item = (i64, i64)> {
        (0..=SPAN / STEP).map(|at| (self.base + self.slope * at, TIME - SPAN + at * STEP))
    }
}

/// Everything that is in the cluster.
pub fn all() -> Vec<Series> {
    let mut all = Vec::new();
    for (team, name) in TEAMS.iter().enumerate() {
        let team = i64::try_from(team).unwrap_or_default() + 1;
        for pod in 0..3 {
            of_pod(&mut all, name, team, pod);
        }
        push(&mut all, "up", &[("namespace", name), ("job", "app")], team * 1_000_003, 0);
        push(&mut all, "secret_ratio", &[("namespace", name)], team, 0);
        push(
            &mut all,
            &format!("only_in_{}", name.replace('-', "_")),
            &[("namespace", name)],
            team * 1_000_007,
            1,
        );
    }
    // A team that passes series off as those of another, and one that has a namespace in a label of its own.
    let forged = [
        ("gpu", "9"),
        ("namespace", "victim"),
        ("exported_namespace", "team-a"),
        ("exported_pod", "forged-pod"),
    ];
    push(&mut all, "DCGM_FI_DEV_GPU_UTIL", &forged, 999_000_037, 1);
    push(
        &mut all,
        "up",
        &[("namespace", "victim"), ("exported_namespace", "team-a"), ("job", "forged-job")],
        999_000_041,
        0,
    );
    // What belongs to no namespace: nodes, and GPUs that nobody uses.
    push(&mut all, "node_load1", &[("node", "node-0")], 888_000_017, 1);
    push(&mut all, "DCGM_FI_DEV_GPU_UTIL", &[("gpu", "8"), ("namespace", OPERATOR)], 888_000_049, 1);
    all
}

fn of_pod(all: &mut Vec<Series>, namespace: &str, team: i64, number: i64) {
    let pod = format!("{namespace}-pod-{number}");
    let node = format!("node-{number}");
    let gpu = number.to_string();
    let base = team * 10_000_019 + number * 101;
    push(all, "kube_pod_info", &[("namespace", namespace), ("pod", &pod), ("node", &node)], 1, 0);
    for (container, more) in [("main", 0), ("proxy", 17)] {
        let labels = [("namespace", namespace), ("pod", pod.as_str()), ("container", container)];
        push(all, "container_memory_bytes", &labels, base + more, 3);
    }
    for code in ["200", "500"] {
        let labels = [("namespace", namespace), ("pod", pod.as_str()), ("code", code)];
        push(all, "requests_total", &labels, base, 7 * (team + number));
    }
    for (le, share) in [("0.1", 1), ("1", 2), ("+Inf", 3)] {
        let labels = [("namespace", namespace), ("pod", pod.as_str()), ("le", le)];
        push(all, "latency_seconds_bucket", &labels, base * share, share * (team + number));
    }
    for metric in ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "accelerator_gpu_utilization"] {
        let labels = [
            ("gpu", gpu.as_str()),
            ("namespace", OPERATOR),
            ("exported_namespace", namespace),
            ("exported_pod", pod.as_str()),
        ];
        push(all, metric, &labels, base + 29, 1 + number);
    }
}

fn push(all: &mut Vec<Series>, name: &str, labels: &[(&'static str, &str)], base: i64, slope: i64) {
    let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
    all.push(Series { name: name.to_owned(), labels, base, slope });
}

/// These series in the OpenMetrics format.
pub fn openmetrics<'a>(series: impl IntoIterator<Item = &'a Series>) -> String {
    let mut sorted: Vec<_> = series.into_iter().collect();
    // The format wants all series of a metric together.
    sorted.sort_by_key(|series| &series.name);
    let mut text = String::new();
    let mut name = "";
    for series in sorted {
        if series.name != name {
            name = &series.name;
            // Writing to a string cannot fail.
            writeln!(text, "# TYPE {name} unknown").ok();
        }
        let labels: Vec<_> =
            series.labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        for (value, time) in series.samples() {
            writeln!(text, "{name}{{{}}} {value} {time}", labels.join(",")).ok();
        }
    }
    text + "# EOF\n"
}
