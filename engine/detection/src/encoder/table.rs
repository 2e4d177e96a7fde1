//! One category column: how often each value occurred, and a table that gives its surprisal.
//!
//! The table uses open addressing with a fixed mix, so that lookups cost one or two cache lines
//! and equal counts make equal tables. Values are stable hashes; their texts are not here.

use super::ln_from_one;
use serde::{Deserialize, Serialize};

/// Distinct values kept of one category column: the most frequent. Rarer ones encode as unseen,
/// which at this many values differs by little; a column with more of them is an identifier.
pub const CATEGORY_VALUES: usize = 65_536;

/// Added to each value's count (the Jeffreys prior of a category).
const PRIOR: f64 = 0.5;

/// A slot of the table; a surprisal of −1 marks it empty.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    hash: u64,
    surprisal: f32,
}

const EMPTY: Slot = Slot { hash: 0, surprisal: -1.0 };

/// What was learnt about one category column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CategoryCode {
    /// Hash and count of each kept value, ascending by hash.
    counts: Vec<(u64, u64)>,
    /// Distinct values seen, kept or not.
    distinct: u64,
    unseen: f32,
    slots: Vec<Slot>,
}

/// The serialised form.
#[derive(Serialize, Deserialize)]
pub(super) struct Parts {
    counts: Vec<(u64, u64)>,
    distinct: u64,
}

impl CategoryCode {
    pub(super) fn fit(mut values: Vec<u64>) -> Self {
        let rows = values.len() as u64;
        values.sort_unstable();
        let mut counts: Vec<(u64, u64)> =
            values.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)).collect();
        let distinct = counts.len() as u64;
        if counts.len() > CATEGORY_VALUES {
            counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            counts.truncate(CATEGORY_VALUES);
            counts.sort_unstable();
        }
        Self::build(counts, distinct, rows)
    }

    pub(super) fn into_parts(self) -> Parts {
        Parts { counts: self.counts, distinct: self.distinct }
    }

    pub(super) fn from_parts(parts: Parts, rows: u64) -> Result<Self, String> {
        let Parts { counts, distinct } = parts;
        if counts.len() > CATEGORY_VALUES || distinct < counts.len() as u64 {
            return Err(format!("{} category values of {distinct} distinct", counts.len()));
        }
        let sum = counts.iter().try_fold(0u64, |a, c| a.checked_add(c.1));
        if !counts.is_sorted_by(|a, b| a.0 < b.0) || sum.is_none_or(|s| s > rows) {
            return Err("category counts unsorted or above the number of rows".into());
        }
        // A column of identities has no counts.
        Ok(Self::build(counts, distinct, if distinct == 0 { 0 } else { rows }))
    }

    fn build(counts: Vec<(u64, u64)>, distinct: u64, rows: u64) -> Self {
        // V: the distinct values seen, and one for all that were not.
        let total = rows as f64 + PRIOR * (distinct + 1) as f64;
        let surprisal = |count: u64| ln_from_one(total / (count as f64 + PRIOR)) as f32;
        // At most half full, so that probes stay short.
        let mut slots = vec![EMPTY; (counts.len() * 2).next_power_of_two().max(2)];
        let mask = slots.len() - 1;
        for &(hash, count) in &counts {
            let mut at = start(hash) & mask;
            while slots[at].surprisal >= 0.0 {
                at = (at + 1) & mask;
            }
            slots[at] = Slot { hash, surprisal: surprisal(count) };
        }
        Self { counts, distinct, unseen: surprisal(0), slots }
    }

    /// −ln((k + ½)/(n + ½V)) for a value seen k times in n rows.
    #[inline]
    pub(super) fn surprisal(&self, hash: u64) -> f32 {
        let mask = self.slots.len() - 1;
        let mut at = start(hash) & mask;
        loop {
            let slot = self.slots[at & mask];
            if slot.surprisal < 0.0 {
                return self.unseen;
            }
            if slot.hash == hash {
                return slot.surprisal;
            }
            at += 1;
        }
    }

    pub(super) fn count(&self, hash: u64) -> u64 {
        self.counts.binary_search_by_key(&hash, |c| c.0).map_or(0, |i| self.counts[i].1)
    }

    pub(super) fn most_frequent(&self) -> Option<u64> {
        self.counts.iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))).map(|c| c.0)
    }
}

/// Where a hash's probe starts, before the mask: the high bits of a product with 2^64/φ, so that
/// even consecutive numbers spread.
fn start(hash: u64) -> usize {
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}
