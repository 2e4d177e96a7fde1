//! Correlations over several events: one [`Correlator`] a node, fed in the order of the batches.
//!
//! A shard hands over a [`CorrelationInput`] per event that a correlated rule matched: the rules,
//! the event's time and the few fields that those correlations group by or aggregate. It is small,
//! owned and free of the event, so that inputs of all shards meet here and no group is ever split.
//! Sigma's eight kinds work, and correlations of correlations.

use super::correlation_state::{Fired, States};
use super::hit::number;
use super::load::{LoadedCorrelation, correlation_key, rule_key};
use super::set::RuleSet;
use rsigma_eval::EventValue;
use rsigma_parser::CorrelationType;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::entity::hash_bytes;
use threat::{RuleHit, Text, Timestamp};

/// Bytes of a text that is grouped by or counted; longer ones keep their start and a hash of the
/// whole, so that a group's key stays small and different texts stay different.
pub const FIELD_TEXT_BYTES: usize = 128;

/// A value that a correlation reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldValue {
    /// Present without a value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text, at most [`FIELD_TEXT_BYTES`] and a hash.
    Text(Text),
}

impl FieldValue {
    /// The value, if it is a single one.
    pub fn of(value: &EventValue<'_>) -> Option<Self> {
        Some(match value {
            EventValue::Null => Self::Null,
            EventValue::Bool(b) => Self::Bool(*b),
            EventValue::Int(n) => Self::Int(*n),
            EventValue::Float(f) => Self::Float(*f),
            EventValue::Str(s) => Self::Text(bounded(s)),
            EventValue::Array(_) | EventValue::Map(_) => return None,
        })
    }

    fn borrow(&self) -> EventValue<'_> {
        match self {
            Self::Null => EventValue::Null,
            Self::Bool(b) => EventValue::Bool(*b),
            Self::Int(n) => EventValue::Int(*n),
            Self::Float(f) => EventValue::Float(*f),
            Self::Text(t) => EventValue::Str(Cow::Borrowed(t.as_str())),
        }
    }
}

fn bounded(text: &str) -> Text {
    if text.len() <= FIELD_TEXT_BYTES {
        return text.into();
    }
    let start = &text[..text.floor_char_boundary(FIELD_TEXT_BYTES)];
    Text::from(format!("{start}#{:016x}", hash_bytes(text.as_bytes())))
}

/// What correlations need to know of one event; rules and fields by their place in the [`RuleSet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationInput {
    /// Event time.
    pub time: Timestamp,
    /// Rules that matched, ascending.
    pub rules: Vec<u32>,
    /// Fields that their correlations read, as far as the event has them.
    pub fields: Vec<(u32, FieldValue)>,
}

/// Counters and gauges of a [`Correlator`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorrelatorCounts {
    /// Inputs taken.
    pub inputs: u64,
    /// Hits given out.
    pub hits: u64,
    /// Groups held now.
    pub groups: usize,
    /// Window entries held now.
    pub entries: usize,
    /// Groups evicted because there were too many.
    pub evicted_groups: u64,
    /// Oldest entries dropped because a group was full.
    pub dropped_entries: u64,
}

/// The fields of an input, or of a correlation that fired, as an event for the rule engine.
enum Fields<'a> {
    Input(&'a [Box<str>], &'a [(u32, FieldValue)]),
    Fired(&'a [(String, String)]),
}

impl rsigma_eval::Event for Fields<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match self {
            Self::Input(names, fields) => fields
                .iter()
                .find(|(place, _)| names.get(*place as usize).is_some_and(|n| **n == *path))
                .map(|(_, value)| value.borrow()),
            Self::Fired(group) => group
                .iter()
                .find(|(name, _)| name == path)
                .map(|(_, value)| EventValue::Str(Cow::Borrowed(value))),
        }
    }

    fn any_string_value(&self, _: &dyn Fn(&str) -> bool) -> bool {
        false
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        Vec::new()
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

/// The state of all correlations of a node.
#[derive(Debug)]
pub struct Correlator {
    correlations: Arc<[LoadedCorrelation]>,
    names: Arc<[Box<str>]>,
    /// Correlations that count a rule, by the rule's place.
    of_rule: BTreeMap<u32, Vec<u16>>,
    /// Correlations that count a correlation, by its place.
    of_correlation: BTreeMap<u16, Vec<u16>>,
    states: States,
    inputs: u64,
    hits: u64,
}

impl Correlator {
    /// Empty state for the correlations of `set`.
    pub fn new(set: &RuleSet) -> Self {
        let mut of_rule: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        let mut of_correlation: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
        for (place, correlation) in set.correlations.iter().enumerate() {
            for key in &correlation.compiled.rule_refs {
                match (key.strip_prefix('r'), key.strip_prefix('c')) {
                    (Some(rule), _) => {
                        let rule = rule.parse().unwrap_or(u32::MAX);
                        of_rule.entry(rule).or_default().push(place as u16);
                    }
                    (_, Some(lower)) => {
                        let lower = lower.parse().unwrap_or(u16::MAX);
                        of_correlation.entry(lower).or_default().push(place as u16);
                    }
                    _ => {}
                }
            }
        }
        for places in of_rule.values_mut().chain(of_correlation.values_mut()) {
            places.sort_unstable();
            places.dedup();
        }
        let (correlations, names) = (Arc::clone(&set.correlations), Arc::clone(&set.names));
        let states = States::default();
        Self { correlations, names, of_rule, of_correlation, states, inputs: 0, hits: 0 }
    }

    /// Takes the next input; hits of the correlations whose conditions hold with it.
    pub fn feed(&mut self, input: &CorrelationInput) -> Vec<RuleHit> {
        self.inputs += 1;
        let secs = input.time.secs();
        let correlations = Arc::clone(&self.correlations);
        let names = Arc::clone(&self.names);
        let event = Fields::Input(&names, &input.fields);
        let mut fired: Vec<(u16, Fired)> = Vec::new();
        for &rule in &input.rules {
            let Some(places) = self.of_rule.get(&rule) else { continue };
            let key = rule_key(rule as usize);
            for &place in places {
                let correlation = &correlations[usize::from(place)].compiled;
                let answer = self.states.update(place, correlation, &key, &event, secs);
                fired.extend(answer.map(|f| (place, f)));
            }
        }
        // A correlation comes after those that it counts, so that this ends.
        let mut next = 0;
        while let Some((lower, answer)) = fired.get(next) {
            let group = answer.group.clone();
            let key = correlation_key(usize::from(*lower));
            for &place in self.of_correlation.get(lower).map_or(&[][..], Vec::as_slice) {
                let correlation = &correlations[usize::from(place)].compiled;
                let event = Fields::Fired(&group);
                let answer = self.states.update(place, correlation, &key, &event, secs);
                fired.extend(answer.map(|f| (place, f)));
            }
            next += 1;
        }
        let hits: Vec<RuleHit> = fired
            .into_iter()
            .map(|(place, answer)| (&correlations[usize::from(place)], answer))
            .filter(|(correlation, _)| correlation.emits)
            .map(|(correlation, answer)| hit(correlation, answer))
            .collect();
        self.hits += hits.len() as u64;
        hits
    }

    /// Counters and gauges.
    pub fn counts(&self) -> CorrelatorCounts {
        let turned = self.states.turned();
        CorrelatorCounts {
            inputs: self.inputs,
            hits: self.hits,
            groups: self.states.groups(),
            entries: self.states.entries(),
            evicted_groups: turned.groups,
            dropped_entries: turned.entries,
        }
    }
}

fn hit(correlation: &LoadedCorrelation, answer: Fired) -> RuleHit {
    let compiled = &correlation.compiled;
    let kind = match compiled.correlation_type {
        CorrelationType::EventCount => "event_count",
        CorrelationType::ValueCount => "value_count",
        CorrelationType::Temporal => "temporal",
        CorrelationType::TemporalOrdered => "temporal_ordered",
        CorrelationType::ValueSum => "value_sum",
        CorrelationType::ValueAvg => "value_avg",
        CorrelationType::ValuePercentile => "value_percentile",
        CorrelationType::ValueMedian => "value_median",
    };
    let mut fields: Vec<(Text, Text)> =
        answer.group.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    fields.push((kind.into(), number(answer.value)));
    fields.push(("timespan_seconds".into(), number(compiled.timespan_secs as f64)));
    correlation.template.hit(fields, true)
}
