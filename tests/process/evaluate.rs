//! `evaluate tabular` as a process: scores, verdicts, exit codes and messages.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

/// Rows of a made-up table; every tenth is an attack when `attacks` says so.
fn table(rows: usize, from: usize, attacks: bool) -> String {
    let mut text = String::from("row,bytes,packets,proto,label\n");
    for i in from..from + rows {
        let attack = attacks && i % 10 == 0;
        let bytes = if attack { 900_000 + i } else { 100 + i * 7 % 50 };
        let (packets, proto) = (1 + i * 13 % 9, ["tcp", "udp"][i % 2]);
        let label = if attack { "theft" } else { "ok" };
        writeln!(text, "{i},{bytes},{packets},{proto},{label}").unwrap();
    }
    text
}

fn evaluate(folder: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .current_dir(folder)
        .args(["evaluate", "tabular", "--train", "train.csv", "--test", "test.csv"])
        .args(["--benign", "ok", "--scores", "scores.csv"])
        .args(more)
        .output()
        .unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.csv"), table(900, 0, false)).unwrap();
    std::fs::write(folder.path().join("test.csv"), table(300, 5_000, true)).unwrap();
    folder
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_table_is_judged_row_by_row_and_the_same_each_time() {
    let folder = folder();
    let done = evaluate(folder.path(), &["--label", "label", "--report", "r.html"]);
    assert!(done.status.success(), "{}", error(&done));
    let scores = std::fs::read_to_string(folder.path().join("scores.csv")).unwrap();
    let lines: Vec<&str> = scores.lines().collect();
    assert_eq!(lines[0], "row,label,score,verdict,forest,bayes,neighbours");
    assert_eq!(lines.len(), 301);
    let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let found = lines[1..].iter().map(|l| cells(l)).filter(|c| c[1] == "theft" && c[3] == "1");
    assert_eq!(found.count(), 30);
    assert_eq!(&cells(lines[1])[..2], ["5000", "theft"]);
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(told.contains("300 rows: 270 benign, 30 attacks"), "{told}");
    assert!(std::fs::read_to_string(folder.path().join("r.html")).unwrap().contains("ROC"));
    let again = evaluate(folder.path(), &["--label", "label"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("scores.csv")).unwrap(), scores);
    assert_eq!(again.stdout, done.stdout);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let folder = folder();
    let done = evaluate(folder.path(), &["--label", "class"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(error(&done).contains("train.csv: no column \"class\""), "{}", error(&done));

    let done = evaluate(folder.path(), &["--label", "label", "--benign", "normal"]);
    assert_eq!(done.status.code(), Some(2), "an option given twice is wrong usage");

    let test = folder.path().join("test.csv");
    std::fs::write(&test, table(5, 0, true) + "7,1,2\n").unwrap();
    let done = evaluate(folder.path(), &["--label", "label"]);
    let told = error(&done);
    assert_eq!(done.status.code(), Some(1));
    assert!(told.contains("test.csv: line 7: 3 cells, the header names 5"), "{told}");

    std::fs::write(folder.path().join("train.csv"), table(90, 0, false)).unwrap();
    let done = evaluate(folder.path(), &["--label", "label"]);
    assert!(error(&done).contains("has the 400 rows that models need"), "{}", error(&done));
}
