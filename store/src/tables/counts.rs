//! `counts`: (threat, segment of a source) → how many of its verdicts, up to which offset.
//!
//! The higher offset wins and the count belongs to it, so that reading a segment again counts
//! nothing twice. A threat's count is the sum over its segments.

use crate::error::check;
use crate::limits::KEY_BYTES;
use crate::{Result, record};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use threat::ThreatId;

pub(crate) const TABLE: TableDefinition<(u128, &str), &[u8]> = TableDefinition::new("counts");
/// Version of the record.
pub const VERSION: u8 = 1;

/// Verdicts of one segment of a source that were folded into one threat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The threat.
    pub threat: ThreatId,
    /// The segment: a file, or one of the files that a rotated log was made of.
    pub segment: String,
    /// Everything of the segment up to this byte is in `count`.
    pub offset: u64,
    /// Verdicts from the segment's start up to `offset`; a total, not a difference.
    pub count: u64,
}

fn key_bytes(threat: ThreatId, segment: &str) -> Vec<u8> {
    let mut key = threat.0.to_le_bytes().to_vec();
    key.extend_from_slice(segment.as_bytes());
    key
}

/// Writes those that reach further than what is there; how many did not.
pub(crate) fn write(txn: &WriteTransaction, counts: &[Count]) -> Result<u64> {
    let mut stale = 0;
    let mut table = txn.open_table(TABLE)?;
    for c in counts {
        check("the name of a segment", c.segment.len(), KEY_BYTES)?;
        let at = (c.threat.0, c.segment.as_str());
        let key = key_bytes(c.threat, &c.segment);
        let known: Option<(u64, u64)> = match table.get(at)? {
            Some(stored) => Some(record::open("counts", VERSION, &key, stored.value())?),
            None => None,
        };
        if known.is_some_and(|(offset, _)| offset >= c.offset) {
            stale += 1;
            continue;
        }
        let sealed = record::seal(VERSION, &key, &(c.offset, c.count))?;
        table.insert(at, sealed.as_slice())?;
    }
    Ok(stale)
}

/// Forgets a threat's counts.
pub(crate) fn remove(txn: &WriteTransaction, threats: &[ThreatId]) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    for id in threats {
        let segments: Vec<String> = table
            .range((id.0, "")..)?
            .map_while(|e| match e {
                Ok((k, _)) if k.value().0 != id.0 => None,
                Ok((k, _)) => Some(Ok(k.value().1.to_owned())),
                Err(e) => Some(Err(e)),
            })
            .collect::<std::result::Result<_, _>>()?;
        for segment in segments {
            table.remove((id.0, segment.as_str()))?;
        }
    }
    Ok(())
}

/// All counts of a threat, by segment.
pub(crate) fn of(txn: &ReadTransaction, threat: ThreatId) -> Result<Vec<Count>> {
    let mut counts = Vec::new();
    for entry in txn.open_table(TABLE)?.range((threat.0, "")..)? {
        let (key, stored) = entry?;
        let (id, segment) = key.value();
        if id != threat.0 {
            break;
        }
        let (offset, count) =
            record::open("counts", VERSION, &key_bytes(threat, segment), stored.value())?;
        counts.push(Count { threat, segment: segment.to_owned(), offset, count });
    }
    Ok(counts)
}
