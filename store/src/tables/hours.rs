//! `hours`: (hour of event time, node) → what the node counted in it.
//!
//! Read whole to make forecasts, and by pages to tell other nodes. Of too many the earliest go.

use crate::error::check;
use crate::limits::{HOURS, HOURS_PAGE_BYTES, KEY_BYTES};
use crate::{Result, record};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};
use redb::{Table, WriteTransaction};
use threat::HourCounts;

type Key = (i64, u64);

pub(crate) const TABLE: TableDefinition<Key, &[u8]> = TableDefinition::new("hours");
/// Version of the record.
pub const VERSION: u8 = 1;

fn key_bytes((hour, node): Key) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hour.to_le_bytes());
    bytes[8..].copy_from_slice(&node.to_le_bytes());
    bytes
}

fn opened(key: Key, stored: &[u8]) -> Result<HourCounts> {
    record::open("hours", VERSION, &key_bytes(key), stored)
}

/// Adds to hours, and takes in what was told of others.
pub(crate) fn write(
    txn: &WriteTransaction,
    more: &[HourCounts],
    told: &[HourCounts],
) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    for hour in more {
        change(&mut table, hour, |known| {
            for ((source, counted), count) in &hour.counts {
                known.add(source, *counted, *count);
            }
        })?;
    }
    for hour in told {
        change(&mut table, hour, |known| known.merge(hour))?;
    }
    while table.len()? > HOURS {
        table.pop_first()?;
    }
    Ok(())
}

fn change(
    table: &mut Table<Key, &[u8]>,
    hour: &HourCounts,
    change: impl FnOnce(&mut HourCounts),
) -> Result<()> {
    for (source, _) in hour.counts.keys() {
        check("the name of a source", source.len(), KEY_BYTES)?;
    }
    let key = (hour.hour, hour.node);
    let mut known = match table.get(key)? {
        Some(stored) => opened(key, stored.value())?,
        None => HourCounts { hour: hour.hour, node: hour.node, ..HourCounts::default() },
    };
    known.region.clone_from(&hour.region);
    change(&mut known);
    let sealed = record::seal(VERSION, &key_bytes(key), &known)?;
    table.insert(key, sealed.as_slice())?;
    Ok(())
}

/// Hands out all hours from one on, in order.
pub(crate) fn each(txn: &ReadTransaction, from: i64, mut f: impl FnMut(HourCounts)) -> Result<()> {
    for entry in txn.open_table(TABLE)?.range((from, 0)..)? {
        let (key, stored) = entry?;
        f(opened(key.value(), stored.value())?);
    }
    Ok(())
}

/// The hours that are there after a key, or from it on, each with its sum; at most so many.
pub(crate) fn heads(
    txn: &ReadTransaction,
    after: Option<Key>,
    with: bool,
    most: usize,
) -> Result<Vec<(i64, u64, u64)>> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let from = match after {
        None => Unbounded,
        Some(key) if with => Included(key),
        // redb refuses a range in which nothing can be.
        Some((i64::MAX, u64::MAX)) => return Ok(Vec::new()),
        Some(key) => Excluded(key),
    };
    let mut heads = Vec::new();
    for entry in txn.open_table(TABLE)?.range::<Key>((from, Unbounded))?.take(most) {
        let (key, stored) = entry?;
        let (hour, node) = key.value();
        heads.push((hour, node, opened((hour, node), stored.value())?.sum()));
    }
    Ok(heads)
}

/// Those of the hours that are there, about a page at most.
pub(crate) fn some(txn: &ReadTransaction, keys: &[(i64, u64)]) -> Result<Vec<HourCounts>> {
    let table = txn.open_table(TABLE)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    for key in keys {
        let Some(stored) = table.get(key)? else { continue };
        bytes += stored.value().len();
        if bytes > HOURS_PAGE_BYTES && !found.is_empty() {
            break;
        }
        found.push(opened(*key, stored.value())?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::{Commit, Store};
    use threat::{Counted, EventClass, HourCounts};

    fn hour(hour: i64, node: u64, count: u64) -> HourCounts {
        let mut counts = HourCounts { hour, node, region: "eu".into(), ..HourCounts::default() };
        counts.add("log", Counted::Events(EventClass::Flow), count);
        counts
    }

    #[test]
    fn own_hours_grow_and_told_ones_only_to_what_is_greater() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.redb")).unwrap();
        let own = |count| Commit { hours: vec![hour(7, 1, count)], ..Commit::default() };
        let told = |count| Commit { told_hours: vec![hour(6, 2, count)], ..Commit::default() };
        for commit in [own(3), own(4), told(5), told(2)] {
            store.commit(&commit).unwrap();
        }
        let view = store.view().unwrap();
        let mut all = Vec::new();
        view.each_hour(6, |h| all.push((h.hour, h.node, h.sum()))).unwrap();
        assert_eq!(all, [(6, 2, 5), (7, 1, 7)]);
        let mut late = 0;
        view.each_hour(7, |_| late += 1).unwrap();
        assert_eq!(late, 1);
        let some = view.hours(&[(7, 1), (8, 1)]).unwrap();
        assert_eq!(some, [hour(7, 1, 7)]);
        let heads = |after, with, most| view.hour_heads(after, with, most).unwrap();
        assert_eq!(heads(None, false, 9), [(6, 2, 5), (7, 1, 7)]);
        assert_eq!(heads(None, false, 1), [(6, 2, 5)]);
        assert_eq!(heads(Some((6, 2)), false, 9), [(7, 1, 7)]);
        assert_eq!(heads(Some((7, 1)), true, 9), [(7, 1, 7)]);
        assert_eq!(heads(Some((i64::MAX, u64::MAX)), false, 9), []);
    }
}
