//! The bytes of every kind of record stand in `tests/golden/records.txt`: a change of a noun that
//! changes them needs a new version byte and a migration, and this test says so.

use super::*;
use crate::record::seal;
use crate::sim::SimDisk;
use crate::tables::{bundles, counts, examples, labels, ledger, threats};
use crate::{Bundle, Store};
use threat::Disposition::{self, FalsePositive, TruePositive};
use threat::Label;

const GOLDEN: &str = include_str!("../../tests/golden/records.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn label(of: &Threat, disposition: Disposition) -> Label {
    Label {
        finding: of.id,
        class: of.class,
        disposition,
        given: Timestamp::from_micros(7),
        examples: vec![example()],
    }
}

#[test]
fn records_have_not_changed_under_their_version() {
    let bundle =
        Bundle { version: 4, hash: [7; 32], metadata: "{}".into(), created: Timestamp::default() };
    let records = [
        ("threat", seal(threats::VERSION, b"k", &threat(4, 3)).unwrap()),
        ("example", seal(examples::VERSION, b"k", &example()).unwrap()),
        ("count", seal(counts::VERSION, b"k", &(10u64, 3u64)).unwrap()),
        ("ledger", seal(ledger::VERSION, b"k", &entry("run1/a", 0, 10, 2)).unwrap()),
        ("bundle", seal(bundles::VERSION, b"k", &bundle).unwrap()),
        ("label", seal(labels::VERSION, b"k", &label(&threat(4, 3), FalsePositive)).unwrap()),
    ];
    let now: String = records.iter().map(|(n, b)| format!("{n} {}\n", hex(b))).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.txt");
        std::fs::write(path, &now).unwrap();
    } else {
        assert_eq!(now, GOLDEN, "raise the record's version, add a migration, UPDATE_GOLDEN=1");
    }
}

#[test]
fn labels_are_kept_changed_and_taken_back_and_outlive_their_finding() {
    let disk = SimDisk::new(3);
    let store = Store::with_backend(disk.backend()).unwrap();
    let threats = [threat(1, 5), threat(2, 5)];
    store.commit(&Commit { threats: threats.to_vec(), ..Commit::default() }).unwrap();
    let labels = || store.view().unwrap().labels().unwrap();
    let [first, second] = &threats;
    store.put_label(&label(first, TruePositive)).unwrap();
    store.put_label(&label(second, FalsePositive)).unwrap();
    store.put_label(&label(first, FalsePositive)).unwrap();
    assert_eq!(labels().len(), 2);
    store.commit(&Commit { forget_threats: vec![first.id], ..Commit::default() }).unwrap();
    assert!(store.remove_label(second.id).unwrap());
    assert!(!store.remove_label(second.id).unwrap());
    assert_eq!(labels(), [label(first, FalsePositive)]);
}
