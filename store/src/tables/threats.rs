//! `threats`: id → the whole threat; `threats_index`: (severity, last seen, id), for listing.
//!
//! One index serves both orders: the gravest first is the index read backwards, the latest first is
//! a merge of its five severities.

use crate::limits::{FIND_IDS, LIST_THREATS};
use crate::{Error, Result, record};
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction,
};
use std::ops::Bound;
use threat::{Severity, Threat, ThreatId, Timestamp};

pub(crate) const TABLE: TableDefinition<u128, &[u8]> = TableDefinition::new("threats");
pub(crate) const INDEX: TableDefinition<(u8, i64, u128), ()> =
    TableDefinition::new("threats_index");
/// Version of the record.
pub const VERSION: u8 = 1;

/// Where a threat stands in the index: hand the last one of a list in as [`Query::after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreatKey {
    /// Its severity.
    pub severity: Severity,
    /// Event time of its last verdict.
    pub last_seen: Timestamp,
    /// Its identity.
    pub id: ThreatId,
}

impl From<&Threat> for ThreatKey {
    fn from(t: &Threat) -> Self {
        Self { severity: t.severity, last_seen: t.last_seen, id: t.id }
    }
}

impl ThreatKey {
    const fn raw(self) -> (u8, i64, u128) {
        (self.severity.id(), self.last_seen.micros(), self.id.0)
    }
}

/// In which order to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Gravest first; of equal severity the last seen first.
    #[default]
    Severest,
    /// Last seen first; of equal time the gravest first.
    Latest,
}

/// Which threats to list.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// In which order.
    pub order: Order,
    /// Only of this severity or more.
    pub severity: Severity,
    /// Only with a verdict at this event time or later.
    pub since: Option<Timestamp>,
    /// Go on after this one of an earlier list in the same order.
    pub after: Option<ThreatKey>,
    /// At most so many, and never over [`LIST_THREATS`].
    pub limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            order: Order::Severest,
            severity: Severity::Informational,
            since: None,
            after: None,
            limit: LIST_THREATS,
        }
    }
}

fn decode(id: u128, stored: &[u8]) -> Result<Threat> {
    record::open("threats", VERSION, &id.to_le_bytes(), stored)
}

pub(crate) fn write(txn: &WriteTransaction, threats: &[Threat]) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    let mut index = txn.open_table(INDEX)?;
    for t in threats {
        let key = t.id.0;
        let sealed = record::seal(VERSION, &key.to_le_bytes(), t)?;
        let before = match table.insert(key, sealed.as_slice())? {
            Some(old) => Some(ThreatKey::from(&decode(key, old.value())?)),
            None => None,
        };
        let now = ThreatKey::from(t);
        if before == Some(now) {
            continue;
        }
        if let Some(before) = before {
            index.remove(before.raw())?;
        }
        index.insert(now.raw(), ())?;
    }
    Ok(())
}

pub(crate) fn remove(txn: &WriteTransaction, threats: &[ThreatId]) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    let mut index = txn.open_table(INDEX)?;
    for id in threats {
        let key = match table.remove(id.0)? {
            Some(old) => ThreatKey::from(&decode(id.0, old.value())?),
            None => continue,
        };
        index.remove(key.raw())?;
    }
    Ok(())
}

pub(crate) fn get(txn: &ReadTransaction, id: ThreatId) -> Result<Option<Threat>> {
    txn.open_table(TABLE)?.get(id.0)?.map(|stored| decode(id.0, stored.value())).transpose()
}

pub(crate) fn len(txn: &ReadTransaction) -> Result<u64> {
    Ok(txn.open_table(TABLE)?.len()?)
}

/// Hands out every threat by id, without holding them all.
pub(crate) fn each(txn: &ReadTransaction, mut f: impl FnMut(Threat)) -> Result<()> {
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, stored) = entry?;
        f(decode(key.value(), stored.value())?);
    }
    Ok(())
}

type Key = (u8, i64, u128);

/// The part of one severity's index that the query wants; `None` when there is none.
fn part(q: &Query, severity: Severity) -> Option<(Bound<Key>, Bound<Key>)> {
    let s = severity.id();
    let low = (s, q.since.map_or(i64::MIN, Timestamp::micros), 0);
    let whole = Bound::Included((s, i64::MAX, u128::MAX));
    let high = match (q.after, q.order) {
        (None, _) => whole,
        (Some(after), _) if severity == after.severity => Bound::Excluded(after.raw()),
        (Some(after), Order::Severest) if severity > after.severity => return None,
        (Some(_), Order::Severest) => whole,
        // Of equal time the gravest is first, so graver ones of that time have been listed.
        (Some(after), Order::Latest) if severity > after.severity => {
            Bound::Excluded((s, after.last_seen.micros(), 0))
        }
        (Some(after), Order::Latest) => Bound::Included((s, after.last_seen.micros(), u128::MAX)),
    };
    // redb refuses a range that ends before it starts.
    let (Bound::Included(end) | Bound::Excluded(end)) = high else { return None };
    (low <= end).then_some((Bound::Included(low), high))
}

pub(crate) fn list(txn: &ReadTransaction, q: &Query) -> Result<Vec<Threat>> {
    let (table, index) = (txn.open_table(TABLE)?, txn.open_table(INDEX)?);
    let mut ranges = Vec::new();
    for severity in Severity::ALL.into_iter().rev().filter(|&s| s >= q.severity) {
        if let Some(bounds) = part(q, severity) {
            let keys = index.range(bounds)?.rev();
            ranges.push(keys.map(|e| e.map(|(k, _)| k.value())).peekable());
        }
    }
    let mut found = Vec::new();
    while found.len() < q.limit.min(LIST_THREATS) {
        // The first range that has anything is the gravest; the latest is the greatest time.
        let mut best: Option<(usize, i64)> = None;
        for (i, range) in ranges.iter_mut().enumerate() {
            let time = match range.peek() {
                Some(Ok(key)) => key.1,
                // Let the error out below.
                Some(Err(_)) => i64::MAX,
                None => continue,
            };
            if best.is_none_or(|(_, t)| q.order == Order::Latest && time > t) {
                best = Some((i, time));
            }
        }
        let Some(key) = best.and_then(|(i, _)| ranges[i].next()) else { break };
        let key = key?;
        let alone = || Error::Corrupt {
            what: format!("the index of threats and {} disagree", ThreatId(key.2)),
        };
        let t = decode(key.2, table.get(key.2)?.ok_or_else(alone)?.value())?;
        if ThreatKey::from(&t).raw() != key {
            return Err(alone());
        }
        found.push(t);
    }
    Ok(found)
}

/// Ids that begin with these hexadecimal digits, at most [`FIND_IDS`]; none for what is not
/// hexadecimal.
pub(crate) fn find(txn: &ReadTransaction, prefix: &str) -> Result<Vec<ThreatId>> {
    let digits = prefix.len();
    let plain = prefix.bytes().all(|b| b.is_ascii_hexdigit());
    let (Ok(value), true) = (u128::from_str_radix(prefix, 16), plain && (1..=32).contains(&digits))
    else {
        return Ok(Vec::new());
    };
    let free = 4 * (32 - digits as u32);
    let low = value << free;
    let high = low | 1u128.checked_shl(free).map_or(0, |b| b - 1);
    let table = txn.open_table(TABLE)?;
    table.range(low..=high)?.take(FIND_IDS).map(|e| Ok(ThreatId(e?.0.value()))).collect()
}
