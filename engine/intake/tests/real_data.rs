//! Everything real that lies in the shared data folder is read, its counts balance, and only what
//! is truly malformed is set aside. Skips with a word where the folder is absent.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads its files and fails by panicking"
)]

use intake::{Decoder, Format, Options, emit};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use threat::event::{Body, Outcome};
use threat::{Event, EventClass, SourceId};

fn root() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !root.is_dir() {
        println!("skipped: no shared data here");
        return None;
    }
    Some(root)
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, into);
        } else if !path.ends_with("LICENSE") && path.extension().is_none_or(|e| e != "md") {
            into.push(path);
        }
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|e| e != "gz") {
        return raw;
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(raw.as_slice()).read_to_end(&mut plain).unwrap();
    plain
}

fn decode(bytes: &[u8]) -> (Decoder, Vec<Event>) {
    let mut decoder =
        Decoder::new(SourceId(1), Options { reference_year: 2005, ..Options::default() });
    let mut events = Vec::new();
    for chunk in bytes.chunks(65_536) {
        decoder.push(chunk);
        while let Some(batch) = decoder.next_batch(false) {
            events.extend(batch.events);
        }
    }
    decoder.finish();
    while let Some(batch) = decoder.next_batch(true) {
        events.extend(batch.events);
    }
    (decoder, events)
}

/// Records known to be malformed, by file name, with a part of their reason.
const MALFORMED: [(&str, u64, &str); 5] = [
    // two ports 93145, the second in a line that is cut as well
    ("truncated/conn_json.log", 1, "port 93145"),
    ("truncated/conn_json.log", 1, "not JSON"),
    // each is cut in its last line, one of them has lost its header too
    ("truncated/conn.log", 1, "9 columns where the header names 21"),
    ("truncated/conn_top.log", 1, "Zeek row of 9 columns"),
    // a row that lacks the value of a column in the middle
    ("has_unknown_field/http.log", 1, "29 columns where the header names 30"),
];

#[test]
fn captures_and_logs_are_read_and_only_malformed_records_are_set_aside() {
    let Some(root) = root() else { return };
    let mut all = Vec::new();
    for folder in ["zeek", "zeek-json", "suricata", "sshd", "iot-23"] {
        files(&root.join(folder), &mut all);
    }
    let mut classes: BTreeMap<EventClass, u64> = BTreeMap::new();
    for path in all {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let input = bytes(&path);
        let (decoder, events) = decode(&input);
        let counts = decoder.counts();
        assert!(counts.balanced(), "{name}: {counts:?}");
        assert_eq!(counts.bytes, input.len() as u64, "{name}");
        assert_eq!(counts.events, events.len() as u64, "{name}");
        println!(
            "{name}: {:?} {} events, {} set aside, coverage {:.2}",
            decoder.format(),
            counts.events,
            counts.quarantined,
            decoder.coverage().share()
        );
        for q in decoder.quarantine().kept.iter().take(5) {
            println!("  line {}: {} | {:.80}", q.position.line, q.reason, q.excerpt);
        }
        let expected: Vec<_> =
            MALFORMED.iter().filter(|m| path.ends_with(m.0)).map(|m| (m.1, m.2)).collect();
        let total: u64 = expected.iter().map(|e| e.0).sum();
        assert_eq!(counts.quarantined, total, "{name}");
        for (n, reason) in expected {
            let reasons = decoder.quarantine().reasons();
            let found: u64 = reasons.iter().filter(|r| r.0.contains(reason)).map(|r| r.1).sum();
            assert_eq!(found, n, "{name}: {reason}");
        }
        // what is written as OCSF is read back equal: a sample, since there are many
        for event in events.iter().step_by(41) {
            let (_, mut back) = decode(emit(event).to_string().as_bytes());
            assert_eq!(back.len(), 1, "{name}: {event:?}");
            back[0].position = event.position;
            back[0].raw = event.raw;
            assert_eq!(&back[0], event, "{name}");
        }
        for e in events {
            *classes.entry(e.class()).or_default() += 1;
        }
    }
    println!("{classes:?}");
    assert!(classes[&EventClass::Flow] > 20_000);
    assert!(classes[&EventClass::Authentication] > 10_000);
}

#[test]
fn regression_events_of_windows_are_documents_with_plain_field_names() {
    let Some(root) = root() else { return };
    let mut all = Vec::new();
    files(&root.join("sigma/regression"), &mut all);
    let mut read = 0;
    for path in all.iter().filter(|p| p.extension().is_some_and(|e| e == "json")) {
        let (decoder, events) = decode(&bytes(path));
        let reasons = decoder.quarantine().reasons();
        assert_eq!(decoder.counts().quarantined, 0, "{}: {reasons:?}", path.display());
        assert_eq!(decoder.format(), Some(Format::Windows), "{}", path.display());
        for event in events {
            assert_eq!(event.origin.product, "windows");
            assert!(event.extra("EventID").is_some());
            assert!(!event.extra.iter().any(|(n, _)| n.contains('.') || n.contains('#')));
            read += 1;
        }
    }
    println!("{read} events in {} files", all.len());
    assert!(read >= 105);
}

#[test]
fn logins_of_real_syslog_are_found_as_often_as_their_words_stand_there() {
    let Some(root) = root() else { return };
    let path = root.join("sshd/OpenSSH_2k.log");
    let text = String::from_utf8_lossy(&bytes(&path)).into_owned();
    let lines = |word: &str| text.lines().filter(|l| l.contains(word)).count();
    let (_, events) = decode(text.as_bytes());
    let told: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::Authentication(a) => Some((e, a)),
            _ => None,
        })
        .collect();
    let method =
        |name: &str| told.iter().filter(|(_, a)| a.method.as_deref() == Some(name)).count();
    assert_eq!(method("password"), lines("Failed password") + lines("Accepted password"));
    assert_eq!(method("none"), lines("Failed none"));
    let success = told.iter().filter(|(_, a)| a.outcome == Outcome::Success).count();
    assert_eq!(
        success,
        lines("Accepted password") + lines("session opened") + lines("session closed")
    );
    let others = lines("authentication failure") + lines("Invalid user")
        - lines("Too many authentication failures");
    assert_eq!(told.len(), success + lines("Failed password") + lines("Failed none") + others);
    // every failure but none has an address, and every generic record of a peer as well
    assert!(told.iter().all(|(e, a)| a.outcome == Outcome::Success || e.src.is_some()));
    let disconnects = events.iter().filter(|e| e.class() == EventClass::Generic && e.src.is_some());
    assert!(disconnects.count() >= lines("Received disconnect"));
    let attempts: u32 = told.iter().map(|(_, a)| a.attempts).sum();
    assert!(attempts as usize > told.len());
}
