//! `entities`: (workload, kind, key) → one entry of what detection remembers of entities, with the
//! checkpoint that it is of. The newest of each entry is kept, in whatever order they come.

use crate::error::check;
use crate::limits::ENTITY_BYTES;
use crate::{Error, Result, record};
use redb::{ReadTransaction, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

type Key = (u32, u8, u64);

pub(crate) const TABLE: TableDefinition<Key, &[u8]> = TableDefinition::new("entities");
/// Version of the record.
pub const VERSION: u8 = 1;

/// One entry of a workload's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityState {
    /// The workload.
    pub workload: u32,
    /// Which of detection's tables it belongs to.
    pub kind: u8,
    /// Its key there.
    pub key: u64,
    /// Under which epoch its workload was owned when it was taken.
    pub epoch: u64,
    /// The number of the checkpoint within the epoch.
    pub sequence: u64,
    /// Whose state it is.
    pub owner: u64,
    /// The state, as detection writes it.
    pub bytes: Vec<u8>,
}

impl EntityState {
    /// Which checkpoint it is of; a greater one is newer.
    pub const fn stamp(&self) -> (u64, u64) {
        (self.epoch, self.sequence)
    }

    const fn key(&self) -> Key {
        (self.workload, self.kind, self.key)
    }
}

fn key_bytes((workload, kind, key): Key) -> [u8; 13] {
    let mut bytes = [0; 13];
    bytes[..4].copy_from_slice(&workload.to_le_bytes());
    bytes[4] = kind;
    bytes[5..].copy_from_slice(&key.to_le_bytes());
    bytes
}

pub(crate) fn write(
    txn: &WriteTransaction,
    put: &[EntityState],
    remove: &[(u32, u8, u64)],
) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    for key in remove {
        table.remove(key)?;
    }
    let mut value = Vec::new();
    for state in put {
        check("the state of an entity", state.bytes.len(), ENTITY_BYTES)?;
        value.clear();
        for number in [state.epoch, state.sequence, state.owner] {
            value.extend(number.to_le_bytes());
        }
        value.extend(&state.bytes);
        let sealed = record::seal_bytes(VERSION, &key_bytes(state.key()), &value);
        let before = match table.insert(state.key(), sealed.as_slice())? {
            Some(old) if opened(state.key(), old.value())?.stamp() > state.stamp() => {
                Some(old.value().to_vec())
            }
            _ => None,
        };
        if let Some(newer) = before {
            table.insert(state.key(), newer.as_slice())?;
        }
    }
    Ok(())
}

fn opened(key: Key, stored: &[u8]) -> Result<EntityState> {
    let mut rest = record::open_bytes("entities", VERSION, &key_bytes(key), stored)?;
    let mut number = || {
        let short = || Error::Corrupt { what: "a record of entities is too short".into() };
        let (number, behind) = rest.split_first_chunk().ok_or_else(short)?;
        rest = behind;
        Ok::<u64, Error>(u64::from_le_bytes(*number))
    };
    let (epoch, sequence, owner) = (number()?, number()?, number()?);
    let (workload, kind, key) = key;
    Ok(EntityState { workload, kind, key, epoch, sequence, owner, bytes: rest.to_vec() })
}

/// Hands out the state of a workload, by kind and key.
pub(crate) fn each(
    txn: &ReadTransaction,
    workload: u32,
    mut f: impl FnMut(EntityState),
) -> Result<()> {
    let range = (workload, 0, 0)..=(workload, u8::MAX, u64::MAX);
    for entry in txn.open_table(TABLE)?.range(range)? {
        let (key, stored) = entry?;
        f(opened(key.value(), stored.value())?);
    }
    Ok(())
}

/// Some of the state of a workload, after an entry by kind and key, of about so many bytes; and
/// whether nothing comes after it.
pub(crate) fn some(
    txn: &ReadTransaction,
    workload: u32,
    after: Option<(u8, u64)>,
    bytes: usize,
) -> Result<(Vec<EntityState>, bool)> {
    use std::ops::Bound::{Excluded, Included};
    let from =
        after.map_or(Included((workload, 0, 0)), |(kind, key)| Excluded((workload, kind, key)));
    let to = Included((workload, u8::MAX, u64::MAX));
    let (mut states, mut taken) = (Vec::new(), 0);
    // redb refuses a range in which nothing can be.
    if from == Excluded((workload, u8::MAX, u64::MAX)) {
        return Ok((states, true));
    }
    for entry in txn.open_table(TABLE)?.range::<Key>((from, to))? {
        if taken >= bytes {
            return Ok((states, false));
        }
        let (key, stored) = entry?;
        let state = opened(key.value(), stored.value())?;
        taken += size_of::<EntityState>() + state.bytes.len();
        states.push(state);
    }
    Ok((states, true))
}
