//! Queries by the thousand over the metrics of [`crate::tenants`]: the same ones for the same seed.

/// Metrics, and a label of each to group or join by.
const METRICS: [(&str, &str); 9] = [
    ("kube_pod_info", "pod"),
    ("container_memory_bytes", "pod"),
    ("requests_total", "code"),
    ("latency_seconds_bucket", "le"),
    ("DCGM_FI_DEV_GPU_UTIL", "gpu"),
    ("DCGM_FI_DEV_FB_USED", "exported_pod"),
    ("accelerator_gpu_utilization", "gpu"),
    ("up", "job"),
    ("node_load1", "node"),
];

const MATCHERS: [&str; 14] = [
    "",
    "",
    "",
    r#"pod!="team-a-pod-0""#,
    r#"pod=~"team-.-pod-[01]""#,
    r#"code="200""#,
    r#"gpu!~"[12]""#,
    r#"container=~"ma.n|proxy""#,
    r#"le="+Inf""#,
    r#"node=~".+""#,
    r#"namespace!="team-z""#,
    r#"namespace=~"team-.*""#,
    r#"exported_namespace!~"team-(y|z)""#,
    r#"namespace=~".+",pod!="""#,
];

const AGGREGATIONS: [&str; 8] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const FUNCTIONS: [&str; 8] = ["abs", "ceil", "sort", "exp", "ln", "sgn", "timestamp", "sqrt"];
const OVER_TIME: [&str; 8] = [
    "rate",
    "increase",
    "delta",
    "max_over_time",
    "avg_over_time",
    "count_over_time",
    "last_over_time",
    "changes",
];
const OPERATORS: [&str; 9] = ["+", "-", "*", "/", "%", ">", "<=", "== bool", "!= bool"];

/// A source of queries.
#[derive(Debug)]
pub struct Queries(u64);

impl Queries {
    /// The queries of a seed, which must not be 0.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one: a vector most of the time.
    pub fn draw(&mut self) -> String {
        match self.below(12) {
            0 => self.matrix(),
            1 => self.scalar(3),
            _ => self.vector(4),
        }
    }

    /// xorshift64*, which is random enough for this.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap_or_default() % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn selector(&mut self) -> (String, &'static str) {
        let (metric, label) = METRICS[self.below(METRICS.len())];
        let matchers = self.one(&MATCHERS);
        match self.below(4) {
            0 => (format!("{{__name__=\"{metric}\",{matchers}}}").replace(",}", "}"), label),
            _ if matchers.is_empty() => (metric.to_owned(), label),
            _ => (format!("{metric}{{{matchers}}}"), label),
        }
    }

    fn time(&mut self) -> &'static str {
        self.one(&[
            "",
            "",
            "",
            " offset 5m",
            " offset -1m",
            " @ 1699999500",
            " @ end() offset 2m",
            " @ start()",
        ])
    }

    fn matrix(&mut self) -> String {
        let (selector, _) = self.selector();
        match self.below(4) {
            0 => format!("{}[10m:2m]{}", self.vector(1), self.time()),
            _ => format!("{selector}[{}]{}", self.one(&["2m", "5m", "10m"]), self.time()),
        }
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.below(4) {
            0 => self.one(&["1", "2.5", "-3", "0x10", "1e3"]).to_owned(),
            1 => format!("scalar({})", self.vector(depth.saturating_sub(1))),
            2 => format!("scalar(sum({}))", self.vector(depth.saturating_sub(1))),
            _ => format!("({} {} 2)", self.one(&["time()", "7", "pi()"]), self.one(&["+", "*", "-", "^"])),
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        let (selector, label) = self.selector();
        if depth == 0 {
            return format!("{selector}{}", self.time());
        }
        let below = depth - 1;
        match self.below(17) {
            0 | 1 => format!("{selector}{}", self.time()),
            2 => format!("{}({})", self.one(&AGGREGATIONS), self.vector(below)),
            3 => format!("{} by ({label}) ({})", self.one(&AGGREGATIONS), self.vector(below)),
            4 => format!("{} without ({label}, namespace) ({})", self.one(&AGGREGATIONS), self.vector(below)),
            5 => format!("{}({})", self.one(&FUNCTIONS), self.vector(below)),
            6 => format!("{}({})", self.one(&OVER_TIME), self.matrix()),
            7 => format!("({} {} {})", self.vector(below), self.one(&OPERATORS), self.vector(below)),
            8 => format!("({} {} {})", self.vector(below), self.one(&OPERATORS), self.scalar(below)),
            9 => format!(
                "({} {} on ({label}) {})",
                self.vector(below),
                self.one(&["and", "or", "unless"]),
                self.vector(below)
            ),
            10 => format!(
                "({} {} {})",
                self.vector(below),
                self.one(&["and", "or", "unless"]),
                self.vector(below)
            ),
            11 => format!(
                "{}({}, {})",
                self.one(&["topk", "bottomk", "quantile"]),
                self.scalar(below),
                self.vector(below)
            ),
            12 => self.labels(below, label),
            13 => format!("clamp({}, {}, {})", self.vector(below), self.scalar(below), self.scalar(below)),
            14 => format!("sum({}({}))", self.one(&["absent", "-"]), self.vector(below)),
            15 => format!(
                "({} * on ({label}) group_left ({}) {})",
                self.vector(below),
                self.one(&["container", "namespace"]),
                self.vector(below)
            ),
            _ => format!(
                "histogram_quantile({}, sum by (le, pod) (rate(latency_seconds_bucket[5m])))",
                self.scalar(below)
            ),
        }
    }

    fn labels(&mut self, depth: usize, label: &str) -> String {
        match self.below(4) {
            0 => format!("label_replace({}, \"namespace\", \"victim\", \"\", \"\")", self.vector(depth)),
            1 => format!("label_replace({}, \"copy\", \"$1\", \"{label}\", \"(.*)\")", self.vector(depth)),
            2 => format!("label_join({}, \"all\", \"/\", \"namespace\", \"{label}\")", self.vector(depth)),
            _ => format!("count_values(\"value\", {})", self.vector(depth)),
        }
    }
}
