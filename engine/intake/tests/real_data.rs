//! Everything real that lies in the shared data folder is read, its counts balance, and only what is
//! truly malformed is set aside. Skips with a word where the folder is absent.

use intake::{Decoder, Format, Options};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
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
