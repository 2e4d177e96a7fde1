//! What accounts usually do, as counts: of each account, of its peers, of all.

use super::columns::{Columns, Kind};
use crate::block::Block;
use serde::{Deserialize, Serialize};

/// Hours of a day; an hour's neighbours count with it, since habits do not end on the hour.
const HOURS: u64 = 24;

/// How often values occurred.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Sum of the counts.
    pub total: u64,
    /// Value and count, ascending by value.
    values: Vec<(u64, u32)>,
}

impl Counts {
    /// Counts values in any order.
    pub fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let counted = values.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32));
        Self { total: values.len() as u64, values: counted.collect() }
    }

    /// How often the value occurred.
    pub fn count(&self, value: u64) -> u64 {
        let at = self.values.binary_search_by_key(&value, |v| v.0);
        at.map_or(0, |at| u64::from(self.values[at].1))
    }

    /// Different values.
    pub fn distinct(&self) -> usize {
        self.values.len()
    }

    /// Values with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.values.iter().copied()
    }

    /// Whether this could have been counted.
    pub fn is_valid(&self) -> bool {
        let sum = self.values.iter().map(|v| u64::from(v.1)).sum::<u64>();
        self.values.is_sorted_by(|a, b| a.0 < b.0)
            && self.values.iter().all(|v| v.1 > 0)
            && sum == self.total
    }
}

/// Counts of everything that is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Rows counted.
    pub rows: u64,
    /// By kind, in the order of the columns.
    pub kinds: Vec<Counts>,
    /// Tokens.
    pub tokens: Counts,
    /// Tokens that another one followed.
    pub before: Counts,
    /// Pairs of a token and the one before it, as [`pair`] numbers them.
    pub pairs: Counts,
}

/// The number of a pair of tokens.
pub fn pair(before: u64, token: u64) -> u64 {
    before << 16 | token
}

/// The token before a row's own, if its history has one.
pub fn before(block: &Block, row: usize) -> Option<u64> {
    block.history[row].as_slice().last().map(|&t| u64::from(t))
}

impl Profile {
    /// Counts the given rows.
    pub fn learn(block: &Block, columns: &Columns, rows: &[usize]) -> Self {
        let kinds = columns.kinds.iter().map(|kind| {
            let values = rows.iter().map(|&r| block.categories[(r, kind.category)]);
            Counts::of(values.filter(|&v| v != 0).flat_map(|v| near(kind.kind, v)).collect())
        });
        let mut profile =
            Self { rows: rows.len() as u64, kinds: kinds.collect(), ..Self::default() };
        if block.schema.tokens > 0 {
            profile.tokens = Counts::of(rows.iter().map(|&r| u64::from(block.token[r])).collect());
            let (mut befores, mut pairs) = (Vec::new(), Vec::new());
            for &row in rows {
                if let Some(last) = before(block, row) {
                    befores.push(last);
                    pairs.push(pair(last, u64::from(block.token[row])));
                }
            }
            profile.before = Counts::of(befores);
            profile.pairs = Counts::of(pairs);
        }
        profile
    }

    /// Whether this is a profile over so many kinds.
    pub fn is_valid(&self, kinds: usize) -> bool {
        let tokens = [&self.tokens, &self.before, &self.pairs];
        self.kinds.len() == kinds && self.kinds.iter().chain(tokens).all(Counts::is_valid)
    }
}

/// The values that one seen value counts for: an hour's neighbours, too.
fn near(kind: Kind, value: u64) -> Vec<u64> {
    match kind {
        Kind::Hour => [HOURS - 1, 0, 1].map(|step| (value - 1 + step) % HOURS + 1).to_vec(),
        Kind::Weekday | Kind::Thing => vec![value],
    }
}
