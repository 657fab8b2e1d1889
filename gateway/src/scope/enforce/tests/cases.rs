//! The table of queries: what is asked, by whom, under which rules, and what goes upstream.

/// What is to come of a query.
#[derive(Debug)]
pub(super) enum Expected {
    /// This text goes upstream.
    Print(&'static str),
    /// It asks for namespaces that are not the caller's.
    Forbidden,
    /// It does not name a metric where the label depends on it.
    Unnamed,
    /// It calls a function that is not available.
    Function,
    /// It is refused whoever asks.
    Invalid,
}

use Expected::{Forbidden, Function, Invalid, Print, Unnamed};

/// One row.
pub(super) struct Case {
    pub(super) query: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) rules: &'static [&'static str],
    pub(super) expected: Expected,
}

const A: &[&str] = &["team-a"];
const AB: &[&str] = &["team-b", "team-a"];

/// With rules that put all namespaces into `namespace`.
const fn plain(query: &'static str, expected: Expected) -> Case {
    Case { query, names: A, rules: &[], expected }
}

const fn both(query: &'static str, expected: Expected) -> Case {
    Case { query, names: AB, rules: &[], expected }
}

const fn mapped(query: &'static str, expected: Expected) -> Case {
    Case { query, names: A, rules: &["DCGM_*=exported_namespace", "*=namespace"], expected }
}

const fn pinned(query: &'static str, expected: Expected) -> Case {
    Case {
        query,
        names: A,
        rules: &["DCGM_*=exported_namespace{namespace=\"gpus\"}", "*=namespace"],
        expected,
    }
}

const fn uniform(query: &'static str, expected: Expected) -> Case {
    Case { query, names: A, rules: &["DCGM_*=tenant{job=\"x\"}", "*=tenant{job=\"x\"}"], expected }
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Every place where a selector can stand.
    plain("x", Print(r#"x{namespace="team-a"}"#)),
    both("x", Print(r#"x{namespace=~"team-a|team-b"}"#)),
    plain(r#"{"a metric"}"#, Print(r#"{__name__="a metric",namespace="team-a"}"#)),
    plain("7", Print("7")),
    plain("vector(1)", Print("vector(1)")),
    plain("x + on (pod) group_left (node) y", Print(r#"x{namespace="team-a"} + on (pod) group_left (node) y{namespace="team-a"}"#)),
    plain("x and y unless z or w", Print(r#"x{namespace="team-a"} and y{namespace="team-a"} unless z{namespace="team-a"} or w{namespace="team-a"}"#)),
    plain("-(x)", Print(r#"-(x{namespace="team-a"})"#)),
    plain("rate(x[5m] @ end() offset 10m)", Print(r#"rate(x{namespace="team-a"}[5m] @ end() offset 10m)"#)),
    plain("max_over_time(min_over_time(x[1m])[1h:1m] @ start())", Print(r#"max_over_time(min_over_time(x{namespace="team-a"}[1m])[1h:1m] @ start())"#)),
    plain("topk(scalar(sum(y)), x)", Print(r#"topk(scalar(sum(y{namespace="team-a"})), x{namespace="team-a"})"#)),
    plain("quantile(scalar(y), x)", Print(r#"quantile(scalar(y{namespace="team-a"}), x{namespace="team-a"})"#)),
    plain("limitk(scalar(y), x)", Print(r#"limitk(scalar(y{namespace="team-a"}), x{namespace="team-a"})"#)),
    plain(r#"count_values("namespace", x)"#, Print(r#"count_values("namespace", x{namespace="team-a"})"#)),
    plain("clamp_max(x, scalar(y))", Print(r#"clamp_max(x{namespace="team-a"}, scalar(y{namespace="team-a"}))"#)),
    plain("histogram_quantile(scalar(q), sum by (le) (rate(x_bucket[5m])))", Print(r#"histogram_quantile(scalar(q{namespace="team-a"}), sum by (le) (rate(x_bucket{namespace="team-a"}[5m])))"#)),
    plain(r#"label_replace(x, "namespace", "team-z", "", "")"#, Print(r#"label_replace(x{namespace="team-a"}, "namespace", "team-z", "", "")"#)),
    plain("absent(x)", Print(r#"absent(x{namespace="team-a"})"#)),
    plain("sum", Print(r#"sum{namespace="team-a"}"#)),
    plain("by{} + on", Invalid),

    // The selector's own matchers on the label.
    plain(r#"x{namespace="team-a"}"#, Print(r#"x{namespace="team-a"}"#)),
    plain(r#"x{namespace="team-z"}"#, Forbidden),
    plain(r#"x{namespace='team-z'}"#, Forbidden),
    plain("x{namespace=`team-z`}", Forbidden),
    plain(r#"x{"namespace"="team-z"}"#, Forbidden),
    plain(r#"{"namespace"="team-z","x"}"#, Forbidden),
    plain(r#"x{namespace="\x74eam-z"}"#, Forbidden),
    plain(r#"x{namespace="team-a",namespace="team-z"}"#, Forbidden),
    plain(r#"x{namespace=""}"#, Forbidden),
    plain(r#"x{namespace=~""}"#, Forbidden),
    plain(r#"x{namespace!="team-a"}"#, Forbidden),
    plain(r#"x{namespace!="team-z"}"#, Print(r#"x{namespace!="team-z",namespace="team-a"}"#)),
    plain(r#"x{namespace!~".*"}"#, Forbidden),
    plain(r#"x{namespace!~""}"#, Print(r#"x{namespace!~"",namespace="team-a"}"#)),
    plain(r#"x{namespace=~"team-.*"}"#, Print(r#"x{namespace="team-a",namespace=~"team-.*"}"#)),
    plain(r#"x{namespace=~"team"}"#, Forbidden),
    plain(r#"x{namespace=~"(?i)TEAM-A"}"#, Print(r#"x{namespace="team-a",namespace=~"(?i)TEAM-A"}"#)),
    plain(r#"x{namespace=~"(?i)TEAM-Z"}"#, Forbidden),
    plain(r#"x{namespace=~"team-z|^.*$"}"#, Print(r#"x{namespace="team-a",namespace=~"team-z|^.*$"}"#)),
    plain(r#"x{namespace="$namespace"}"#, Forbidden),
    both(r#"x{namespace=~"team-b|team-z"}"#, Print(r#"x{namespace="team-b",namespace=~"team-b|team-z"}"#)),
    both(r#"x{namespace=~"team-a|team-b"}"#, Print(r#"x{namespace=~"team-a|team-b"}"#)),
    both(r#"x{namespace=~".+"}"#, Print(r#"x{namespace=~".+",namespace=~"team-a|team-b"}"#)),
    both(r#"x{namespace!="team-a"}"#, Print(r#"x{namespace!="team-a",namespace="team-b"}"#)),
    both(r#"x{namespace!~"team-(a|b)"}"#, Forbidden),
    both(r#"x{namespace!~"team-z"}"#, Print(r#"x{namespace!~"team-z",namespace=~"team-a|team-b"}"#)),

    // A selector of another's namespace anywhere refuses the whole.
    plain(r#"x + y{namespace="team-z"}"#, Forbidden),
    plain(r#"absent(x{namespace="team-z"})"#, Forbidden),
    plain(r#"absent_over_time(x{namespace="team-z"}[5m])"#, Forbidden),
    plain(r#"topk(scalar(y{namespace="team-z"}), x)"#, Forbidden),
    plain(r#"x{namespace="team-z"} offset 1w"#, Forbidden),
    plain(r#"x{namespace="team-z"} @ start()"#, Forbidden),
    plain(r#"max_over_time(x{namespace="team-z"}[5m:1m])"#, Forbidden),
    plain(r#"x * on () group_left (secret) y{namespace="team-z"}"#, Forbidden),
    plain(r#"vector(scalar(x{namespace="team-z"}))"#, Forbidden),

    // Text that looks like more than it is.
    plain(r#"x{pod="\"} or y{pod=\""}"#, Print(r#"x{namespace="team-a",pod="\"} or y{pod=\""}"#)),
    plain(r#"x{pod="\\"}"#, Print(r#"x{namespace="team-a",pod="\\"}"#)),
    plain("x{pod=\"a\"} # } or y{namespace=\"team-z\"}", Print(r#"x{namespace="team-a",pod="a"}"#)),
    plain("x #\r + y", Print(r#"x{namespace="team-a"} + y{namespace="team-a"}"#)),
    plain("x{\"n\u{430}mespace\"=\"team-z\"}", Print("x{\"n\u{430}mespace\"=\"team-z\",namespace=\"team-a\"}")),
    plain(r#"sum by ("a) or secret{b") (x)"#, Print(r#"sum by ("a) or secret{b") (x{namespace="team-a"})"#)),
    plain(r#"x{pod="team-a",namespace=~"team-a",}"#, Print(r#"x{namespace="team-a",namespace=~"team-a",pod="team-a"}"#)),
    plain("x\u{0} or y", Invalid),
    plain("# nothing", Invalid),
    plain("", Invalid),

    // What is refused whoever asks.
    plain(r#"x{gpu="0" or namespace="team-z"}"#, Invalid),
    plain(r#"x{namespace="team-a" or namespace="team-z"}"#, Invalid),
    plain(r#"{__name__="x" or __name__="y"}"#, Invalid),
    plain(r#"x{a=~"a)|(b"}"#, Invalid),
    plain(r#"x{a=~"(?x)a"}"#, Invalid),
    plain("x * ignoring () group_left y", Invalid),
    plain("x @ -5", Invalid),
    plain("x[1e30]", Invalid),
    plain("x[0]", Invalid),
    plain("1e400", Invalid),

    // Functions that select series by themselves.
    plain("info(x)", Function),
    plain(r#"info(x, {__name__="y"})"#, Function),
    plain(r#"sum(label_replace(info(x), "a", "b", "", ""))"#, Function),
    plain("sort_by_label(x, \"pod\")", Print(r#"sort_by_label(x{namespace="team-a"}, "pod")"#)),

    // Labels by metric.
    mapped("DCGM_X", Print(r#"DCGM_X{exported_namespace="team-a"}"#)),
    mapped("DCGM_X * on (pod) y", Print(r#"DCGM_X{exported_namespace="team-a"} * on (pod) y{namespace="team-a"}"#)),
    mapped("topk(scalar(count(DCGM_X)), y)", Print(r#"topk(scalar(count(DCGM_X{exported_namespace="team-a"})), y{namespace="team-a"})"#)),
    mapped(r#"DCGM_X{exported_namespace="team-z"}"#, Forbidden),
    mapped(r#"DCGM_X{namespace="gpus"}"#, Print(r#"DCGM_X{exported_namespace="team-a",namespace="gpus"}"#)),
    mapped(r#"{__name__="DCGM_X"}"#, Print(r#"{__name__="DCGM_X",exported_namespace="team-a"}"#)),
    mapped(r#"{"DCGM_X"}"#, Print(r#"{__name__="DCGM_X",exported_namespace="team-a"}"#)),
    mapped(r#"{__name__="DCGM_X",__name__=~".+"}"#, Print(r#"{__name__="DCGM_X",__name__=~".+",exported_namespace="team-a"}"#)),
    mapped(r#"{__name__=~"DCGM_X|y"}"#, Unnamed),
    mapped(r#"{__name__=~"DCGM_.*"}"#, Unnamed),
    mapped(r#"{__name__!="y",gpu="0"}"#, Unnamed),
    mapped(r#"{gpu="0"}"#, Unnamed),
    mapped(r#"{exported_namespace="team-a"}"#, Unnamed),
    pinned("DCGM_X", Print(r#"DCGM_X{exported_namespace="team-a",namespace="gpus"}"#)),
    pinned(r#"DCGM_X{namespace="gpus"}"#, Print(r#"DCGM_X{exported_namespace="team-a",namespace="gpus"}"#)),
    pinned(r#"DCGM_X{namespace="team-z"}"#, Print(r#"DCGM_X{exported_namespace="team-a",namespace="gpus",namespace="team-z"}"#)),
    pinned("y", Print(r#"y{namespace="team-a"}"#)),
    uniform(r#"{__name__=~"DCGM_.+"}"#, Print(r#"{__name__=~"DCGM_.+",job="x",tenant="team-a"}"#)),
    uniform(r#"{gpu="0"}"#, Print(r#"{gpu="0",job="x",tenant="team-a"}"#)),
    plain(r#"{__name__=~".+"}"#, Print(r#"{__name__=~".+",namespace="team-a"}"#)),
];
