//! What a verdict needs to be scored again, as it stands under `unmapped.watchfire.examples`.

use serde::{Deserialize, Serialize};
use threat::{Example, Replay, RuleHit, VerdictSource, Vote};

/// What a verdict needs to be scored again, as it stands in a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Event time in microseconds.
    pub micros: i64,
    /// Class of the event.
    pub class: threat::EventClass,
    /// The source's name.
    pub source: String,
    /// 1-based line in it.
    pub line: u64,
    /// Byte offset in it.
    pub offset: u64,
    /// Who decided.
    pub decided_by: VerdictSource,
    /// The ensemble's score.
    pub score: f32,
    /// The three votes.
    pub votes: [Vote; 3],
    /// The bundle and snapshot, 16 hex digits.
    pub bundle: String,
    /// Hash of the inputs, 16 hex digits.
    pub inputs: String,
    /// Rules that matched.
    pub rules: Vec<RuleHit>,
    /// What the voters saw; category hashes as 16 hex digits each.
    pub replay: StoredReplay,
}

/// [`Replay`] with its 64-bit hashes as hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredReplay {
    /// Numeric features in the schema's order.
    pub numeric: Vec<f32>,
    /// Category hashes in the schema's order, 16 hex digits each.
    pub categories: Vec<String>,
    /// The event's token.
    pub token: u16,
    /// The entity's tokens before it.
    pub history: Vec<u16>,
}

impl From<&Replay> for StoredReplay {
    fn from(r: &Replay) -> Self {
        Self {
            numeric: r.numeric.clone(),
            categories: r.categories.iter().map(|c| hex(*c)).collect(),
            token: r.token,
            history: r.history.clone(),
        }
    }
}

impl StoredReplay {
    /// The inputs as the voters take them; `None` when a hash is not hex.
    pub fn inputs(&self) -> Option<Replay> {
        let categories = self.categories.iter().map(|c| u64::from_str_radix(c, 16).ok());
        Some(Replay {
            numeric: self.numeric.clone(),
            categories: categories.collect::<Option<_>>()?,
            token: self.token,
            history: self.history.clone(),
        })
    }
}

fn hex(n: u64) -> String {
    format!("{n:016x}")
}

impl From<&Example> for Stored {
    fn from(e: &Example) -> Self {
        Self {
            micros: e.time.micros(),
            class: e.class,
            source: e.source.to_string(),
            line: e.position.line,
            offset: e.position.offset,
            decided_by: e.verdict.source,
            score: e.verdict.score,
            votes: e.verdict.votes,
            bundle: hex(e.verdict.bundle),
            inputs: hex(e.verdict.inputs),
            rules: e.verdict.rules.clone(),
            replay: (&e.replay).into(),
        }
    }
}
