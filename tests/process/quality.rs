//! A feed that goes bad in its middle is told of; the same feed left alone is not.

use crate::command::watchfire;
use serde_json::Value;
use std::path::Path;

/// A generated `conn.log`: its header and its records.
fn conn(folder: &Path) -> (Vec<String>, Vec<String>) {
    let arguments = ["generate", "--out", "made", "--hours", "3", "--format", "zeek-tsv"];
    assert!(watchfire(folder).args(arguments).output().unwrap().status.success());
    let text = std::fs::read_to_string(folder.join("made/conn.log")).unwrap();
    let lines = text.lines().map(ToOwned::to_owned);
    lines.filter(|l| !l.starts_with("#close")).partition(|l| l.starts_with('#'))
}

/// What is told of the source after `corrupt` went over the fields of the second half.
fn told(
    folder: &Path,
    (header, records): &(Vec<String>, Vec<String>),
    mut corrupt: impl FnMut(&dyn Fn(&str) -> usize, usize, &mut Vec<String>),
) -> Vec<Value> {
    let names = header.iter().find(|l| l.starts_with("#fields")).unwrap();
    let names: Vec<&str> = names.split('\t').skip(1).collect();
    let place = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let mut out = header.clone();
    for (i, record) in records.iter().enumerate() {
        let mut fields: Vec<String> = record.split('\t').map(ToOwned::to_owned).collect();
        if let Some(after) = i.checked_sub(records.len() / 2) {
            corrupt(&place, after, &mut fields);
        }
        out.push(fields.join("\t"));
    }
    std::fs::write(folder.join("conn.log"), out.join("\n") + "\n").unwrap();
    let arguments = ["detect", "--no-state", "--json", "conn.log"];
    let output = watchfire(folder).args(arguments).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let source = &json["sources"][0];
    assert_eq!(source["counts"]["events"], records.len(), "{source}");
    assert!(source["quality_compared"]["flow"].as_u64().unwrap() > 1_000, "{source}");
    source["quality"].as_array().unwrap().clone()
}

fn scale(field: &mut String, by: f64) {
    if let Ok(value) = field.parse::<f64>() {
        *field = (value * by).to_string();
    }
}

#[test]
fn a_corrupt_feed_is_told_and_a_clean_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = conn(folder.path());
    let run = |corrupt: fn(&dyn Fn(&str) -> usize, usize, &mut Vec<String>)| {
        told(folder.path(), &log, corrupt)
    };
    assert_eq!(run(|_, _, _| {}), [] as [Value; 0]);
    let found = |notes: &[Value], kind: &str, field: Option<&str>| {
        let one = notes.iter().any(|n| n["change"]["kind"] == kind && n["field"].as_str() == field);
        assert!(one, "{kind} of {field:?}: {notes:?}");
        assert!(notes.iter().all(|n| n["field"].as_str() == field), "nothing else: {notes:?}");
    };
    let lost = run(|at, _, fields| fields[at("orig_bytes")] = "-".to_owned());
    found(&lost, "missing", Some("orig_bytes"));
    let few = run(|at, i, fields| {
        if i % 10 == 0 {
            fields[at("resp_bytes")] = "-".to_owned();
        }
    });
    found(&few, "missing", Some("resp_bytes"));
    let scaled = run(|at, _, fields| scale(&mut fields[at("duration")], 1e6));
    found(&scaled, "outside", Some("duration"));
    let constant = run(|at, _, fields| fields[at("proto")] = "tcp".to_owned());
    found(&constant, "constant", Some("proto"));
    let many = run(|at, i, fields| fields[at("service")] = format!("x{}", i % 700));
    found(&many, "varied", Some("service"));
    let gap = run(|at, _, fields| shift(&mut fields[at("ts")], 10_800.0));
    found(&gap, "gap", None);
    let back = run(|at, _, fields| shift(&mut fields[at("ts")], -86_400.0));
    found(&back, "backwards", None);
}

fn shift(field: &mut String, seconds: f64) {
    *field = format!("{:.6}", field.parse::<f64>().unwrap() + seconds);
}

#[test]
fn the_summary_and_the_page_say_it_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let log = conn(folder.path());
    let lost = told(folder.path(), &log, |at, _, f| f[at("orig_bytes")] = "-".to_owned());
    assert_eq!(lost.len(), 1, "{lost:?}");
    let arguments = ["detect", "--no-state", "--report", "r.html", "conn.log"];
    let output = watchfire(folder.path()).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = "`orig_bytes` missing in 100% of flow records that used to have it since 20";
    assert!(said.contains(&format!("conn.log: {sentence}")), "{said}");
    let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(page.contains("Changed in") && page.contains(sentence));
}
