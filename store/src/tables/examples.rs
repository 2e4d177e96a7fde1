//! `examples`: (threat, number) → a verdict kept as an example, with its reasons and its replay.

use crate::error::check;
use crate::{Result, record};
use redb::{ReadTransaction, TableDefinition, WriteTransaction};
use threat::limits::THREAT_EXAMPLES;
use threat::{Example, ThreatId};

pub(crate) const TABLE: TableDefinition<(u128, u32), &[u8]> = TableDefinition::new("examples");
/// Version of the record.
pub const VERSION: u8 = 1;

fn key_bytes(id: ThreatId, n: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(&id.0.to_le_bytes());
    key[16..].copy_from_slice(&n.to_le_bytes());
    key
}

pub(crate) fn write(txn: &WriteTransaction, examples: &[(ThreatId, u32, Example)]) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    for (id, n, example) in examples {
        check("the number of an example", *n as usize, THREAT_EXAMPLES - 1)?;
        let sealed = record::seal(VERSION, &key_bytes(*id, *n), example)?;
        table.insert((id.0, *n), sealed.as_slice())?;
    }
    Ok(())
}

pub(crate) fn remove(txn: &WriteTransaction, threats: &[ThreatId]) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    for id in threats {
        table.retain_in((id.0, 0)..=(id.0, u32::MAX), |_, _| false)?;
    }
    Ok(())
}

pub(crate) fn of(txn: &ReadTransaction, id: ThreatId) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for entry in txn.open_table(TABLE)?.range((id.0, 0)..=(id.0, u32::MAX))? {
        let (key, stored) = entry?;
        let key = key_bytes(id, key.value().1);
        examples.push(record::open("examples", VERSION, &key, stored.value())?);
    }
    Ok(examples)
}
