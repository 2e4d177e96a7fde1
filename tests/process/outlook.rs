//! `forecast --threats` as a process: from what a node of a cluster has counted, and from the state
//! file of a run without one.

use crate::cluster::{Up, ports};
use crate::command::watchfire;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

/// Ten days of logons: quiet nights, and each day an hour of guessing.
fn log() -> String {
    let mut text = String::new();
    for hour in 0..240 {
        let (day, hour) = (10 + hour / 24, hour % 24);
        let guesses = if hour == 14 { 40 } else { 0 };
        let logons = if hour < 7 { 3 } else { 12 + hour % 4 };
        for n in 0..logons + guesses {
            let (minute, id) = (n * 59 / (logons + guesses), 1_000 + n);
            let said = if n < guesses { "Failed" } else { "Accepted" };
            let host = if n < guesses { 200 + day % 5 } else { n % 9 };
            writeln!(
                text,
                "Jan {day} {hour:02}:{minute:02}:00 gate sshd[{id}]: {said} password for root from \
                 10.0.0.{host} port {} ssh2",
                2_000 + n
            )
            .unwrap();
        }
    }
    text
}

/// The hour after the log's last one.
const END: &str = "2026-01-20T00:00:00Z";

fn run(at: &Path, arguments: &[&str]) -> Output {
    watchfire(at).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn told(output: &Output) -> String {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn a_node_says_what_comes_from_what_it_has_counted() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let up = Up::start(at, ports(28), &["--regions", "eu", "--nodes", "1"]);
    fs::write(at.join("auth.log"), log()).unwrap();
    let sent = run(at, &["send", "auth.log", "--source", "gate", "--year", "2026"]);
    told(&sent);
    let ask = |more: &[&str]| run(at, &[&["forecast", "--threats", "--until", END], more].concat());
    let said = told(&ask(&[]));
    for part in ["events ", "threats ", "needs", "day 3", "assumed"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = told(&ask(&["--region", "eu", "--class", "brute_force", "--hours", "24"]));
    assert!(said.contains("attacks brute_force in eu"), "{said}");
    assert!(!said.contains("needs "), "{said}");
    let said = told(&ask(&["--source", "gate", "--output", "-", "--levels", "80,90"]));
    assert!(said.starts_with("series,origin,t,mean,lo80,hi80,lo90,hi90\n"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("events of gate,")).count(), 72);
    assert!(said.contains(",2026-01-20T00:00:00Z,"), "{said}");
    let nobody = ask(&["--region", "mars"]);
    assert!(!nobody.status.success());
    let why = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(why.contains("has counted nothing of region mars"), "{why}");
    // Nothing is known of this year's last weeks.
    let now = run(at, &["forecast", "--threats"]);
    let why = String::from_utf8_lossy(&now.stderr).into_owned();
    assert!(!now.status.success() && why.contains("--until TIME"), "{why}");
    drop(up);
}

#[test]
fn a_long_capture_is_forecast_in_its_report_and_from_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    fs::write(at.join("auth.log"), log()).unwrap();
    let arguments = ["--state", "kept", "--report", "r.html", "--year", "2026"];
    let detected = run(at, &[&["detect", "auth.log"], &arguments[..]].concat());
    assert!(detected.status.code().is_some_and(|code| code <= 1), "{detected:?}");
    let page = fs::read_to_string(at.join("r.html")).unwrap();
    assert!(page.contains("What comes next") && page.contains("in the first day"));
    let ask = || told(&run(at, &["forecast", "--threats", "--state", "kept"]));
    let first = ask();
    let again = run(at, &["detect", "auth.log", "--state", "kept", "--year", "2026"]);
    assert!(again.status.code().is_some_and(|code| code <= 1), "{again:?}");
    assert_eq!(ask(), first, "a file that is read again counts once");
    let said = told(&run(at, &["forecast", "--threats", "--state", "kept", "--report", "f.html"]));
    assert!(said.contains("kept/state.redb has seen before 2026-01-20T00:00:00Z"), "{said}");
    assert!(said.contains("assumed") && said.contains("needs"), "{said}");
    let page = fs::read_to_string(at.join("f.html")).unwrap();
    assert!(page.contains("What it will need") && page.contains("<svg"));
    let missing = run(at, &["forecast", "--threats", "--state", "none"]);
    assert!(!missing.status.success() && !at.join("none").exists());
}
