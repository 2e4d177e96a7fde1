//! Chaos experiments with real nodes: a short one passes and leaves nothing behind, and neither
//! does one that is interrupted.

use crate::cluster::{text, until};
use crate::command::{signal, watchfire};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

const EXPERIMENT: &str = r#"
format = 1
name = "short"
world = "processes"
duration = "9s"
heal = "12s"
[topology]
regions = { eu = 3 }
[[workload]]
kind = "control"
rate = "20/s"
clients = 4
keys = 8
[[workload]]
kind = "ingest"
rate = "8/s"
clients = 4
batch = 4
[[fault]]
id = "leader"
kind = "kill"
at = "1s"
target = "role:raft-leader"
restart = "500ms"
[[fault]]
id = "cut"
kind = "partition"
at = "4s"
for = "3s"
shape = "isolate"
target = "role:raft-leader"
"#;

/// Whether this host lets real nodes be run; what is missing is told.
fn can(at: &Path) -> bool {
    let output = watchfire(at).args(["simulate", "probe", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let needed = ["root", "network namespaces", "TUN devices"];
    let missing = all.iter().find(|a| {
        needed.iter().any(|name| a["ability"] == *name) && a["can"] == Value::Bool(false)
    });
    if let Some(missing) = missing {
        eprintln!("skipped: no real nodes here: {} {}", missing["ability"], missing["seen"]);
    }
    missing.is_none() && !all.is_empty()
}

/// Nodes whose configuration lies below a folder.
fn nodes(below: &Path) -> usize {
    let below = below.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(below)).count()
}

#[test]
fn a_kill_and_a_partition_of_real_nodes_break_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !can(at) {
        return;
    }
    let own = at.join("own");
    fs::create_dir(&own).unwrap();
    fs::write(at.join("short.toml"), EXPERIMENT).unwrap();
    let mut run = watchfire(at);
    run.args(["simulate", "run", "short.toml", "--seeds", "1", "--json"]).env("TMPDIR", &own);
    let output = run.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{said:#} {}", text(&output.stderr));
    assert_eq!((&said["verdict"], &said["passed"]), (&"pass".into(), &1.into()), "{said:#}");
    assert!(said["operations"]["ok"].as_u64() > Some(50), "{said:#}");
    let report = fs::read(at.join("simulate-reports/short-1.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let of = |id: &str| {
        let all = report["invariants"].as_array().unwrap();
        all.iter().find(|i| i["id"] == id).unwrap().clone()
    };
    for id in ["R1", "R2", "R3", "E4", "X2"] {
        assert!(of(id)["held"] == true && of(id)["checked"].as_u64() > Some(0), "{:#}", of(id));
    }
    assert_eq!((&of("D1")["held"], &of("D1")["not_judged"]), (&false.into(), &true.into()));
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "files are left");
    assert_eq!(nodes(&own), 0, "processes are left");
    let shrunk =
        watchfire(at).args(["simulate", "shrink", "simulate-reports/short-1.json"]).output();
    let shrunk = shrunk.unwrap();
    assert_eq!(shrunk.status.code(), Some(3));
    assert!(text(&shrunk.stderr).contains("not shrunk"), "{}", text(&shrunk.stderr));
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !can(at) {
        return;
    }
    let own = at.join("own");
    fs::create_dir(&own).unwrap();
    fs::write(at.join("short.toml"), EXPERIMENT).unwrap();
    for word in ["INT", "KILL"] {
        let mut run = watchfire(at);
        run.args(["simulate", "run", "short.toml", "--seeds", "1"]).env("TMPDIR", &own);
        let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        until("nodes run", || (nodes(&own) == 3).then_some(()));
        signal(&child, word);
        child.wait().unwrap();
        until("no node is left", || (nodes(&own) == 0).then_some(()));
        // What a killed one leaves is a folder, which the next one takes away.
        assert_eq!(fs::read_dir(&own).unwrap().count(), usize::from(word == "KILL"));
    }
}
