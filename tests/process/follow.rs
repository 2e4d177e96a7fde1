//! kill -9 while a log is followed and rotated: every line is judged once, every finding told once.

use crate::command::{signal, watchfire};
use crate::conn::{Conn, HEADER};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, rename};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use store::Store;

/// Time between two rotations: some happen between a kill and the next start.
const ROTATE_EVERY: Duration = Duration::from_millis(2_300);

/// Starts that may pass without news before the rest counts as lost.
const CATCH_UPS: usize = 6;

/// What was written.
struct Written {
    lines: u64,
    rotations: u64,
}

/// Appends to `conn.log` until told to stop, in uneven pieces, and rotates it as logrotate does.
fn writer(folder: PathBuf, stop: Arc<AtomicBool>) -> Written {
    let path = folder.join("conn.log");
    let create = |path: &Path| {
        let mut file = File::create(path).unwrap();
        file.write_all(HEADER.as_bytes()).unwrap();
        file
    };
    // Two seconds of event time a line: hours pass, and threats are closed.
    let (mut conn, mut file) = (Conn::new(5, 2.0, true), create(&path));
    let (mut lines, mut rotations, mut rotated) = (0, 0, Instant::now());
    while !stop.load(SeqCst) {
        if rotated.elapsed() > ROTATE_EVERY {
            (rotations, rotated) = (rotations + 1, Instant::now());
            for n in (1..rotations).rev() {
                let name = |n| folder.join(format!("conn.log.{n}"));
                rename(name(n), name(n + 1)).unwrap();
            }
            rename(&path, folder.join("conn.log.1")).unwrap();
            file = create(&path);
        }
        let mut text = String::new();
        let piece = 1 + lines % 37;
        (0..piece).for_each(|_| conn.line(&mut text));
        lines += piece;
        // Readers see lines without their ends.
        let (first, rest) = text.split_at(text.len() - (lines % 50) as usize);
        file.write_all(first.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(10));
        file.write_all(rest.as_bytes()).unwrap();
    }
    Written { lines, rotations }
}

fn start(folder: &Path) -> Child {
    let error = File::options().create(true).append(true).open(folder.join("stderr")).unwrap();
    watchfire(folder)
        .args(["detect", "--follow", "--state", "state", "--output", "findings.ndjson"])
        .arg("conn.log")
        .stdout(Stdio::null())
        .stderr(error)
        .spawn()
        .unwrap()
}

/// Waits for an end, and fails when it does not come.
pub fn wait(mut child: Child, limit: Duration) -> Output {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > limit {
            child.kill().unwrap();
            panic!("the process did not end within {limit:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

fn judged(folder: &Path) -> u64 {
    let store = Store::open(&folder.join("state/state.redb")).unwrap();
    let view = store.view().unwrap();
    let sources = view.ledger_sources().unwrap();
    sources.iter().map(|s| view.ledger(s).unwrap().events()).sum()
}

fn killed(kills: u32, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = thread::spawn({
        let (folder, stop) = (at.to_owned(), Arc::clone(&stop));
        move || writer(folder, stop)
    });
    let mut random = threat::entropy::Rng::new(seed);
    let said = || std::fs::read_to_string(at.join("stderr")).unwrap();
    for kill in 0..kills {
        let mut child = start(at);
        thread::sleep(Duration::from_millis(300 + random.below(900) as u64));
        assert!(child.try_wait().unwrap().is_none(), "ended before kill {kill}: {}", said());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    stop.store(true, SeqCst);
    let written = writing.join().unwrap();
    let mut seen = u64::MAX;
    for _ in 0..CATCH_UPS {
        let child = start(at);
        thread::sleep(Duration::from_secs(4));
        signal(&child, "TERM");
        let output = wait(child, Duration::from_secs(20));
        assert!(output.status.success(), "{}", said());
        let now = judged(at);
        if now == seen || now >= written.lines {
            break;
        }
        seen = now;
    }
    check(at, &written);
}

fn check(folder: &Path, written: &Written) {
    let store = Store::open(&folder.join("state/state.redb")).unwrap();
    let view = store.view().unwrap();
    let (mut events, mut threats, mut segments) = (0, 0, 0);
    for source in view.ledger_sources().unwrap() {
        let ledger = view.ledger(&source).unwrap();
        segments += 1;
        let mut end = 0;
        for entry in ledger.folded.iter().chain(&ledger.entries) {
            assert_eq!(entry.start, end, "{source}: a gap or overlap");
            assert!(entry.end > entry.start, "{source}: {entry:?}");
            end = entry.end;
        }
        events += ledger.events();
        threats += ledger.threats();
    }
    assert_eq!(events, written.lines, "lines judged and lines written");
    assert_eq!(segments, written.rotations + 1);
    let mut counted = 0;
    let mut stored = Vec::new();
    view.each_threat(|t| {
        counted += t.count;
        stored.push(t.id.to_string());
    })
    .unwrap();
    assert_eq!(counted, threats, "every threat verdict is in one threat");
    assert!(!stored.is_empty(), "the scans were found");
    let mut told: BTreeMap<(String, String), u32> = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("findings.ndjson")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["finding_info"]["uid"].as_str().unwrap().to_owned();
        *told.entry((id, line["activity_name"].as_str().unwrap().to_owned())).or_default() += 1;
    }
    for id in &stored {
        assert_eq!(told.get(&(id.clone(), "Create".into())), Some(&1), "{id} was told of once");
    }
    for ((id, activity), times) in &told {
        assert!(*times == 1 || activity == "Update", "{id}: {activity} {times} times");
    }
    println!(
        "{events} events, {segments} files, {} threats, {told_n} lines",
        stored.len(),
        told_n = told.len()
    );
}

#[test]
fn ten_kills_lose_nothing_and_count_nothing_twice() {
    killed(10, 1);
}

#[test]
#[ignore = "takes most of a minute"]
fn fifty_kills_lose_nothing_and_count_nothing_twice() {
    killed(50, 2);
}
