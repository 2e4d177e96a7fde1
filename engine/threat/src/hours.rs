//! What was seen by hour of event time: what forecasts are made from.
//!
//! Each node counts what it judges itself, and only that. A node's count of an hour never falls, so
//! the greater of two that are told of it is the newer one: nodes may learn each other's counts in
//! any order and as often as they like (a grow-only counter: Shapiro et al.: "A comprehensive study
//! of convergent and commutative replicated data types", INRIA 2011, specification 6).

use crate::{EventClass, ThreatClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sources that a node's hour tells apart; what comes from others is counted together, under an
/// empty name. A node has a few busy sources, and nobody plans by the hundredth.
pub const HOUR_SOURCES: usize = 64;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Counted {
    /// Events of a class.
    Events(EventClass),
    /// Events whose verdict is a threat of a class: attacks.
    Attacks(ThreatClass),
    /// Threats of a class that were not known before: what an analyst looks at.
    Threats(ThreatClass),
}

/// What one node counted in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCounts {
    /// Hours since the Unix epoch, of event time.
    pub hour: i64,
    /// The node's id; 0 where there is no cluster.
    pub node: u64,
    /// The node's region; empty where there is no cluster.
    pub region: String,
    /// By source, at most [`HOUR_SOURCES`] of them and the empty one, and what is counted.
    pub counts: BTreeMap<(String, Counted), u64>,
}

impl HourCounts {
    /// Adds to a count.
    pub fn add(&mut self, source: &str, counted: Counted, count: u64) {
        let key = (source.to_owned(), counted);
        let known = self.counts.contains_key(&key) || self.has(source);
        let key = if known || self.sources() < HOUR_SOURCES { key } else { ("".into(), counted) };
        let sum = self.counts.entry(key).or_default();
        *sum = sum.saturating_add(count);
    }

    fn has(&self, source: &str) -> bool {
        self.counts.keys().any(|(name, _)| name == source)
    }

    /// How many sources it tells apart.
    fn sources(&self) -> usize {
        let mut names: Vec<&str> = self.counts.keys().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names.iter().filter(|name| !name.is_empty()).count()
    }

    /// Takes in what is told of the same node and hour: of each count the greater one.
    pub fn merge(&mut self, other: &Self) {
        for (key, count) in &other.counts {
            let known = self.counts.entry(key.clone()).or_default();
            *known = (*known).max(*count);
        }
    }

    /// The sum of all counts: of two tellings of a node's hour the one with the greater is newer.
    pub fn sum(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOWS: Counted = Counted::Events(EventClass::Flow);
    const SCANS: Counted = Counted::Threats(ThreatClass::Scan);

    fn hour(counts: &[(&str, Counted, u64)]) -> HourCounts {
        let mut hour = HourCounts::default();
        for (source, counted, count) in counts {
            hour.add(source, *counted, *count);
        }
        hour
    }

    #[test]
    fn merging_is_a_join() {
        let parts = [
            hour(&[("a", FLOWS, 3)]),
            hour(&[("a", FLOWS, 5), ("a", SCANS, 1)]),
            hour(&[("b", FLOWS, 2), ("a", FLOWS, 4)]),
        ];
        let joined = |order: &[usize]| {
            let mut all = HourCounts::default();
            order.iter().for_each(|at| all.merge(&parts[*at]));
            all
        };
        let all = joined(&[0, 1, 2]);
        assert_eq!(all, hour(&[("a", FLOWS, 5), ("a", SCANS, 1), ("b", FLOWS, 2)]));
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(joined(&order), all);
        }
        assert_eq!(joined(&[0, 1, 2, 1, 0]), all, "as often as one likes");
        assert_eq!(all.sum(), 8);
    }

    #[test]
    fn sources_beyond_the_limit_are_counted_together() {
        let mut hour = HourCounts::default();
        for source in 0..HOUR_SOURCES + 10 {
            hour.add(&format!("{source:03}"), FLOWS, 1);
        }
        hour.add("000", SCANS, 2);
        assert_eq!(hour.counts[&(String::new(), FLOWS)], 10);
        assert_eq!(hour.counts[&("000".into(), SCANS)], 2, "a known one keeps its name");
        assert_eq!(hour.sum(), HOUR_SOURCES as u64 + 12);
    }
}
