//! `forecast` as a process: tables, intervals, wrong rows, backtests.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Counts per hour with quiet nights, from an origin.
fn table(days: usize, name: &str) -> String {
    let mut text = String::from("series,t,value\n");
    for hour in 0..days * 24 {
        let value = if hour % 24 < 8 { 3 + hour % 3 } else { 30 + hour * 7 % 11 };
        let (day, hour) = (1 + hour / 24, hour % 24);
        writeln!(text, "{name},2026-03-{day:02}T{hour:02}:00:00Z,{value}").unwrap();
    }
    text
}

fn forecast(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.current_dir(folder).arg("forecast").args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_comes_is_written_with_its_intervals_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.csv"), table(21, "gate")).unwrap();
    let arguments = ["--input", "in.csv", "--horizon", "48", "--output", "out.csv"];
    let page = ["--report", "r.html"];
    let done = forecast(folder.path(), &[&arguments[..], &page].concat());
    assert!(done.status.success(), "{}", told(&done));
    let read = || std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let first = read();
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[0], "series,origin,t,mean,lo80,hi80,lo95,hi95");
    assert_eq!(lines.len(), 49);
    assert!(lines[1].starts_with("gate,,2026-03-22T00:00:00Z,"), "{}", lines[1]);
    for line in &lines[1..] {
        let numbers: Vec<f64> = line.split(',').skip(3).map(|n| n.parse().unwrap()).collect();
        let [mean, lo80, hi80, lo95, hi95] = numbers[..] else { panic!("{line}") };
        assert!(lo95 <= lo80 && lo80 <= mean && mean <= hi80 && hi80 <= hi95, "{line}");
    }
    assert!(forecast(folder.path(), &arguments).status.success());
    assert_eq!(read(), first);
    let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("gate") && !page.contains("<script"));
}

#[test]
fn a_table_of_people_and_standard_input_serve_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .current_dir(folder.path())
        .args(["forecast", "--input", "-", "--horizon", "24", "--above", "20"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(table(14, "gate").as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    // Days have over 20 an hour.
    assert!(text.contains("gate") && text.contains("critical"), "{text}");
}

#[test]
fn wrong_rows_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = table(14, "gate");
    let cases = [
        (good.replacen(",3\n", ",three\n", 1), "line 2: value is `three`"),
        (good.replacen(",3\n", ",-3\n", 1), "series gate, line 2: -3 is negative"),
        (good.replacen(",3\n", ",\n", 1), "line 2"),
        (good.replacen(",3\n", ",3,4\n", 1), "line 2: 4 fields, the header has 3"),
        (good.replacen("2026-03-01T00", "2026-13-01T00", 1), "line 2: t is `2026-13"),
        ("series,t,value\ngate,1,5\n".into(), "too few"),
        (good.replacen("value", "count", 1), "no column `value`"),
        (String::new(), "no row"),
    ];
    for (text, wanted) in cases {
        std::fs::write(folder.path().join("in.csv"), text).unwrap();
        let done = forecast(folder.path(), &["--input", "in.csv", "--horizon", "24"]);
        assert_eq!(done.status.code(), Some(1), "{wanted}");
        assert!(told(&done).contains(wanted), "{wanted}: {}", told(&done));
    }
    let done = forecast(folder.path(), &["--input", "nowhere.csv"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(told(&done).contains("nowhere.csv"), "{}", told(&done));
}

#[test]
fn a_backtest_measures_past_forecasts_beside_simple_ones() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.csv"), table(28, "gate")).unwrap();
    let arguments = ["--backtest", "in.csv", "--horizon", "36", "--origins", "4"];
    let done = forecast(folder.path(), &arguments);
    assert!(done.status.success(), "{}", told(&done));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.starts_with("4 forecasts of 1 series"), "{text}");
    for wanted in [" 24 chosen", " 36 chosen", "MASE", "in 80%"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}
