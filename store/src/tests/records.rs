//! The bytes of every kind of record stand in `tests/golden/records.txt`: a change of a noun that
//! changes them needs a new version byte and a migration, and this test says so.

use super::*;
use crate::Bundle;
use crate::record::seal;
use crate::tables::{bundles, counts, examples, ledger, threats};

const GOLDEN: &str = include_str!("../../tests/golden/records.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
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
    ];
    let now: String = records.iter().map(|(n, b)| format!("{n} {}\n", hex(b))).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.txt");
        std::fs::write(path, &now).unwrap();
    } else {
        assert_eq!(now, GOLDEN, "raise the record's version, add a migration, UPDATE_GOLDEN=1");
    }
}
