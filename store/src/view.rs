//! Reading one consistent state, untouched by commits that come later.

use crate::tables::{
    blobs, bundles, checkpoints, counts, entities, examples, hours, labels, ledger, meta, threats,
};
use crate::{Bundle, Count, EntityState, Ledger, Query, Result};
use redb::ReadTransaction;
use threat::{Example, HourCounts, Label, Threat, ThreatId};

/// The state as of one commit. Every record read is checked; one that is not as written is
/// [`Error::Corrupt`](crate::Error::Corrupt).
pub struct View {
    txn: ReadTransaction,
}

impl View {
    pub(crate) const fn new(txn: ReadTransaction) -> Self {
        Self { txn }
    }

    /// A checkpoint's bytes.
    pub fn checkpoint(&self, name: &str) -> Result<Option<Vec<u8>>> {
        checkpoints::get(&self.txn, name)
    }

    /// The names of checkpoints that begin with `prefix`, sorted.
    pub fn checkpoint_names(&self, prefix: &str) -> Result<Vec<String>> {
        checkpoints::names(&self.txn, prefix)
    }

    /// Hands out what is remembered of a workload's entities, by kind and key.
    pub fn each_entity(&self, workload: u32, f: impl FnMut(EntityState)) -> Result<()> {
        entities::each(&self.txn, workload, f)
    }

    /// Some of that, by kind and key: what comes after an entry and has about so many bytes; and
    /// whether nothing comes after it.
    pub fn entities(
        &self,
        workload: u32,
        after: Option<(u8, u64)>,
        bytes: usize,
    ) -> Result<(Vec<EntityState>, bool)> {
        entities::some(&self.txn, workload, after, bytes)
    }

    /// A threat by its id.
    pub fn threat(&self, id: ThreatId) -> Result<Option<Threat>> {
        threats::get(&self.txn, id)
    }

    /// How many threats there are.
    pub fn threat_count(&self) -> Result<u64> {
        threats::len(&self.txn)
    }

    /// Threats by severity or time, at most [`LIST_THREATS`](crate::limits::LIST_THREATS) at once.
    pub fn threats(&self, query: &Query) -> Result<Vec<Threat>> {
        threats::list(&self.txn, query)
    }

    /// Hands out every threat, by id.
    pub fn each_threat(&self, f: impl FnMut(Threat)) -> Result<()> {
        threats::each(&self.txn, f)
    }

    /// The ids that begin with these hexadecimal digits (as [`ThreatId`] displays them), at most
    /// [`FIND_IDS`](crate::limits::FIND_IDS).
    pub fn find_threats(&self, prefix: &str) -> Result<Vec<ThreatId>> {
        threats::find(&self.txn, prefix)
    }

    /// The examples of a threat, by number.
    pub fn examples(&self, id: ThreatId) -> Result<Vec<Example>> {
        examples::of(&self.txn, id)
    }

    /// All labels, by finding.
    pub fn labels(&self) -> Result<Vec<Label>> {
        labels::all(&self.txn)
    }

    /// The counts of a threat, by segment; their sum is what it was seen in all.
    pub fn counts(&self, id: ThreatId) -> Result<Vec<Count>> {
        counts::of(&self.txn, id)
    }

    /// Hands out what was seen by hour and node from one hour on, in order.
    pub fn each_hour(&self, from: i64, f: impl FnMut(HourCounts)) -> Result<()> {
        hours::each(&self.txn, from, f)
    }

    /// The hours of nodes that are there after one of them (or, `with` it, from it on), each with
    /// the sum of its counts; at most `most`.
    pub fn hour_heads(
        &self,
        after: Option<(i64, u64)>,
        with: bool,
        most: usize,
    ) -> Result<Vec<(i64, u64, u64)>> {
        hours::heads(&self.txn, after, with, most)
    }

    /// Of these hours of nodes those that are there, about
    /// [`HOURS_PAGE_BYTES`](crate::limits::HOURS_PAGE_BYTES) at most.
    pub fn hours(&self, of: &[(i64, u64)]) -> Result<Vec<HourCounts>> {
        hours::some(&self.txn, of)
    }

    /// What became of a source's events.
    pub fn ledger(&self, source: &str) -> Result<Ledger> {
        ledger::of(&self.txn, source)
    }

    /// The sources that the ledger knows, sorted.
    pub fn ledger_sources(&self) -> Result<Vec<String>> {
        ledger::sources(&self.txn)
    }

    /// Up to which byte a source's ledger goes; 0 for one that is not known.
    pub fn ledger_end(&self, source: &str) -> Result<u64> {
        ledger::end(&self.txn, source)
    }

    /// A blob by its BLAKE3, which is checked again.
    pub fn blob(&self, hash: [u8; 32]) -> Result<Option<Vec<u8>>> {
        blobs::get(&self.txn, hash)
    }

    /// A bundle by its version.
    pub fn bundle(&self, version: u64) -> Result<Option<Bundle>> {
        bundles::get(&self.txn, version)
    }

    /// The bundle with the greatest version.
    pub fn latest_bundle(&self) -> Result<Option<Bundle>> {
        bundles::latest(&self.txn)
    }

    /// All bundles, oldest first.
    pub fn bundles(&self) -> Result<Vec<Bundle>> {
        bundles::all(&self.txn)
    }

    /// The schema of the file.
    pub fn schema(&self) -> Result<u64> {
        meta::need(&self.txn.open_table(meta::TABLE)?, meta::SCHEMA)
    }
}
