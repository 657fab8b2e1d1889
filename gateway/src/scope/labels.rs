//! Which label of a metric holds the namespace that the series belongs to.
//!
//! It is not the same label for all of them. An exporter that measures on behalf of others, such as dcgm-exporter, says
//! in its own `namespace` label whose GPU time it measured. Where the scrape has `honorLabels: false`, Prometheus keeps
//! `namespace` for the exporter's and stores the workload's as `exported_namespace`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What is right for the gpu-operator as it is installed: its ServiceMonitor for dcgm-exporter, and the rules that copy
/// DCGM metrics to `accelerator_*`, leave `honorLabels` at `false`. The pin says that only what was scraped in the
/// operator's namespace counts: anybody may run an exporter of their own that claims an `exported_namespace`.
const DEFAULT: [&str; 3] = [
    r#"DCGM_*=exported_namespace{namespace="nvidia-gpu-operator"}"#,
    r#"accelerator_*=exported_namespace{namespace="nvidia-gpu-operator"}"#,
    "*=namespace",
];

/// The rules by the name of the metric. The first that fits counts, and the last fits all.
#[derive(Clone, Debug)]
pub struct Labels(Arc<[Rule]>);

/// For some metrics, the label that holds the namespace, and what else must be true of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pattern: Pattern,
    label: String,
    pins: Vec<(String, String)>,
}

/// The metrics that a rule counts for, in regular expressions over their names.
#[derive(Debug)]
pub(super) struct Share<'a> {
    /// The rule.
    pub(super) rule: &'a Rule,
    /// A metric of the share fits this; nothing where any does.
    pub(super) metrics: Option<String>,
    /// It does not fit this: an earlier rule counts for what does.
    pub(super) others: Option<String>,
}

/// Names of metrics: one, or all that begin or end with something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
}

/// Why a list of rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text is no rule.
    #[error(
        "`{0}` is not a rule: write PATTERN=LABEL or PATTERN=LABEL{{PIN=\"VALUE\"}}, such as \
         DCGM_*=exported_namespace{{namespace=\"nvidia-gpu-operator\"}}; a pattern is the name of a metric with at most one \
         `*`, first or last"
    )]
    NoRule(String),
    /// A pin would contradict what the rule itself demands.
    #[error("the rule `{0}` pins its own label or `__name__`, or one label twice")]
    Pin(String),
    /// Nothing says what holds for other metrics.
    #[error("the last rule must be for all metrics: end with `*=namespace`, or another label")]
    NotForAll,
    /// A rule that is never reached.
    #[error("the rules behind the one for all metrics (`*`) would never count: move it to the end")]
    Unreachable,
}

impl Labels {
    /// These rules, in this order. Tells all that is wrong.
    pub fn new<T: AsRef<str>>(rules: &[T]) -> Result<Self, Vec<Error>> {
        let (mut good, mut mistakes) = (Vec::new(), Vec::new());
        for rule in rules {
            match rule.as_ref().parse::<Rule>() {
                Ok(rule) => good.push(rule),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() {
            match good.iter().position(Rule::is_for_all) {
                None => mistakes.push(Error::NotForAll),
                Some(at) if at + 1 < good.len() => mistakes.push(Error::Unreachable),
                Some(_) => {}
            }
        }
        if mistakes.is_empty() { Ok(Self(good.into())) } else { Err(mistakes) }
    }

    /// No rule: every selector is refused.
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }

    /// The rule for a metric.
    pub(super) fn of(&self, metric: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.pattern.fits(metric))
    }

    /// All metrics, divided by how they say whose they are: neighbouring rules that say the same make one share. Each metric is
    /// in the share of the first rule that fits it, and in no other.
    pub(super) fn shares(&self) -> Vec<Share<'_>> {
        let mut before: Vec<String> = Vec::new();
        let alike = |one: &Rule, other: &Rule| one.label == other.label && one.pins == other.pins;
        let groups = self.0.chunk_by(alike);
        let shares = groups.filter_map(|group| {
            let rule = group.first()?;
            let patterns: Vec<_> = group.iter().map(|rule| rule.pattern.regex()).collect();
            let others = (!before.is_empty()).then(|| before.join("|"));
            let metrics = (!group.iter().any(Rule::is_for_all)).then(|| patterns.join("|"));
            before.extend(patterns);
            Some(Share { rule, metrics, others })
        });
        shares.collect()
    }

    /// The rule for all metrics, where there is no difference between them.
    pub(super) fn of_all(&self) -> Option<&Rule> {
        let last = self.0.last()?;
        let same = |rule: &Rule| rule.label == last.label && rule.pins == last.pins;
        self.0.iter().all(same).then_some(last)
    }
}

impl fmt::Display for Labels {
    /// As they are written in the environment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.0.iter().map(Rule::to_string).collect();
        f.write_str(&rules.join(";"))
    }
}

impl Default for Labels {
    /// What fits the gpu-operator as it is installed; `namespace` for everything else.
    fn default() -> Self {
        let rules = DEFAULT.iter().filter_map(|rule| rule.parse().ok());
        Self(rules.collect())
    }
}

impl Rule {
    /// The label that holds the namespace.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Labels and the values that they must have.
    pub(super) fn pins(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pins.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }

    fn is_for_all(&self) -> bool {
        self.pattern == Pattern::Prefix(String::new())
    }
}

impl Pattern {
    fn fits(&self, metric: &str) -> bool {
        match self {
            Self::Exact(name) => metric == name,
            Self::Prefix(prefix) => metric.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => metric.ends_with(suffix.as_str()),
        }
    }

    /// The same as a regular expression that must match all of a name. What a pattern is made of means itself in one. The dot
    /// takes a line break too, which newer upstreams allow in a name.
    fn regex(&self) -> String {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Prefix(prefix) => format!("{prefix}(?s:.*)"),
            Self::Suffix(suffix) => format!("(?s:.*){suffix}"),
        }
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refusal = || Error::NoRule(text.to_owned());
        let (pattern, rest) = text.trim().split_once('=').ok_or_else(refusal)?;
        let (label, pins) = match rest.split_once('{') {
            None => (rest, Vec::new()),
            Some((label, pins)) => (label, pins.strip_suffix('}').and_then(read_pins).ok_or_else(refusal)?),
        };
        let pattern = pattern.parse().map_err(|NotAPattern| refusal())?;
        if !is_label(label) {
            return Err(refusal());
        }
        let mut taken = vec!["__name__", label];
        for (name, _) in &pins {
            if taken.contains(&name.as_str()) {
                return Err(Error::Pin(text.to_owned()));
            }
            taken.push(name);
        }
        Ok(Self { pattern, label: label.to_owned(), pins })
    }
}

struct NotAPattern;

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (_, Some(prefix)) if plain(prefix) => Ok(Self::Prefix(prefix.to_owned())),
            (Some(suffix), None) if plain(suffix) => Ok(Self::Suffix(suffix.to_owned())),
            (None, None) if plain(text) && !text.is_empty() => Ok(Self::Exact(text.to_owned())),
            _ => Err(NotAPattern),
        }
    }
}

/// `NAME="VALUE"`, separated by commas. A value has nothing in it that would have to be escaped anywhere.
fn read_pins(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(|pin| {
            let (name, value) = pin.trim().split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte);
            let good = is_label(name) && !value.is_empty() && value.bytes().all(plain);
            good.then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// A label's name in the classic alphabet (`[a-zA-Z_][a-zA-Z0-9_]*`): it needs no quotes.
fn is_label(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

impl fmt::Display for Rule {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pattern {
            Pattern::Exact(name) => write!(f, "{name}={}", self.label)?,
            Pattern::Prefix(prefix) => write!(f, "{prefix}*={}", self.label)?,
            Pattern::Suffix(suffix) => write!(f, "*{suffix}={}", self.label)?,
        }
        let pins: Vec<_> = self.pins.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        if pins.is_empty() { Ok(()) } else { write!(f, "{{{}}}", pins.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts() {
        let labels = Labels::new(&["DCGM_FI_DEV_GPU_TEMP=a", "DCGM_*=b", "*_total=c", "*=d"]).unwrap();
        let label = |metric| labels.of(metric).unwrap().label().to_owned();
        assert_eq!(label("DCGM_FI_DEV_GPU_TEMP"), "a");
        assert_eq!(label("DCGM_FI_DEV_GPU_UTIL"), "b");
        assert_eq!(label("DCGM_x_total"), "b");
        assert_eq!(label("x_total"), "c");
        assert_eq!(label("dcgm_x"), "d");
        assert_eq!(label(""), "d");
        assert_eq!(labels.of_all(), None);
        assert!(Labels::new(&["DCGM_*=n", "*=n"]).unwrap().of_all().is_some());
        assert!(Labels::new(&[r#"DCGM_*=n{p="1"}"#, "*=n"]).unwrap().of_all().is_none());
    }

    #[test]
    fn each_metric_is_in_one_share() {
        let labels = Labels::new(&["a_*=x", "*_b=x", "c=y", r#"a_c*=x{p="1"}"#, "*=x"]).unwrap();
        let shares = labels.shares();
        let told: Vec<_> =
            shares.iter().map(|share| (share.metrics.as_deref(), share.others.as_deref())).collect();
        let first = "a_(?s:.*)|(?s:.*)_b";
        let others = [first.to_owned(), format!("{first}|c"), format!("{first}|c|a_c(?s:.*)")];
        let expected = [
            (Some(first), None),
            (Some("c"), Some(others[0].as_str())),
            (Some("a_c(?s:.*)"), Some(others[1].as_str())),
            (None, Some(others[2].as_str())),
        ];
        assert_eq!(told, expected);
        assert!(Labels::none().shares().is_empty());
    }

    #[test]
    fn a_rule_reads_as_it_prints() {
        for text in ["x=n", "*=namespace", "*_total=n", r#"DCGM_*=n{a="b",c="d/e:f.g-h_0"}"#] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert_eq!(Labels::default().0.len(), DEFAULT.len());
    }

    #[test]
    fn what_is_no_rule_is_told_all_at_once() {
        let bad = [
            "",
            "x",
            "=n",
            "x=",
            "a*b=n",
            "**=n",
            "x=1n",
            "x=n{}",
            "x=n{a}",
            "x=n{a=b}",
            "x=n{a=\"b\"",
            "x=n{a=\"\"}",
            "x=n{a=\"\\\"\"}",
            "x=~n",
            "x=\"n\"",
            "a b=n",
            "x=n{a=\"b\",}",
        ];
        assert_eq!(Labels::new(&bad).unwrap_err().len(), bad.len());
        let pins = ["x=n{n=\"1\"}", "x=n{__name__=\"1\"}", "x=n{a=\"1\",a=\"2\"}"];
        for mistake in Labels::new(&pins).unwrap_err() {
            assert!(matches!(mistake, Error::Pin(_)), "{mistake}");
        }
        assert_eq!(Labels::new(&["x=n"]).unwrap_err(), [Error::NotForAll]);
        assert_eq!(Labels::new::<&str>(&[]).unwrap_err(), [Error::NotForAll]);
        assert_eq!(Labels::new(&["*=n", "x=n"]).unwrap_err(), [Error::Unreachable]);
    }
}
