//! Laws of intake: no bytes panic, counts always balance, chunking changes nothing, a checkpoint
//! continues exactly, and what `emit` writes is read back to the same event.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads its files and fails by panicking"
)]

mod events;

use events::event;
use intake::{Checkpoint, Decoder, Format, Options, emit};
use proptest::prelude::*;
use std::path::Path;
use threat::event::{Position, RawRef};
use threat::{Event, EventBatch, IntakeCounts, SourceId, codec};

/// All golden inputs, one after the other: every format, valid and broken.
fn corpus() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let inputs = paths.iter().filter(|p| p.extension().is_some_and(|e| e == "input"));
    inputs.flat_map(|p| [std::fs::read(p).unwrap(), b"\n".to_vec()].concat()).collect()
}

fn options() -> Options {
    Options { reference_year: 2026, batch_events: 7, max_record_bytes: 2_000, ..Options::default() }
}

fn shown(batches: &[EventBatch]) -> String {
    format!("{batches:?}")
}

/// Decodes chunks of the lengths given, over and over; no batch is flushed before the end.
fn run(mut decoder: Decoder, mut input: &[u8], lengths: &[usize]) -> (Vec<EventBatch>, Decoder) {
    let mut batches = Vec::new();
    for length in lengths.iter().cycle() {
        let (chunk, rest) = input.split_at((*length).clamp(1, input.len().max(1)).min(input.len()));
        decoder.push(chunk);
        while let Some(batch) = decoder.next_batch(false) {
            batches.push(batch);
        }
        assert!(decoder.counts().balanced());
        input = rest;
        if input.is_empty() {
            break;
        }
    }
    decoder.finish();
    while let Some(batch) = decoder.next_batch(true) {
        batches.push(batch);
    }
    (batches, decoder)
}

fn fresh() -> Decoder {
    Decoder::new(SourceId(3), options())
}

fn account(decoder: &Decoder, length: usize) -> IntakeCounts {
    let counts = decoder.counts();
    assert!(counts.balanced());
    assert_eq!(counts.bytes, length as u64);
    assert_eq!(counts.quarantined, {
        let q = decoder.quarantine();
        q.kept.len() as u64 + q.turned_away
    });
    counts
}

/// Reads one emitted event back.
fn back(event: &Event) -> Event {
    let line = emit(event).to_string();
    let mut decoder = Decoder::new(SourceId(0), Options::default());
    decoder.push(line.as_bytes());
    decoder.finish();
    let batch = decoder.next_batch(true).unwrap();
    assert_eq!(decoder.format(), Some(Format::Ocsf), "{line}");
    let read = batch.events.into_iter().next();
    read.unwrap_or_else(|| panic!("{line}: {:?}", decoder.quarantine()))
}

fn without_place(mut event: Event) -> Event {
    event.position = Position::default();
    event.raw = RawRef::default();
    event
}

/// Where, which byte, and whether it replaces, is added or goes away.
fn edit() -> impl Strategy<Value = (prop::sample::Index, u8, u8)> {
    (any::<prop::sample::Index>(), any::<u8>(), 0u8..3)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(input: Vec<u8>, lengths in proptest::collection::vec(1usize..50, 1..8)) {
        let (_, decoder) = run(fresh(), &input, &lengths);
        account(&decoder, input.len());
    }

    #[test]
    fn chunking_changes_nothing_even_of_damaged_records(
        edits in proptest::collection::vec(edit(), 0..40),
        lengths in proptest::collection::vec(1usize..700, 1..8),
    ) {
        let mut input = corpus();
        for (at, byte, kind) in edits {
            let at = at.index(input.len());
            match kind {
                0 => input[at] = byte,
                1 => input.insert(at, byte),
                _ => { input.remove(at); }
            }
        }
        let (whole, first) = run(fresh(), &input, &[input.len()]);
        let (pieces, second) = run(fresh(), &input, &lengths);
        prop_assert_eq!(account(&first, input.len()), account(&second, input.len()));
        prop_assert_eq!(first.quarantine(), second.quarantine());
        prop_assert_eq!(shown(&whole), shown(&pieces));
        for batch in &whole {
            for event in &batch.events {
                prop_assert_eq!(without_place(back(event)), without_place(event.clone()));
            }
        }
    }

    #[test]
    fn an_emitted_event_is_read_back_equal(event in event()) {
        prop_assert_eq!(without_place(back(&event)), event);
    }
}

#[test]
fn a_checkpoint_continues_exactly_at_every_batch_end() {
    let input = corpus();
    let (all, _) = run(fresh(), &input, &[1_000]);
    assert!(all.len() > 8);
    let mut decoder = fresh();
    let mut marks: Vec<Checkpoint> = Vec::new();
    for chunk in input.chunks(1_000) {
        decoder.push(chunk);
        while let Some(batch) = decoder.next_batch(false) {
            let mark = decoder.checkpoint().clone();
            assert_eq!(mark.offset, batch.end_offset);
            assert_eq!(mark.counts, batch.counts);
            marks.push(mark);
        }
    }
    for (done, mark) in marks.iter().enumerate() {
        let bytes = codec::encode(1, mark).unwrap();
        let mark: Checkpoint = codec::decode(1, &bytes).unwrap();
        assert_eq!(&mark, &marks[done]);
        let json = serde_json::to_string(&mark).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&json).unwrap(), mark);
        let rest = &input[mark.offset as usize..];
        let (batches, resumed) = run(Decoder::resume(options(), &mark), rest, &[333]);
        assert_eq!(shown(&batches), shown(&all[done + 1..]), "after batch {done}");
        assert!(resumed.counts().balanced());
        assert_eq!(resumed.counts().bytes, input.len() as u64);
    }
}

#[test]
fn events_of_all_golden_inputs_survive_emit_and_parse() {
    let (batches, _) = run(fresh(), &corpus(), &[4_096]);
    for event in batches.into_iter().flat_map(|b| b.events) {
        assert_eq!(without_place(back(&event)), without_place(event));
    }
}

#[test]
fn a_source_that_breaks_off_says_so() {
    let mut decoder = fresh();
    decoder.push(b"{\"time\":1767600000,\"a\":1}\n{\"time\":17676");
    decoder.abort("gzip stream ends early");
    let batch = decoder.next_batch(true).unwrap();
    assert_eq!((batch.events.len(), batch.counts.quarantined), (1, 1));
    let q = &decoder.quarantine().kept[0];
    assert_eq!((q.position.offset, q.position.line), (26, 2));
    assert_eq!(q.reason, "source broke off: gzip stream ends early");
    assert!(decoder.next_batch(true).is_none());
    let mut empty = fresh();
    empty.push(b"{\"time\":1767600000}\n");
    empty.abort("gone");
    assert_eq!(empty.next_batch(true).unwrap().counts.quarantined, 1);
}

#[test]
fn a_flush_reports_progress_without_events() {
    let mut decoder = fresh();
    decoder.push(b"# nothing\n\ngarbage\n");
    assert!(decoder.next_batch(false).is_none());
    let batch = decoder.next_batch(true).unwrap();
    assert!(batch.events.is_empty());
    assert_eq!((batch.end_offset, batch.counts.comments, batch.counts.quarantined), (19, 2, 1));
    assert!(decoder.next_batch(true).is_none());
}

#[test]
fn a_long_record_is_set_aside_and_the_next_is_read() {
    let mut decoder = fresh();
    for _ in 0..100 {
        decoder.push(&[b'x'; 1_000]);
        assert!(decoder.next_batch(true).is_none());
    }
    decoder.push(b"\n{\"time\":1767600000}\n");
    let batch = decoder.next_batch(true).unwrap();
    assert_eq!((batch.events.len(), batch.counts.quarantined, batch.end_offset), (1, 1, 100_021));
    assert_eq!(batch.events[0].position.offset, 100_001);
    assert_eq!(decoder.quarantine().kept[0].excerpt.len(), 200);
}

#[test]
fn one_record_gives_one_event_as_table_and_as_json() {
    let names =
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto duration orig_bytes conn_state";
    let types = "time string addr port addr port enum interval count string";
    let row = "1767600000.123456 C1 10.1.0.5 50 ::1 443 tcp 0.25 9 RSTO";
    let table = format!("#separator \\x09\n#path conn\n#fields {names}\n#types {types}\n{row}\n")
        .replace(' ', "\t")
        .replace("#separator\t", "#separator ");
    let quoted = |name: &str, cell: &str| match cell.parse::<f64>() {
        Ok(_) => format!("\"{name}\":{cell}"),
        Err(_) => format!("\"{name}\":\"{cell}\""),
    };
    let members: Vec<String> =
        names.split(' ').zip(row.split(' ')).map(|(n, c)| quoted(n, c)).collect();
    let json = format!("{{{}}}", members.join(","));
    let one = |input: &str| {
        let (batches, _) = run(fresh(), input.as_bytes(), &[100]);
        without_place(batches[0].events[0].clone())
    };
    assert_eq!(one(&table), one(&json));
}

#[test]
fn a_format_asked_for_is_not_left() {
    let options = Options { format: Some(Format::Ndjson), ..options() };
    let decoder = Decoder::new(SourceId(0), options);
    let (batches, decoder) = run(decoder, b"{\"time\":1767600000}\nJan  5 08:00:00 h p: m\n", &[9]);
    assert_eq!((batches[0].events.len(), decoder.counts().quarantined), (1, 1));
}

#[test]
fn content_tells_the_format() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.name()), Some(format));
    }
    assert_eq!(Format::sniff(b"# hello\n\n#separator \\x09\n"), Some(Format::ZeekTsv));
    assert_eq!(Format::sniff(b"{\n  \"time\": 1767600000\n}\n"), Some(Format::Ndjson));
    assert_eq!(Format::sniff(b"ts,a,b\n1,2,3\n"), Some(Format::Csv));
    assert_eq!(Format::sniff(b"a,b,c\n1,2,3\n"), None);
    assert_eq!(Format::sniff(b"\x1f\x8b\x08\x00"), None);
}

#[test]
fn a_record_of_very_many_members_is_set_aside() {
    let members: Vec<String> = (0..5_000).map(|i| format!("\"k{i}\":1")).collect();
    let line = format!("{{\"time\":1767600000,{}}}\n", members.join(","));
    let mut decoder = Decoder::new(SourceId(0), Options::default());
    decoder.push(line.as_bytes());
    decoder.next_batch(true);
    assert_eq!(decoder.quarantine().kept[0].reason, "more than 4096 members");
}

#[test]
fn a_broken_record_of_another_format_is_called_what_it_is() {
    let reasons = |input: &str| {
        let (_, decoder) = run(fresh(), input.as_bytes(), &[50]);
        let kept = &decoder.quarantine().kept;
        kept.iter().map(|q| q.reason.to_string()).collect::<Vec<_>>()
    };
    let login = "Jan  5 08:00:00 h p: m\n";
    let found = reasons(&format!("{login}{{\"ts\":1,\n{login}"));
    assert!(found.len() == 1 && found[0].starts_with("not JSON"), "{found:?}");
    let port = "{\"ts\":1,\"id.orig_h\":\"10.1.0.5\",\"id.orig_p\":70000}\n";
    assert_eq!(reasons(&format!("{login}{port}{login}")), ["port 70000 is over 65535"]);
    assert_eq!(reasons(&format!("{login}what is this\n")), ["not a syslog line: no time"]);
}
