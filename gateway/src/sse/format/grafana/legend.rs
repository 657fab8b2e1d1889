//! How a series is called in a legend: as PromQL writes it.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Labels in the order in which they were written.
struct Labels<'a>(Vec<(Text<'a>, Text<'a>)>);

/// A string of JSON, copied only where it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A series in PromQL, from its labels as a JSON object: `up{job="a"}`.
pub(super) fn of(labels: &RawValue) -> Result<String, serde_json::Error> {
    let Labels(labels) = serde_json::from_str(labels.get())?;
    let metric = labels.iter().find(|(name, _)| name.0 == "__name__").map(|(_, value)| &*value.0);
    let mut text = String::new();
    let mut inside = String::new();
    if let Some(metric) = metric {
        if is_plain(metric, ":") {
            text.push_str(metric);
        } else {
            quote(&mut inside, metric);
        }
    }
    for (Text(name), Text(value)) in labels.iter().filter(|(name, _)| name.0 != "__name__") {
        inside.push_str(if inside.is_empty() { "" } else { "," });
        if is_plain(name, "") {
            inside.push_str(name);
        } else {
            quote(&mut inside, name);
        }
        inside.push('=');
        quote(&mut inside, value);
    }
    if !inside.is_empty() || text.is_empty() {
        // Writing to a String cannot fail.
        write!(text, "{{{inside}}}").unwrap_or_default();
    }
    Ok(text)
}

/// Whether a name stands in PromQL without quotes.
fn is_plain(name: &str, also: &str) -> bool {
    let fits = |c: char| c == '_' || c.is_ascii_alphanumeric() || also.contains(c);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(fits)
}

fn quote(text: &mut String, value: &str) {
    text.push('"');
    for part in value.split_inclusive(['"', '\\', '\n']) {
        match part.char_indices().next_back() {
            Some((end, special @ ('"' | '\\' | '\n'))) => {
                text.push_str(part.get(..end).unwrap_or_default());
                text.extend(['\\', if special == '\n' { 'n' } else { special }]);
            }
            _ => text.push_str(part),
        }
    }
    text.push('"');
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Labels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = Vec::new();
                while let Some(label) = map.next_entry()? {
                    labels.push(label);
                }
                Ok(Labels(labels))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
