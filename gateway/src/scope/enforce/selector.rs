//! One selector: which of the caller's namespaces it may mean, and the matchers that say so.

use promql_parser::label::{METRIC_NAME, MatchOp, Matcher};
use promql_parser::parser::VectorSelector;
use promql_parser::parser::token::{T_EQL_REGEX, T_NEQ_REGEX};

use super::Refusal;
use crate::auth::sight::{Namespace, Namespaces};
use crate::scope::labels::{Labels, Rule, Share};

/// What is put before each selector of one query.
pub(super) struct Wall<'a> {
    names: &'a Namespaces,
    labels: &'a Labels,
    /// Bytes that may still be added.
    room: usize,
    /// Lists of namespaces made so far: most selectors of a query have the same, and compiling one is work.
    made: Vec<Matcher>,
}

impl<'a> Wall<'a> {
    pub(super) fn new(names: &'a Namespaces, labels: &'a Labels, room: usize) -> Self {
        Self { names, labels, room, made: Vec::new() }
    }

    /// Adds matchers; takes none away. Namespaces that the selector's own matchers on the label leave out are left out
    /// of the added one too, so that a query for a namespace that is not the caller's is refused and not just empty.
    pub(super) fn restrict(&mut self, selector: &mut VectorSelector) -> Result<(), Refusal> {
        let rule = rule(selector, self.labels)?;
        self.restrict_by(rule, selector)
    }

    /// Divides a selector into one for each share of the metrics, where it does not say which metric it means. Together they
    /// select what is the caller's of all that it selects. Shares that can have nothing of that are left out.
    pub(super) fn divide(&mut self, selector: &VectorSelector) -> Result<Vec<VectorSelector>, Refusal> {
        match rule(selector, self.labels) {
            Ok(rule) => {
                let mut whole = selector.clone();
                return self.restrict_by(rule, &mut whole).map(|()| vec![whole]);
            }
            Err(Refusal::UnnamedMetric) => {}
            Err(refusal) => return Err(refusal),
        }
        let mut parts = Vec::new();
        for share in self.labels.shares().iter().filter(|share| is_possible(selector, share.rule)) {
            let mut part = selector.clone();
            for matcher in names(share)? {
                self.room = self.room.checked_sub(matcher.value.len()).ok_or(Refusal::Long)?;
                part.matchers.matchers.push(matcher);
            }
            match self.restrict_by(share.rule, &mut part) {
                Ok(()) => parts.push(part),
                Err(Refusal::Forbidden) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        if parts.is_empty() { Err(Refusal::Forbidden) } else { Ok(parts) }
    }

    fn restrict_by(&mut self, rule: &Rule, selector: &mut VectorSelector) -> Result<(), Refusal> {
        let own = &selector.matchers.matchers;
        let passes = |name: &&Namespace| {
            own.iter().filter(|matcher| matcher.name == rule.label()).all(|matcher| admits(matcher, name))
        };
        let allowed: Vec<&str> = self.names.iter().filter(passes).map(Namespace::as_str).collect();
        let mut added = vec![self.is_one_of(rule.label(), &allowed)?];
        added.extend(rule.pins().map(|(label, value)| equal(label, value)));
        // What is said already is not said twice: that would make another text, and another topic, of the same query.
        added.retain(|matcher| !selector.matchers.matchers.contains(matcher));
        let bytes: usize = added.iter().map(|matcher| matcher.name.len() + matcher.value.len()).sum();
        self.room = self.room.checked_sub(bytes).ok_or(Refusal::Long)?;
        selector.matchers.matchers.append(&mut added);
        Ok(())
    }

    /// The names are RFC 1123 labels and mean themselves in a regular expression.
    fn is_one_of(&mut self, label: &str, names: &[&str]) -> Result<Matcher, Refusal> {
        match names {
            [] => Err(Refusal::Forbidden),
            [name] => Ok(equal(label, name)),
            names => {
                let value = names.join("|");
                if value.len() > self.room {
                    return Err(Refusal::Long);
                }
                if let Some(made) = self.made.iter().find(|made| made.name == label && made.value == value) {
                    return Ok(made.clone());
                }
                let matcher = Matcher::new_matcher(T_EQL_REGEX, label.to_owned(), value)
                    .map_err(|_| Refusal::Unknown)?;
                self.made.push(matcher.clone());
                Ok(matcher)
            }
        }
    }
}

/// Whether its matchers, all together, hold for nobody's series but those of `names`.
pub(super) fn is_restricted(selector: &VectorSelector, names: &Namespaces, labels: &Labels) -> bool {
    rule(selector, labels).is_ok_and(|rule| is_restricted_by(rule, selector, names))
}

/// Whether it is restricted, or is the part for one share of the metrics and restricted as that share has to be.
pub(super) fn is_part(selector: &VectorSelector, names: &Namespaces, labels: &Labels) -> bool {
    let all = &selector.matchers.matchers;
    let is_of = |share: &Share<'_>| {
        let told = |name: &Option<String>, is: fn(&MatchOp) -> bool| {
            let says = |value: &str| {
                all.iter()
                    .any(|matcher| matcher.name == METRIC_NAME && is(&matcher.op) && matcher.value == value)
            };
            name.as_deref().is_none_or(says)
        };
        told(&share.metrics, |op| matches!(op, MatchOp::Re(_)))
            && told(&share.others, |op| matches!(op, MatchOp::NotRe(_)))
            && is_restricted_by(share.rule, selector, names)
    };
    match rule(selector, labels) {
        Ok(rule) => is_restricted_by(rule, selector, names),
        Err(Refusal::UnnamedMetric) => labels.shares().iter().any(is_of),
        Err(_) => false,
    }
}

fn is_restricted_by(rule: &Rule, selector: &VectorSelector, names: &Namespaces) -> bool {
    let all = &selector.matchers.matchers;
    let pinned = rule.pins().all(|(label, value)| all.contains(&equal(label, value)));
    let is_ours = |name: &str| name.parse::<Namespace>().is_ok_and(|name| names.contains(&name));
    let walled = all.iter().filter(|matcher| matcher.name == rule.label()).any(|matcher| match matcher.op {
        MatchOp::Equal => is_ours(&matcher.value),
        MatchOp::Re(_) => matcher.value.split('|').all(is_ours),
        MatchOp::NotEqual | MatchOp::NotRe(_) => false,
    });
    pinned && walled
}

/// The rule for the metric that is selected. A series has all that a selector demands, so one demand that the name be a
/// certain one is enough to know it.
fn rule<'a>(selector: &VectorSelector, labels: &'a Labels) -> Result<&'a Rule, Refusal> {
    if !selector.matchers.or_matchers.is_empty() {
        return Err(Refusal::Unknown);
    }
    let demanded = |matcher: &&Matcher| matcher.name == METRIC_NAME && matches!(matcher.op, MatchOp::Equal);
    let named = selector.matchers.matchers.iter().find(demanded).map(|matcher| matcher.value.as_str());
    match selector.name.as_deref().or(named) {
        Some(metric) => labels.of(metric),
        None => labels.of_all(),
    }
    .ok_or(Refusal::UnnamedMetric)
}

/// What the name of a metric must be, and must not be, to be of a share.
fn names(share: &Share<'_>) -> Result<Vec<Matcher>, Refusal> {
    let of = |op, value: &Option<String>| {
        let matcher = |value: &String| Matcher::new_matcher(op, METRIC_NAME.to_owned(), value.clone());
        value.as_ref().map(matcher)
    };
    let both = [of(T_EQL_REGEX, &share.metrics), of(T_NEQ_REGEX, &share.others)];
    both.into_iter().flatten().collect::<Result<_, _>>().map_err(|_| Refusal::Unknown)
}

/// Whether a selector can have anything that a rule's pins let pass. So a caller who asks for a namespace that is not theirs is
/// refused, and is not told in another way that they see nothing of it.
fn is_possible(selector: &VectorSelector, rule: &Rule) -> bool {
    let own = &selector.matchers.matchers;
    rule.pins().all(|(label, value)| {
        own.iter().filter(|matcher| matcher.name == label).all(|matcher| matcher.is_match(value))
    })
}

/// Whether a matcher lets a namespace pass, as Prometheus would judge: a regular expression must match all of the name.
/// The parser compiles it as `^(?:…)$`, and Prometheus as `^(?s:…)$`; these differ for texts with a line break alone,
/// and a namespace has none.
fn admits(matcher: &Matcher, name: &Namespace) -> bool {
    matcher.is_match(name.as_str())
}

fn equal(label: &str, value: &str) -> Matcher {
    Matcher::new(MatchOp::Equal, label, value)
}
