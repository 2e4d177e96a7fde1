//! One-shot runs: what they print, where they read from, how they exit.

use crate::conn::{Conn, SCAN_EVERY};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use store::Store;

/// The binary, with state in `folder` and nothing of the caller's environment that steers it.
pub fn watchfire(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.env_remove("RUST_LOG").env("XDG_STATE_HOME", folder).current_dir(folder);
    command
}

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    watchfire(folder).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn file(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}

/// A folder with a log that has a scan in it, and one that has none.
fn logs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "scan.log", &Conn::log(7, 0.2, true, SCAN_EVERY + 200));
    file(folder.path(), "good.log", &Conn::log(8, 0.2, false, 4_000));
    folder
}

#[test]
fn a_reader_that_left_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = watchfire(folder.path())
        .args(["simulate", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (0, String::new()));
}

#[test]
fn exit_codes_say_how_it_went() {
    let folder = logs();
    let at = folder.path();
    let found = run(at, &["detect", "--no-state", "--json", "scan.log"]);
    assert_eq!(code(&found), 0, "{}", text(&found.stderr));
    let json: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(json["verdicts"]["total"], SCAN_EVERY + 200);
    let cases: [(&[&str], i32); 7] = [
        (&["detect", "--no-state", "--fail-on", "high", "scan.log"], 3),
        (&["detect", "--no-state", "--fail-on", "critical", "scan.log"], 0),
        (&["detect", "--no-state", "absent.log"], 1),
        (&["detect"], 2),
        (&["detect", "--budget", "many", "scan.log"], 2),
        (&["explain", "3f2a9c", "--state", "nowhere"], 1),
        (&["detect", "--no-state", "--follow", "-"], 1),
    ];
    for (arguments, expected) in cases {
        let output = run(at, arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output.stderr));
        assert!(expected == 0 || expected == 3 || !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_costs_nothing_else() {
    let folder = logs();
    let arguments = ["detect", "--no-state", "--json", "good.log", "absent.log"];
    let output = run(folder.path(), &arguments);
    assert_eq!(code(&output), 0);
    assert!(text(&output.stderr).contains("absent.log"));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["verdicts"]["total"], 4_000);
    assert!(text(&output.stdout).contains("absent.log"), "the report names it, too");
}

#[test]
fn standard_input_is_read_to_its_end() {
    let folder = logs();
    let mut child = watchfire(folder.path())
        .args(["detect", "--no-state", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::fs::read(folder.path().join("scan.log")).unwrap();
    child.stdin.take().unwrap().write_all(&log).unwrap();
    let output = child.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["verdicts"]["total"], SCAN_EVERY + 200);
}

#[test]
fn an_interrupted_run_tells_what_it_has_and_exits_130() {
    let folder = logs();
    let mut child = watchfire(folder.path())
        .args(["detect", "--no-state", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::fs::read(folder.path().join("scan.log")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&log).unwrap();
    // The pipe stays open: only the signal ends the run.
    std::thread::sleep(Duration::from_secs(2));
    signal(&child, "INT");
    let output = crate::follow::wait(child, Duration::from_secs(20));
    drop(stdin);
    assert_eq!(code(&output), 130, "{}", text(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["verdicts"]["total"].as_u64().unwrap() > 1_000, "{json}");
}

#[test]
fn a_finding_verifies_and_a_bundle_that_was_touched_is_refused() {
    let folder = logs();
    let at = folder.path();
    let arguments = ["--state", "state", "--output", "found.ndjson", "scan.log"];
    let trained = run(at, &["train", "good.log", "--output", "good.bundle"]);
    assert_eq!(code(&trained), 0, "{}", text(&trained.stderr));
    let output = run(at, &[&["detect", "--model", "good.bundle"], &arguments[..]].concat());
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let found = std::fs::read_to_string(at.join("found.ndjson")).unwrap();
    let line: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    let id = line["finding_info"]["uid"].as_str().unwrap();
    let explain = ["explain", id, "--verify", "--state", "state"];
    let verified = run(at, &explain);
    assert_eq!(code(&verified), 0, "{}", text(&verified.stderr));
    let said = text(&verified.stdout);
    assert!(said.contains("identical") && !said.contains("DIFFERENT"), "{said}");

    let mut bytes = std::fs::read(at.join("good.bundle")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(at.join("bad.bundle"), &bytes).unwrap();
    let refused = run(at, &["detect", "--no-state", "--model", "bad.bundle", "scan.log"]);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused.stderr).contains("not a usable bundle"), "{}", text(&refused.stderr));

    let store = Store::open(&at.join("state/state.redb")).unwrap();
    let stored = store.view().unwrap().bundles().unwrap().remove(0);
    assert!(store.remove_bundle(stored.version).unwrap());
    store.put_bundle(stored, &bytes).unwrap();
    drop(store);
    let refused = run(at, &explain);
    assert_eq!(code(&refused), 1, "{}", text(&refused.stdout));
    assert!(!refused.stderr.is_empty());
}

#[test]
fn a_second_process_on_the_same_state_names_the_first() {
    let folder = logs();
    let mut first = watchfire(folder.path())
        .args(["detect", "--state", "state", "--follow", "good.log"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let second = run(folder.path(), &["detect", "--state", "state", "scan.log"]);
    assert_eq!(code(&second), 1);
    let pid = first.id().to_string();
    assert!(text(&second.stderr).contains(&pid), "{}", text(&second.stderr));
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock went with its holder.
    assert_eq!(code(&run(folder.path(), &["detect", "--state", "state", "scan.log"])), 0);
}
