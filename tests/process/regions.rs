//! Regions as processes: one is killed, emptied, and filled again.

use crate::cluster::{Up, leader, ports, processes, run, until};
use crate::command::watchfire;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a takeover may take on one machine that does other things meanwhile, too.
const IN_TIME: Duration = Duration::from_secs(15);

pub fn workloads(at: &Path) -> Option<BTreeMap<String, Value>> {
    let output = run(at, &["workload", "list", "--output", "json"]);
    let all: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(all["workloads"].as_object()?.clone().into_iter().collect())
}

/// Until all workloads are shared out and at home, and their owners act.
pub fn until_home(at: &Path) -> BTreeMap<String, Value> {
    until("all workloads are at home", || {
        let all = workloads(at)?;
        let home = |w: &Value| w["served"] == true && w["region"] == w["home"];
        // Each of three regions has its part: the first to open was home of all for a while.
        let part = |r| all.values().filter(|w| w["home"] == r).count() >= 20;
        let shared = all.len() == 64 && ["eu", "us", "ap"].into_iter().all(part);
        (shared && all.values().all(home)).then_some(all)
    })
}

fn said(at: &Path, arguments: &[&str]) -> String {
    let output = run(at, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said} {output:?}");
    said
}

#[test]
fn a_region_that_is_killed_is_taken_over_in_time_and_gets_its_part_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let _up = Up::start(at, ports(29), &[]);
    let before = until_home(at);
    let told = said(at, &["region", "status"]);
    assert!(told.contains("balance 0.99"), "{told}");
    // The only node of a region, which leads, too.
    let killed = leader(at).unwrap();
    let [process] = processes(at, &killed)[..] else { panic!("which process is it?") };
    let kill = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(kill.success());
    let since = Instant::now();
    until("others act for all", || {
        let all = workloads(at)?;
        let moved = |(number, was): (&String, &Value)| {
            let is = &all[number];
            let later = is["epoch"].as_u64() > was["epoch"].as_u64();
            is["served"] == true && is["owner"] != *killed && (was["owner"] != *killed || later)
        };
        before.iter().all(moved).then_some(())
    });
    assert!(since.elapsed() < IN_TIME, "it took {:?}", since.elapsed());
    let status = run(at, &["region", "status"]);
    let told = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(!status.status.success() && told.contains(&format!("{killed} unreachable")), "{told}");
    assert!(told.contains(&format!("node {killed} has failed, by agreement")), "{told}");
    // It is back, and has what is at home there.
    let config = format!("watchfire-cluster/{killed}.toml");
    let mut back = watchfire(at)
        .args(["node", "--while-stdin", "--config", &config])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let after = until_home(at);
    assert!(after.iter().all(|(n, w)| w["owner"] == before[n]["owner"]));
    drop(back.stdin.take());
    back.wait().unwrap();
}

#[test]
fn orders_for_a_region_do_what_their_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    let _up = Up::start(at, ports(30), &[]);
    let before = until_home(at);
    for order in ["drain", "failover", "isolate"] {
        let plan = said(at, &["region", order, "us", "--plan"]);
        let steps = plan.lines().filter(|l| l.contains(": us-1 -> ")).count();
        let theirs = before.values().filter(|w| w["owner"] == "us-1").count();
        assert_eq!(steps, theirs, "{plan}");
        let now = workloads(at).unwrap();
        for (number, was) in &before {
            let same = |key: &str| now[number][key] == was[key];
            let stays = ["home", "failover", "owner"].into_iter().all(same);
            assert!(stays, "a plan does nothing: {was} {}", now[number]);
        }
        let done = said(at, &["region", order, "us"]);
        assert!(done.contains(&format!("{theirs} of {theirs} workloads have moved")), "{done}");
        for line in plan.lines().filter(|l| l.contains(" -> ")) {
            let mut words = line.split_whitespace().skip(1);
            let number = words.next().unwrap();
            let to = words.nth(2).unwrap();
            assert!(done.contains(&format!("workload {number} {to} acts")), "{line}: {done}");
        }
        assert!(said(at, &["region", "status"]).contains(order));
        said(at, &["region", "failback", "us"]);
        let after = until_home(at);
        assert!(after.iter().all(|(n, w)| w["owner"] == before[n]["owner"]));
    }
    // One by hand: it stays where it was brought.
    let plan = said(at, &["workload", "move", "1", "--to", "us-1", "--plan"]);
    assert!(plan.contains("workload 1: home"), "{plan}");
    assert!(said(at, &["workload", "move", "1", "--to", "us-1"]).contains("us-1 acts"));
    assert_eq!(workloads(at).unwrap()["1"]["home"], "us");
    let again = run(at, &["workload", "move", "1", "--to", "us-1"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("already"));
    let nobody = run(at, &["region", "drain", "xx"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there is no region xx"));
}
