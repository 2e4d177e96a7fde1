//! Hits: what is known of a rule beforehand, and the fields that matched, bounded.

use rsigma_eval::EvaluationResult;
use rsigma_parser::Level;
use serde_json::Value;
use threat::{RuleHit, Severity, Text};

/// Fields of a hit that are kept: a reader looks at a handful, and a hit is stored with a verdict.
pub const HIT_FIELDS: usize = 12;

/// Characters of a matched value that are kept: enough for a command line's telling part.
pub const HIT_VALUE_CHARS: usize = 200;

/// What every hit of a rule has in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub id: Text,
    pub title: Text,
    pub severity: Severity,
    pub technique: Option<Text>,
}

impl Template {
    /// From a rule's own words; a rule without a level counts as informational (Sigma leaves it
    /// open).
    pub fn new(id: Option<&str>, title: &str, level: Option<Level>, tags: &[String]) -> Self {
        Self {
            id: id.unwrap_or(title).into(),
            title: title.into(),
            severity: match level {
                Some(Level::Critical) => Severity::Critical,
                Some(Level::High) => Severity::High,
                Some(Level::Medium) => Severity::Medium,
                Some(Level::Low) => Severity::Low,
                Some(Level::Informational) | None => Severity::Informational,
            },
            technique: technique(tags),
        }
    }

    /// A hit of this rule.
    pub fn hit(&self, mut fields: Vec<(Text, Text)>, correlation: bool) -> RuleHit {
        fields.truncate(HIT_FIELDS);
        RuleHit {
            id: self.id.clone(),
            title: self.title.clone(),
            severity: self.severity,
            technique: self.technique.clone(),
            fields,
            correlation,
        }
    }
}

/// The first `attack.tNNNN[.NNN]` tag, as `TNNNN[.NNN]`.
fn technique(tags: &[String]) -> Option<Text> {
    tags.iter().find_map(|tag| {
        let id = tag.strip_prefix("attack.t")?;
        id.starts_with(|c: char| c.is_ascii_digit()).then(|| threat::Text::from("T") + id)
    })
}

/// The fields that matched, sorted by name so that equal events give equal hits (the engine walks
/// hash maps), each once.
pub fn matched_fields(result: &EvaluationResult) -> Vec<(Text, Text)> {
    let Some(body) = result.as_detection() else { return Vec::new() };
    let mut fields: Vec<(Text, Text)> = body
        .matched_fields
        .iter()
        .map(|m| (Text::from(m.field.as_str()), shown(&m.value)))
        .collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn shown(value: &Value) -> Text {
    match value {
        Value::String(s) => cut(s),
        Value::Number(n) => match n.as_f64() {
            Some(f) if !n.is_i64() && !n.is_u64() => number(f),
            _ => cut(&n.to_string()),
        },
        other => cut(&other.to_string()),
    }
}

/// At most three decimals, without trailing zeros.
pub fn number(f: f64) -> Text {
    let text = format!("{f:.3}");
    cut(text.trim_end_matches('0').trim_end_matches('.'))
}

/// At most [`HIT_VALUE_CHARS`] characters.
pub fn cut(text: &str) -> Text {
    match text.char_indices().nth(HIT_VALUE_CHARS) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_the_first_numbered_tag() {
        let tags = ["attack.discovery", "cve.2024-1", "attack.t1568.002", "attack.t1046"];
        let tags = tags.map(str::to_owned);
        assert_eq!(technique(&tags).as_deref(), Some("T1568.002"));
        assert_eq!(technique(&["attack.ta0043".to_owned(), "tlp.red".to_owned()]), None);
    }

    #[test]
    fn values_are_short() {
        assert_eq!(number(25.0), "25");
        assert_eq!(number(0.100_000_001_49), "0.1");
        assert_eq!(cut(&"é".repeat(500)).chars().count(), HIT_VALUE_CHARS);
        assert_eq!(shown(&serde_json::json!([1, "a"])), "[1,\"a\"]");
    }
}
