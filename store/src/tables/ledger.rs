//! `ledger`: (source, end offset) → what became of a batch; `ledger_heads`: source → its sums.
//!
//! Every event has a verdict, and this is the proof: ranges of a source, how many events they held,
//! how many verdicts were threats, and the hash of all verdicts. Old entries are folded into one
//! sum per source, so that the totals stay exact for ever while the file stays small.

use crate::error::check;
use crate::limits::{KEY_BYTES, LEDGER_FOLD, LEDGER_KEPT};
use crate::{Error, Result, record};
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

pub(crate) const TABLE: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("ledger");
pub(crate) const HEADS: TableDefinition<&str, &[u8]> = TableDefinition::new("ledger_heads");
/// Version of both records.
pub const VERSION: u8 = 1;

/// What became of one range of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Run, source and segment, in one name.
    pub source: String,
    /// First byte of the range.
    pub start: u64,
    /// Byte after the range.
    pub end: u64,
    /// Events in it, each with a verdict.
    pub events: u64,
    /// Verdicts that were threats.
    pub threats: u64,
    /// BLAKE3 of the encoded verdicts. Of a folded entry: of the two hashes that it was made of.
    pub verdicts: [u8; 32],
}

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The sum of everything older than `entries`.
    pub folded: Option<LedgerEntry>,
    /// The latest entries one by one, in order.
    pub entries: Vec<LedgerEntry>,
}

impl Ledger {
    /// Events that have a verdict, in all.
    pub fn events(&self) -> u64 {
        self.folded.iter().chain(&self.entries).map(|e| e.events).sum()
    }

    /// Verdicts that were threats, in all.
    pub fn threats(&self) -> u64 {
        self.folded.iter().chain(&self.entries).map(|e| e.threats).sum()
    }

    /// The source's last accounted byte.
    pub fn end(&self) -> u64 {
        self.entries.last().or(self.folded.as_ref()).map_or(0, |e| e.end)
    }
}

/// The sums of a source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Entries kept one by one.
    kept: u64,
    /// Last accounted byte.
    end: u64,
    /// The sum of those that are not kept.
    folded: Option<LedgerEntry>,
}

fn key_bytes(source: &str, end: u64) -> Vec<u8> {
    let mut key = source.as_bytes().to_vec();
    key.extend(end.to_le_bytes());
    key
}

fn head(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    source: &str,
) -> Result<Option<Head>> {
    let Some(stored) = table.get(source)? else { return Ok(None) };
    record::open("ledger_heads", VERSION, source.as_bytes(), stored.value()).map(Some)
}

/// Appends entries; how many lay inside of what is accounted for already and were left out.
pub(crate) fn write(txn: &WriteTransaction, entries: &[LedgerEntry]) -> Result<u64> {
    let mut stale = 0;
    let mut table = txn.open_table(TABLE)?;
    let mut heads = txn.open_table(HEADS)?;
    for e in entries {
        check("the name of a source", e.source.len(), KEY_BYTES)?;
        let mut h = head(&heads, &e.source)?.unwrap_or_default();
        if e.end <= h.end {
            stale += 1;
            continue;
        }
        if e.start < h.end {
            let (start, end, accounted) = (e.start, e.end, h.end);
            return Err(Error::Overlap { name: e.source.clone(), start, end, accounted });
        }
        let sealed = record::seal(VERSION, &key_bytes(&e.source, e.end), e)?;
        table.insert((e.source.as_str(), e.end), sealed.as_slice())?;
        h.kept += 1;
        h.end = e.end;
        if h.kept > LEDGER_KEPT + LEDGER_FOLD {
            fold(&mut table, &e.source, &mut h)?;
        }
        let sealed = record::seal(VERSION, e.source.as_bytes(), &h)?;
        heads.insert(e.source.as_str(), sealed.as_slice())?;
    }
    Ok(stale)
}

/// Folds the oldest entries of a source into its sum.
fn fold(table: &mut Table<(&str, u64), &[u8]>, source: &str, head: &mut Head) -> Result<()> {
    let mut oldest = Vec::new();
    for entry in table.range((source, 0)..=(source, u64::MAX))?.take(LEDGER_FOLD as usize) {
        let (key, stored) = entry?;
        let key = key_bytes(source, key.value().1);
        oldest.push(record::open::<LedgerEntry>("ledger", VERSION, &key, stored.value())?);
    }
    for e in oldest {
        table.remove((source, e.end))?;
        head.kept -= 1;
        head.folded = Some(match head.folded.take() {
            None => e,
            Some(sum) => LedgerEntry {
                source: sum.source,
                start: sum.start,
                end: e.end,
                events: sum.events + e.events,
                threats: sum.threats + e.threats,
                verdicts: *blake3::hash(&[sum.verdicts, e.verdicts].concat()).as_bytes(),
            },
        });
    }
    Ok(())
}

/// The source's last accounted byte; 0 for one that is not known.
pub(crate) fn end(txn: &ReadTransaction, source: &str) -> Result<u64> {
    Ok(head(&txn.open_table(HEADS)?, source)?.map_or(0, |h| h.end))
}

pub(crate) fn of(txn: &ReadTransaction, source: &str) -> Result<Ledger> {
    let folded = head(&txn.open_table(HEADS)?, source)?.and_then(|h| h.folded);
    let mut entries = Vec::new();
    for entry in txn.open_table(TABLE)?.range((source, 0)..=(source, u64::MAX))? {
        let (key, stored) = entry?;
        let key = key_bytes(source, key.value().1);
        entries.push(record::open("ledger", VERSION, &key, stored.value())?);
    }
    Ok(Ledger { folded, entries })
}

pub(crate) fn sources(txn: &ReadTransaction) -> Result<Vec<String>> {
    let table = txn.open_table(HEADS)?;
    table.iter()?.map(|e| Ok(e?.0.value().to_owned())).collect()
}
