//! Bringing an older file to this build's schema, in one transaction: a power cut leaves it as it
//! was or done.
//!
//! To change a table: append a [`Step`] that rewrites its records. Steps are never edited or
//! removed.

use crate::tables::{self, meta};
use crate::{Error, Result};
use redb::{Database, WriteTransaction};

/// Brings a file from one schema to the next.
pub type Step = fn(&WriteTransaction) -> Result<()>;

/// The tables of a file, and how older files become such.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The schema of a file that no step has touched.
    pub first: u32,
    /// Step `i` brings schema `first + i` to the one after it.
    pub steps: &'static [Step],
    /// Creates every table that is not there, so that reads of an empty file find them.
    pub create: Step,
}

impl Schema {
    pub(crate) fn create(&self, txn: &WriteTransaction) -> Result<()> {
        txn.open_table(meta::TABLE)?;
        (self.create)(txn)
    }
}

/// The schema of [`Store`](crate::Store).
pub(crate) const SCHEMA: Schema = Schema { first: 1, steps: &[], create: tables::create };

/// Creates the tables of a new file, or brings an older one up; then counts one opening more.
/// Returns the incarnation.
pub(crate) fn migrate(db: &Database, schema: &Schema) -> Result<u64> {
    let Schema { first, steps, .. } = *schema;
    let known = first + steps.len() as u32;
    let mut txn = db.begin_write()?;
    txn.set_two_phase_commit(true);
    let found = meta::get(&txn.open_table(meta::TABLE)?, meta::SCHEMA)?;
    let found = found.map_or(Ok(known), |v| {
        u32::try_from(v).map_err(|_| Error::Newer { found: u32::MAX, known })
    })?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    let done = found
        .checked_sub(first)
        .ok_or_else(|| Error::Corrupt { what: format!("schema {found} was never written") })?;
    for step in steps.iter().skip(done as usize) {
        step(&txn)?;
    }
    schema.create(&txn)?;
    let incarnation = {
        let mut table = txn.open_table(meta::TABLE)?;
        let next = meta::get(&table, meta::INCARNATION)?.unwrap_or(0) + 1;
        meta::put(&mut table, meta::SCHEMA, u64::from(known))?;
        meta::put(&mut table, meta::INCARNATION, next)?;
        next
    };
    txn.commit()?;
    Ok(incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimDisk;
    use crate::{record, tables::checkpoints};
    use redb::{ReadableDatabase, ReadableTable};

    /// Schema 0 of this test: checkpoints as bare bytes, without version and sum.
    fn bare(db: &Database) {
        let txn = db.begin_write().unwrap();
        {
            let mut t = txn.open_table(checkpoints::TABLE).unwrap();
            t.insert("a", b"one".as_slice()).unwrap();
            t.insert("b", b"two".as_slice()).unwrap();
            meta::put(&mut txn.open_table(meta::TABLE).unwrap(), meta::SCHEMA, 0).unwrap();
        }
        txn.commit().unwrap();
    }

    fn rewrite(txn: &WriteTransaction, f: impl Fn(&str, &[u8]) -> (String, Vec<u8>)) -> Result<()> {
        let mut table = txn.open_table(checkpoints::TABLE)?;
        let mut old = Vec::new();
        for entry in table.iter()? {
            let (k, v) = entry?;
            old.push((k.value().to_owned(), f(k.value(), v.value())));
        }
        for (name, (new, bytes)) in old {
            table.remove(name.as_str())?;
            table.insert(new.as_str(), bytes.as_slice())?;
        }
        Ok(())
    }

    /// 0 → 1: seals the records.
    fn seal(txn: &WriteTransaction) -> Result<()> {
        rewrite(txn, |k, v| (k.to_owned(), record::seal_bytes(1, k.as_bytes(), v)))
    }

    /// 1 → 2: names begin with the kind of their owner.
    fn rename(txn: &WriteTransaction) -> Result<()> {
        rewrite(txn, |k, v| {
            let value = record::open_bytes("checkpoints", 1, k.as_bytes(), v).unwrap();
            let name = format!("source/{k}");
            let sealed = record::seal_bytes(1, name.as_bytes(), value);
            (name, sealed)
        })
    }

    const fn of(steps: &'static [Step]) -> Schema {
        Schema { first: 0, steps, create: tables::create }
    }

    fn names(db: &Database) -> Vec<String> {
        checkpoints::names(&db.begin_read().unwrap(), "").unwrap()
    }

    #[test]
    fn a_file_of_schema_0_goes_through_1_to_2_once() {
        let disk = SimDisk::new(1);
        let db = Database::builder().create_with_backend(disk.backend()).unwrap();
        bare(&db);
        assert_eq!(migrate(&db, &of(&[seal])).unwrap(), 1);
        assert_eq!(names(&db), ["a", "b"]);
        assert_eq!(migrate(&db, &of(&[seal, rename])).unwrap(), 2);
        assert_eq!(migrate(&db, &of(&[seal, rename])).unwrap(), 3);
        assert_eq!(names(&db), ["source/a", "source/b"]);
        let read = db.begin_read().unwrap();
        assert_eq!(checkpoints::get(&read, "source/b").unwrap().unwrap(), b"two");
        let newer = migrate(&db, &of(&[seal])).unwrap_err();
        assert!(matches!(newer, Error::Newer { found: 2, known: 1 }), "{newer}");
    }

    #[test]
    fn a_power_cut_leaves_the_old_schema_or_the_new_one() {
        let (mut old, mut new) = (0, 0);
        for seed in 0..60 {
            let disk = SimDisk::new(seed);
            let db = Database::builder().create_with_backend(disk.backend()).unwrap();
            bare(&db);
            disk.cut_after(seed % 30);
            let _ = migrate(&db, &of(&[seal, rename]));
            disk.power_cut();
            drop(db);
            let db = Database::builder().create_with_backend(disk.backend()).unwrap();
            if names(&db) == ["a", "b"] {
                old += 1;
                let read = db.begin_read().unwrap();
                let table = read.open_table(checkpoints::TABLE).unwrap();
                assert_eq!(table.get("a").unwrap().unwrap().value(), b"one");
            } else {
                new += 1;
                assert_eq!(names(&db), ["source/a", "source/b"], "seed {seed}");
            }
            migrate(&db, &of(&[seal, rename])).unwrap();
            assert_eq!(names(&db), ["source/a", "source/b"]);
        }
        assert!(old > 0 && new > 0, "the cuts must hit both sides: {old} old, {new} new");
    }
}
