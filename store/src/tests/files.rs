//! Real files: creation, the lock, and kill -9.

use super::*;
use crate::{Error, Store};
use std::io::BufRead;
use std::process::{Command, Stdio};

#[test]
fn a_state_is_created_with_its_folder_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/state.redb");
    let s = Store::open(&path).unwrap();
    s.commit(&one_of_each()).unwrap();
    s.close().unwrap();
    let s = Store::open(&path).unwrap();
    assert_eq!(s.view().unwrap().threat_count().unwrap(), 1);
    assert_eq!(s.incarnation(), 2);
    assert!(!path.with_extension("redb.new").exists());
}

#[test]
fn a_creation_that_was_cut_off_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    // What a power cut in the middle leaves under the temporary name: the magic number is zero.
    std::fs::write(dir.path().join("state.redb.new"), vec![0; 4096]).unwrap();
    assert_eq!(Store::open(&path).unwrap().view().unwrap().threat_count().unwrap(), 0);
}

#[test]
fn what_is_no_state_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    std::fs::write(&path, b"someone's notes, not a database").unwrap();
    assert!(Store::open(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"someone's notes, not a database");
}

#[test]
fn a_second_opener_is_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let first = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::InUse { .. }) && !error.is_fatal(), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains("stop that one"), "{text}");
    drop(first);
    Store::open(&path).unwrap();
}

/// Names the file to the child of the test below.
const CHILD: &str = "STORE_TEST_FILE";

/// The writer that gets killed: prints each acknowledged offset.
#[test]
#[ignore = "run by kill_nine_keeps_position_and_counts_together as a process of its own"]
fn kill_nine_writer() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let s = Store::open(path.as_ref()).unwrap();
    let mut n = position(&s);
    loop {
        n += 1;
        let t = threat(1, n);
        s.commit(&Commit {
            checkpoints: vec![("a".into(), n.to_le_bytes().to_vec())],
            counts: vec![count(t.id, "a", n, n)],
            ledger: vec![entry("a", n - 1, n, 1)],
            threats: vec![t],
            durable: true,
            ..Commit::default()
        })
        .unwrap();
        println!("acknowledged {n}");
    }
}

fn position(s: &Store) -> u64 {
    let bytes = s.view().unwrap().checkpoint("a").unwrap();
    bytes.map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap()))
}

#[test]
fn kill_nine_keeps_position_and_counts_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.redb");
    let mut seen = 0;
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::files::kill_nine_writer", "--ignored", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = |line: std::io::Result<String>| {
            line.unwrap().strip_prefix("acknowledged ").map(|n| n.parse::<u64>().unwrap())
        };
        let upto = seen + 3 + 7 * round;
        let mut last = seen;
        while last < upto {
            last = acknowledged(out.next().expect("the writer runs")).unwrap_or(last);
        }
        // SIGKILL, at whatever point the writer has got to by now.
        child.kill().unwrap();
        child.wait().unwrap();
        // A line may be cut off by the kill.
        let rest = out
            .map_while(Result::ok)
            .filter_map(|l| l.strip_prefix("acknowledged ").and_then(|n| n.parse::<u64>().ok()));
        last = rest.last().unwrap_or(last).min(last + 1_000_000);
        let s = Store::open(&path).unwrap();
        let (v, at) = (s.view().unwrap(), position(&s));
        assert!(at == last || at == last + 1, "acknowledged {last}, found {at}");
        let id = threat(1, 0).id;
        assert_eq!(v.threat(id).unwrap().unwrap().count, at);
        assert_eq!(v.counts(id).unwrap()[0].count, at);
        assert_eq!(v.ledger("a").unwrap().events(), at);
        seen = at;
    }
}

/// p50, p99 and maximum in microseconds of a thousand calls.
fn time(name: &str, mut call: impl FnMut(u64)) {
    let mut micros: Vec<_> = (0..1_000)
        .map(|i| {
            let start = std::time::Instant::now();
            call(i);
            start.elapsed().as_micros()
        })
        .collect();
    micros.sort_unstable();
    println!("{name}: p50 {} us, p99 {} us, max {} us", micros[500], micros[990], micros[999]);
}

/// `cargo test -p store --release commit_latency -- --ignored --nocapture`
///
/// Beside the disk's own sync, measured in the same run.
#[test]
#[ignore = "a measurement"]
fn commit_latency() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let file = std::fs::File::create(dir.path().join("plain")).unwrap();
    file.set_len(4 << 20).unwrap();
    file.sync_all().unwrap();
    time("one page and fdatasync, no store", |i| {
        file.write_all_at(&[i as u8; 4_096], i % 1_000 * 4_096).unwrap();
        file.sync_data().unwrap();
    });
    let s = Store::open(&dir.path().join("state.redb")).unwrap();
    time("a checkpoint, durable", |i| {
        let checkpoints = vec![("source/a".into(), i.to_le_bytes().repeat(25))];
        s.commit(&Commit { checkpoints, durable: true, ..Commit::default() }).unwrap();
    });
    for (name, durable) in [("durable", true), ("not durable", false)] {
        for spread in [64, 4_096] {
            let source = format!("{name} {spread}");
            time(&format!("64 of {spread} threats and a checkpoint, {name}"), |i| {
                let changed = (0..64).map(|n| threat((i as u32 * 64 + n) % spread, i + 1));
                let threats: Vec<_> = changed.collect();
                let c = Commit {
                    checkpoints: vec![("source/a".into(), vec![0; 200])],
                    ledger: vec![entry(&source, i, i + 1, 256)],
                    counts: threats.iter().map(|t| count(t.id, &source, i + 1, i)).collect(),
                    threats,
                    durable,
                    ..Commit::default()
                };
                s.commit(&c).unwrap();
            });
        }
    }
}
