//! Each `golden/NAME.input` gives exactly `golden/NAME.expected.json`: events, quarantine and
//! counts. `UPDATE_GOLDEN=1` rewrites the expected files; read the difference before committing
//! it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads its files and fails by panicking"
)]

use intake::{Decoder, Format, Options};
use serde_json::{Value, json};
use std::path::Path;
use threat::SourceId;

fn decode(input: &[u8]) -> Value {
    let options = Options { reference_year: 2026, ..Options::default() };
    let mut decoder = Decoder::new(SourceId(1), options);
    decoder.push(input);
    decoder.finish();
    let mut events = Vec::new();
    while let Some(batch) = decoder.next_batch(true) {
        for event in &batch.events {
            let mut shown = serde_json::to_value(event).unwrap();
            shown["raw"] = String::from_utf8_lossy(batch.raw(event)).len().into();
            events.push(shown);
        }
    }
    let counts = decoder.counts();
    assert!(counts.balanced());
    assert_eq!(counts.bytes, input.len() as u64);
    json!({
        "first_format": Format::sniff(input),
        "counts": counts,
        "quarantine": decoder.quarantine().kept.iter().map(|q| {
            json!({ "line": q.position.line, "offset": q.position.offset, "reason": q.reason })
        }).collect::<Vec<_>>(),
        "events": events,
    })
}

#[test]
fn each_input_gives_its_expected_events() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "input"))
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 12);
    let mut wrong = Vec::new();
    for path in inputs {
        let found = decode(&std::fs::read(&path).unwrap());
        let expected = path.with_extension("expected.json");
        let shown = serde_json::to_string_pretty(&found).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &shown).unwrap();
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if wanted != shown {
            let line = wanted.lines().zip(shown.lines()).position(|(a, b)| a != b);
            wrong.push(format!("{} differs at line {:?}", expected.display(), line.map(|l| l + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
