//! A bit that flips on the disk is found: at the next open by the page checksums, while running by
//! the sum of the record.

use super::*;
use crate::sim::SimDisk;
use crate::{Error, Query, Store, tables};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Flips a bit in the middle of every record of a table, behind the store's back.
fn damage<K>(disk: &SimDisk, table: TableDefinition<K, &'static [u8]>)
where
    for<'a> K: redb::Key + redb::Value<SelfType<'a> = K> + 'static,
{
    let db = Database::builder().create_with_backend(disk.backend()).unwrap();
    let records: Vec<(K, Vec<u8>)> = {
        let table = db.begin_read().unwrap().open_table(table).unwrap();
        table
            .iter()
            .unwrap()
            .map(Result::unwrap)
            .map(|(k, v)| (k.value(), v.value().into()))
            .collect()
    };
    assert!(!records.is_empty());
    let txn = db.begin_write().unwrap();
    for (key, mut bytes) in records {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        txn.open_table(table).unwrap().insert(key, bytes.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn a_flipped_bit_in_a_value_is_found_on_read() {
    let disk = SimDisk::new(3);
    let s = Store::with_backend(disk.backend()).unwrap();
    let c = one_of_each();
    let id = c.threats[0].id;
    s.commit(&c).unwrap();
    let hash = s.put_blob(b"weights of a model").unwrap();
    drop(s);
    damage(&disk, tables::threats::TABLE);
    damage(&disk, tables::examples::TABLE);
    damage(&disk, tables::blobs::TABLE);
    damage(&disk, tables::entities::TABLE);
    let s = Store::with_backend(disk.backend()).unwrap();
    let v = s.view().unwrap();
    for error in [
        v.threat(id).unwrap_err(),
        v.threats(&Query::default()).unwrap_err(),
        v.each_threat(|_| ()).unwrap_err(),
        v.examples(id).unwrap_err(),
        v.blob(hash).unwrap_err(),
        v.each_entity(7, |_| ()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Corrupt { .. }) && error.is_fatal(), "{error}");
    }
    // Writing over it reads the old one, and that ends the store.
    assert!(s.commit(&c).unwrap_err().is_fatal());
    assert!(s.flush().unwrap_err().is_fatal());
}

#[test]
fn a_flipped_bit_under_a_running_store_is_found_on_read() {
    let disk = SimDisk::new(4);
    let s = Store::with_backend(disk.backend()).unwrap();
    let secret = b"a checkpoint that stands out".repeat(8);
    let put = |name: &str, bytes: &[u8]| Commit {
        checkpoints: vec![(name.into(), bytes.to_vec())],
        durable: true,
        ..Commit::default()
    };
    s.commit(&put("mine", &secret)).unwrap();
    drop(s);
    // A cache of its own size would hide the disk: open without one.
    let places = disk.find(&secret);
    assert!(!places.is_empty());
    let db = Database::builder().set_cache_size(0).create_with_backend(disk.backend()).unwrap();
    for place in places {
        disk.flip(place + 5, 3);
    }
    let read = db.begin_read().unwrap();
    let error = tables::checkpoints::get(&read, "mine").unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_flipped_bit_in_a_closed_file_is_found_at_open() {
    let disk = SimDisk::new(5);
    let s = Store::with_backend(disk.backend()).unwrap();
    let bytes = b"a checkpoint that stands out".repeat(8);
    s.commit(&Commit {
        checkpoints: vec![("mine".into(), bytes.clone())],
        durable: true,
        ..Commit::default()
    })
    .unwrap();
    drop(s);
    for place in disk.find(&bytes) {
        disk.flip(place + 9, 0);
    }
    let error = Store::with_backend(disk.backend()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
}
