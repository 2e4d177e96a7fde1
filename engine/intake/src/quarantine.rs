//! Records set aside: the first of them with place, reason and beginning, the rest as a number.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::Text;
use threat::event::Position;
use threat::limits::{QUARANTINE_EXCERPT, QUARANTINE_KEPT};

/// A record that became no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Where it stood.
    pub position: Position,
    /// What is wrong with it, for a person.
    pub reason: Text,
    /// Its beginning, up to [`QUARANTINE_EXCERPT`] bytes, with replacement characters.
    pub excerpt: Text,
}

/// The quarantine of one source, since the decoder was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The first [`QUARANTINE_KEPT`] records, in their order.
    pub kept: Vec<Quarantined>,
    /// Further ones, which are only counted.
    pub turned_away: u64,
}

impl Quarantine {
    pub(crate) fn add(&mut self, position: Position, reason: &Error, record: &[u8]) {
        if self.kept.len() >= QUARANTINE_KEPT {
            self.turned_away += 1;
            return;
        }
        let excerpt = &record[..record.len().min(QUARANTINE_EXCERPT)];
        self.kept.push(Quarantined {
            position,
            reason: Text::from(reason.to_string()),
            excerpt: Text::from(String::from_utf8_lossy(excerpt)),
        });
    }

    /// How many kept records each reason has.
    pub fn reasons(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for q in &self.kept {
            *counts.entry(q.reason.as_str()).or_insert(0) += 1;
        }
        counts
    }
}
