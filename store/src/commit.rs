//! The one write path: everything that a batch changed, in one transaction.

use crate::tables::{checkpoints, counts, entities, examples, hours, ledger, threats};
use crate::{Count, EntityState, LedgerEntry, Result};
use redb::WriteTransaction;
use threat::{Example, HourCounts, Threat, ThreatId};

/// Everything that one batch, or several, changed. All of it is stored, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Positions of sources and states of actors, by name.
    pub checkpoints: Vec<(String, Vec<u8>)>,
    /// Checkpoints that are no longer needed; removed before `checkpoints` are put.
    pub forget_checkpoints: Vec<String>,
    /// What became of each batch, in the order of each source.
    pub ledger: Vec<LedgerEntry>,
    /// Threats that changed, whole.
    pub threats: Vec<Threat>,
    /// Counts of those threats per segment; one that reaches less far than the stored one is left
    /// out.
    pub counts: Vec<Count>,
    /// Examples by threat and number (below [`THREAT_EXAMPLES`](threat::limits::THREAT_EXAMPLES)).
    pub examples: Vec<(ThreatId, u32, Example)>,
    /// Threats to forget, with their counts and examples; done before the others are put.
    pub forget_threats: Vec<ThreatId>,
    /// What is remembered of entities, in the place of what was.
    pub entities: Vec<EntityState>,
    /// Entries of it to forget, by workload, kind and key; removed before `entities` are put.
    pub forget_entities: Vec<(u32, u8, u64)>,
    /// What was seen by hour, to be added to what is there.
    pub hours: Vec<HourCounts>,
    /// What nodes told of their hours: of each count the greater one is kept.
    pub told_hours: Vec<HourCounts>,
    /// Synced to the disk before [`Store::commit`](crate::Store::commit) returns. Otherwise a crash
    /// may lose it together with every later one, never a part of it.
    pub durable: bool,
}

/// What a commit left out, since a replay must count nothing twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Counts that reach no further than the stored ones.
    pub stale_counts: u64,
    /// Ledger entries inside of what is accounted for already.
    pub stale_ledger: u64,
}

/// Writes everything but the end of the transaction.
pub(crate) fn apply(txn: &WriteTransaction, c: &Commit) -> Result<Committed> {
    if !c.forget_threats.is_empty() {
        threats::remove(txn, &c.forget_threats)?;
        counts::remove(txn, &c.forget_threats)?;
        examples::remove(txn, &c.forget_threats)?;
    }
    if !(c.checkpoints.is_empty() && c.forget_checkpoints.is_empty()) {
        checkpoints::write(txn, &c.checkpoints, &c.forget_checkpoints)?;
    }
    if !(c.entities.is_empty() && c.forget_entities.is_empty()) {
        entities::write(txn, &c.entities, &c.forget_entities)?;
    }
    if !(c.hours.is_empty() && c.told_hours.is_empty()) {
        hours::write(txn, &c.hours, &c.told_hours)?;
    }
    let mut done = Committed::default();
    if !c.ledger.is_empty() {
        done.stale_ledger = ledger::write(txn, &c.ledger)?;
    }
    if !c.threats.is_empty() {
        threats::write(txn, &c.threats)?;
    }
    if !c.counts.is_empty() {
        done.stale_counts = counts::write(txn, &c.counts)?;
    }
    if !c.examples.is_empty() {
        examples::write(txn, &c.examples)?;
    }
    Ok(done)
}
