//! Expositions as a whole: every line parses, sums hold, equal times give equal bytes.

use std::collections::{BTreeMap, HashSet};

use conf::Conf;
use proptest::prelude::*;

use super::*;
use crate::clock::EPOCH_MS;

/// 2026-11-20.
const NOW_MS: u64 = 1_795_132_800_000;

fn exporter(flags: &[&str]) -> Exporter {
    let args = [&["dcgm-sim"], flags].concat();
    Exporter::new(&Config::try_parse_from::<&str, &str, &str>(args, Vec::new()).unwrap())
}

#[derive(Debug)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
    value: String,
}

impl Series {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once("} ")?;
        let labels = labels.strip_suffix('"')?.split("\",").map(|label| label.split_once("=\""));
        let labels: Vec<_> =
            labels.map(|pair| pair.map(|(k, v)| (k.to_owned(), v.to_owned()))).collect::<Option<_>>()?;
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let sound = word(name)
            && labels.iter().all(|(k, v)| word(k) && !v.contains(['"', '\\', '\n']))
            && value.parse::<f64>().is_ok_and(f64::is_finite);
        sound.then(|| Self { name: name.to_owned(), labels, value: value.to_owned() })
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    fn number(&self) -> f64 {
        self.value.parse().unwrap()
    }
}

fn scrape(exporter: &Exporter, t_ms: u64) -> Vec<Series> {
    let text = exporter.render(t_ms).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Series::parse(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

fn named<'a>(series: &'a [Series], name: &str) -> Vec<&'a Series> {
    series.iter().filter(|series| series.name == name).collect()
}

fn any_flags() -> impl Strategy<Value = Vec<String>> {
    let profile = prop::sample::select(vec!["mixed", "idle", "load", "throttle", "xid"]);
    let dialect = prop::sample::select(vec!["k8s", "bare", "mig"]);
    (profile, dialect, 1_u64..=16, 1_u64..4, any::<u64>()).prop_map(
        |(profile, dialect, gpus, nodes, seed)| {
            [
                ("profile", profile.to_owned()),
                ("dialect", dialect.to_owned()),
                ("gpus", gpus.to_string()),
                ("nodes", nodes.to_string()),
                ("seed", seed.to_string()),
            ]
            .map(|(flag, value)| format!("--{flag}={value}"))
            .to_vec()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_line_parses_and_no_series_is_there_twice(flags in any_flags(), t in EPOCH_MS..2 * EPOCH_MS) {
        let exporter = exporter(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let series = scrape(&exporter, t);
        let ids: HashSet<_> = series.iter().map(|series| (&series.name, &series.labels)).collect();
        prop_assert_eq!(ids.len(), series.len());
        for Series { name, value, .. } in &series {
            let real = name.starts_with("DCGM_FI_PROF") && !name.ends_with("BYTES") || name.ends_with("POWER_USAGE");
            prop_assert_eq!(real, value.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 6));
            prop_assert!(!value.starts_with('-'), "{} {}", name, value);
        }
    }

    #[test]
    fn equal_seeds_and_times_give_equal_bytes(flags in any_flags(), t in EPOCH_MS..2 * EPOCH_MS) {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let second = t - t % 1000;
        let (one, other) = (exporter(&flags), exporter(&flags));
        prop_assert_eq!(one.render(second).unwrap(), other.render(second + 999).unwrap());
    }

    #[test]
    fn the_framebuffer_adds_up(flags in any_flags(), t in EPOCH_MS..2 * EPOCH_MS) {
        let series = scrape(&exporter(&flags.iter().map(String::as_str).collect::<Vec<_>>()), t);
        let mut sums: BTreeMap<_, f64> = BTreeMap::new();
        for part in ["FREE", "USED", "RESERVED"] {
            for series in named(&series, &format!("DCGM_FI_DEV_FB_{part}")) {
                *sums.entry(series.labels.clone()).or_default() += series.number();
            }
        }
        for (labels, sum) in sums {
            let profile = labels.iter().find(|(name, _)| name == "GPU_I_PROFILE").map(|(_, value)| value.as_str());
            let whole = match profile {
                None => 143_771.0,
                Some("1g.18gb") => 16_384.0,
                Some("2g.35gb") => 35_712.0,
                Some("3g.71gb") => 71_424.0,
                Some(other) => panic!("{other}"),
            };
            prop_assert_eq!(sum, whole);
        }
    }
}

#[test]
fn each_family_has_one_help_and_one_type() {
    let text = exporter(&["--nodes", "2"]).render(NOW_MS).unwrap();
    for word in ["# HELP ", "# TYPE "] {
        let names: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix(word)?.split(' ').next()).collect();
        assert_eq!(names, FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>());
    }
}

#[test]
fn only_tenants_have_pod_labels() {
    let series = scrape(&exporter(&[]), NOW_MS);
    let power = named(&series, "DCGM_FI_DEV_POWER_USAGE");
    let namespaces: Vec<_> = power.iter().map(|series| series.label("namespace").unwrap_or("")).collect();
    assert_eq!(
        namespaces,
        ["llm-serving", "llm-serving", "team-vision", "team-vision", "notebooks", "batch", "", ""]
    );
    assert!(power.iter().all(|series| series.label("pod").is_some() == series.label("container").is_some()));
}

#[test]
fn labels_of_an_error_sort_among_the_tenants() {
    let names = |flags: &[&str], name| -> String {
        let series = scrape(&exporter(flags), NOW_MS);
        let labels = named(&series, name)[0].labels.iter().skip(5).map(|(k, _)| k.as_str());
        labels.collect::<Vec<_>>().join(",")
    };
    let xid = "DCGM_FI_DEV_XID_ERRORS";
    assert_eq!(names(&[], xid), "hostname,DCGM_FI_DRIVER_VERSION,container,err_code,err_msg,namespace,pod");
    assert_eq!(names(&["--dialect=bare"], xid), "Hostname,DCGM_FI_DRIVER_VERSION,err_code,err_msg,hpc_job");
    assert_eq!(
        names(&["--dialect=mig"], "DCGM_EXP_XID_ERRORS_COUNT"),
        "GPU_I_PROFILE,GPU_I_ID,hostname,DCGM_FI_DRIVER_VERSION,window_size_in_ms,container,namespace,pod"
    );
}

#[test]
fn an_instance_has_no_utilisation_and_its_boards_power() {
    let series = scrape(&exporter(&["--dialect=mig", "--gpus=3"]), NOW_MS);
    assert_eq!(named(&series, "DCGM_FI_DEV_GPU_UTIL").len(), 1);
    assert_eq!(named(&series, "DCGM_FI_PROF_GR_ENGINE_ACTIVE").len(), 7 + 3 + 1);
    let power: HashSet<_> = named(&series, "DCGM_FI_DEV_POWER_USAGE")
        .iter()
        .map(|series| (series.label("UUID").map(str::to_owned), series.value.clone()))
        .collect();
    assert_eq!(power.len(), 3, "{power:?}");
}

#[test]
fn two_jobs_on_a_gpu_make_two_series() {
    let series = scrape(&exporter(&["--dialect=bare"]), NOW_MS);
    let shared: Vec<_> = named(&series, "DCGM_FI_DEV_POWER_USAGE")
        .into_iter()
        .filter(|s| s.label("gpu") == Some("4"))
        .collect();
    assert_eq!(shared.len(), 2);
    assert_ne!(shared[0].label("hpc_job"), shared[1].label("hpc_job"));
    assert_eq!(shared[0].value, shared[1].value);
}

#[test]
fn an_xid_shows_with_its_message_and_in_the_window() {
    let exporter = exporter(&["--profile=xid"]);
    let hour: Vec<Series> = (0..60).flat_map(|minute| scrape(&exporter, NOW_MS + minute * 60_000)).collect();
    let last: Vec<_> =
        named(&hour, "DCGM_FI_DEV_XID_ERRORS").into_iter().filter(|s| s.value != "0").collect();
    assert!(
        last.iter().all(|s| s.label("err_code") == Some(&s.value) && s.label("err_msg") != Some("No Error"))
    );
    let window = named(&hour, "DCGM_EXP_XID_ERRORS_COUNT");
    assert!(window.iter().all(|s| s.label("xid").is_some() == (s.value != "0")));
    assert!(last.len() > 50 && window.iter().filter(|s| s.value != "0").count() > 50);
}

#[test]
fn clock_events_count_samples() {
    for (interval, count) in [("1s", "300"), ("30s", "10")] {
        let series = scrape(&exporter(&["--profile=idle", "--collect-interval", interval]), NOW_MS);
        for series in named(&series, "DCGM_EXP_CLOCK_EVENTS_COUNT") {
            assert_eq!((series.label("clock_event"), series.value.as_str()), (Some("gpu_idle"), count));
        }
    }
}
