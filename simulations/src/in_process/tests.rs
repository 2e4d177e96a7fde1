//! The world itself.

use super::*;
use crate::experiment::Experiment;
use crate::invariants::Finding;
use crate::plan::expand;
use crate::run::Run;

const SMALL: &str = r#"
format = 1
name = "small"
world = "in-process"
duration = "20s"
heal = "15s"
[topology]
regions = { eu = 2, us = 1 }
voters = { eu = 2, us = 1 }
[[workload]]
kind = "control"
rate = "10/s"
clients = 3
keys = 4
[[workload]]
kind = "threats"
rate = "10/s"
clients = 2
keys = 8
"#;

const EVENTS: &str = r#"
[[workload]]
kind = "ingest"
rate = "6/s"
clients = 3
batch = 4
keys = 16
"#;

fn judged(text: &str, seed: u64) -> Run {
    let experiment = Experiment::parse(text).unwrap();
    let plan = expand(&experiment, seed);
    let outcome = run(&plan).unwrap();
    Run::judge(&plan, &experiment, outcome)
}

#[test]
fn a_cluster_without_faults_holds_what_it_promises() {
    let run = judged(SMALL, 1);
    assert!(run.broken().is_none(), "{:?}", run.broken());
    assert!(run.tally.ok > 200 && run.tally.unknown == 0, "{:?}", run.tally);
    assert_eq!(run.doubts, Vec::<String>::new());
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "what tokio draws is not seeded in this build")]
fn the_same_plan_gives_the_same_run() {
    let text = format!("{SMALL}{EVENTS}{FAULTS}{KILL}");
    let first = judged(&text, 3);
    // Beside another one: what all runs in a program share must not matter.
    let (second, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| judged(&text, 4));
        (judged(&text, 3), other.join().unwrap())
    });
    let differs = first.journal.entries.iter().zip(&second.journal.entries).find(|(a, b)| a != b);
    assert_eq!(first.trace, second.trace, "{differs:?}");
    assert_ne!(first.trace, other.trace);
}

const KILL: &str = r#"
[[fault]]
kind = "kill"
at = "17s"
target = "any:2"
restart = "500ms"
"#;

const FAULTS: &str = r#"
[[fault]]
id = "cut"
kind = "partition"
at = "4s"
for = "3s"
shape = "isolate"
target = "role:raft-leader"
[[fault]]
kind = "power-cut"
at = "9s"
target = "any:2"
restart = "1ms..2s"
[[fault]]
kind = "clock-step"
at = "2s"
target = "node:eu-1"
by = "1h"
[[fault]]
kind = "clock-step"
at = "3s"
target = "node:us-1"
by = "-10m"
[[fault]]
kind = "pause"
at = "13s"
for = "2s"
target = "any:1"
"#;

#[test]
fn what_is_acknowledged_outlives_a_cut_off_leader_power_cuts_and_a_pause() {
    let run = judged(&format!("{SMALL}{FAULTS}"), 1);
    assert!(run.broken().is_none(), "{:?}", run.broken());
    assert_eq!(run.doubts, Vec::<String>::new());
    assert!(run.sometimes.contains("leader-changed"), "{:?}", run.sometimes);
}

#[test]
fn events_have_verdicts_on_disks_once_whatever_is_cut_or_killed() {
    let run = judged(&format!("{SMALL}{EVENTS}{FAULTS}"), 1);
    assert!(run.broken().is_none(), "{:?}", run.broken());
    assert_eq!(run.doubts, Vec::<String>::new());
    for wanted in ["E1", "E2", "E3", "E4", "D3"] {
        let found = run.findings.iter().find(|(id, _)| *id == wanted);
        let checked = |found: &Finding| matches!(found, Finding::Held(checked) if *checked > 100);
        assert!(found.is_some_and(|(_, found)| checked(found)), "{found:?}");
    }
}

#[test]
fn a_sync_that_is_left_out_is_seen_at_the_first_promise() {
    // With an election, in which votes are given.
    let experiment = Experiment::parse(&format!("{SMALL}{FAULTS}")).unwrap();
    for mutant in ["JournalNotSynced", "VoteNotStored"] {
        let mut plan = expand(&experiment, 1);
        plan.mutant = Some(mutant.into());
        let outcome = run(&plan).unwrap();
        let run = Run::judge(&plan, &experiment, outcome);
        assert_eq!(run.broken().map(|(id, _)| id), Some("R4"), "{mutant}");
    }
}
