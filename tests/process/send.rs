//! Events sent to a cluster of processes, of which some are killed: what was acknowledged is
//! compared with what has a verdict on the disks of those that are left.

use crate::cluster::{Up, ports, processes, until};
use crate::command::watchfire;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use store::Store;

/// Events of the log that is sent.
const EVENTS: u64 = 40_000;

/// Failed logons from many hosts.
fn log(run: u64) -> String {
    let mut text = String::new();
    for n in 0..EVENTS {
        let (minute, second) = (n / 600 % 60, n / 10 % 60);
        let (host, id, port) = (n * 31 % 250, n + run, 1_024 + n % 60_000);
        writeln!(
            text,
            "Jan 10 10:{minute:02}:{second:02} gate sshd[{id}]: Failed password for root from \
             10.1.{}.{host} port {port} ssh2",
            n % 7
        )
        .unwrap();
    }
    text
}

/// Events of a source that have a verdict on these nodes' disks, each counted once.
fn judged(at: &Path, nodes: &[&str], source: &str) -> u64 {
    let mut entries: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for node in nodes {
        let path = at.join("watchfire-cluster").join(node).join("events.redb");
        let store = Store::open(&path).unwrap();
        let view = store.view().unwrap();
        for name in view.ledger_sources().unwrap() {
            if name.split_once('/').is_none_or(|(_, of)| of != source) {
                continue;
            }
            let ledger = view.ledger(&name).unwrap();
            assert!(ledger.folded.is_none(), "the test's log is short enough");
            for entry in ledger.entries {
                let known = entries.entry((name.clone(), entry.end)).or_insert(entry.events);
                assert_eq!(*known, entry.events, "two nodes count {name} alike");
            }
        }
    }
    entries.values().sum()
}

fn kill(at: &Path, node: &str) {
    for process in processes(at, node) {
        let done = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
        assert!(done.success());
    }
}

/// Sends to `eu-1` and kills a node and, if `twice`, the sender meanwhile. All nodes but the killed
/// one have to hold all that was acknowledged.
fn survives(port: u16, more: &[&str], names: &[&str], durability: &str, after: u64) {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let up = Up::start(at, port, more);
    fs::write(at.join("auth.log"), log(after)).unwrap();
    let send = || {
        let mut command = watchfire(at);
        command.args(["send", "auth.log", "--source", "gate", "--to", "eu-1", "--output", "json"]);
        command.args(["--year", "2026", "--durability", durability]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut first = send().spawn().unwrap();
    sleep(Duration::from_millis(after));
    let victim = names[1];
    kill(at, victim);
    if after.is_multiple_of(2) {
        // The sender, too: it goes on where it was.
        let _ = first.kill();
        first.wait().unwrap();
        first = send().spawn().unwrap();
    }
    let output = first.wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let told = &said["auth.log"];
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told["acknowledged"], true, "after {after} ms: {said} {errors}");
    assert_eq!((&told["events"], &told["quarantined"]), (&EVENTS.into(), &0.into()), "{said}");
    drop(up);
    let left: Vec<&str> = names.iter().copied().filter(|n| *n != victim).collect();
    until("all nodes have ended", || {
        names.iter().all(|n| processes(at, n).is_empty()).then_some(())
    });
    assert_eq!(judged(at, &left, "gate"), EVENTS, "killed after {after} ms");
}

const REGIONS: [&str; 3] = ["eu-1", "us-1", "ap-1"];
const NODES: [&str; 3] = ["eu-1", "eu-2", "eu-3"];

#[test]
fn what_was_acknowledged_globally_survives_a_region() {
    survives(ports(24), &[], &REGIONS, "global", 700);
}

#[test]
fn what_a_region_acknowledged_survives_a_node() {
    survives(ports(25), &["--regions", "eu", "--nodes", "3"], &NODES, "region", 451);
}

#[test]
#[ignore = "takes half an hour: fifty regions and fifty nodes are killed"]
fn fifty_regions_and_nodes_are_killed_and_nothing_acknowledged_is_lost() {
    for round in 0..50 {
        let after = 50 + round * 37;
        survives(ports(26), &[], &REGIONS, "global", after);
        survives(ports(27), &["--regions", "eu", "--nodes", "3"], &NODES, "region", after);
        println!("round {round} held");
    }
}
