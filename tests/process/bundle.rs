//! Models in a cluster of processes: a good bundle reaches all nodes, a poisoned one is taken back.

use crate::cluster::{Up, ports, text, until};
use crate::command::watchfire;
use crate::conn::Conn;
use detection::bundle::Bundle;
use detection::calibration::Calibrator;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

fn run(at: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = watchfire(at).args(arguments).output().unwrap();
    let said = text(&output.stdout);
    if output.status.success() { Ok(said) } else { Err(said + &text(&output.stderr)) }
}

fn list(at: &Path) -> Value {
    let output = watchfire(at).args(["bundle", "list", "--output", "json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// What each node uses.
fn uses(at: &Path) -> Vec<Option<u64>> {
    let list = list(at);
    let nodes = list["nodes"].as_object().cloned().unwrap_or_default();
    nodes.values().map(|n| n["uses"].as_u64()).collect()
}

/// The same models under a calibration that takes every score for one that no benign event has.
fn poison(at: &Path) {
    let good = Bundle::decode(&std::fs::read(at.join("good.model")).unwrap()).unwrap();
    let low: Vec<f32> = (0..100).map(|n| -1e6 + n as f32).collect();
    let mut classes = good.classes.clone();
    for models in classes.values_mut() {
        for (.., calibrator) in &mut models.models {
            *calibrator = Calibrator::fit(&low).unwrap();
        }
    }
    let poison = Bundle::new(2, good.seed, "poison", classes).unwrap();
    std::fs::write(at.join("poison.model"), poison.encode().unwrap()).unwrap();
}

#[test]
fn a_good_bundle_is_used_by_all_and_a_poisoned_one_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let at = &folder.path().canonicalize().unwrap();
    for (name, seed, flows) in [("good", 8, 4_000), ("some", 9, 600), ("more", 10, 1_500)] {
        std::fs::write(at.join(format!("{name}.log")), Conn::log(seed, 0.2, false, flows)).unwrap();
    }
    run(at, &["train", "good.log", "--output", "good.model"]).unwrap();
    poison(at);
    let _up = Up::start(at, ports(28), &[]);
    run(at, &["bundle", "register", "nothing.model"]).unwrap_err();
    let refused = run(at, &["bundle", "register", "good.log"]).unwrap_err();
    assert!(refused.contains("does not pass its test"), "{refused}");
    let plan = run(at, &["bundle", "register", "good.model", "--plan"]).unwrap();
    assert!(plan.contains("3 nodes get the bundle and test it"), "{plan}");
    run(at, &["bundle", "register", "good.log", "--plan"]).unwrap_err();
    let said = run(at, &["bundle", "register", "good.model"]).unwrap();
    assert!(said.contains("bundle 1 is registered"), "{said}");
    let early = run(at, &["bundle", "canary", "1", "--region", "eu"]).unwrap_err();
    assert!(early.contains("watchfire bundle shadow"), "{early}");
    run(at, &["bundle", "shadow", "1"]).unwrap();
    let canary = ["bundle", "canary", "1", "--region", "eu"];
    until("a node is ready", || run(at, &canary).ok());
    let plan = run(at, &["bundle", "activate", "1", "--plan"]).unwrap();
    assert!(plan.contains("all nodes use bundle 1"), "{plan}");
    run(at, &["bundle", "activate", "1"]).unwrap();
    until("all use it", || (uses(at) == [Some(1); 3]).then_some(()));
    run(at, &["send", "some.log", "--quiet"]).unwrap();

    let said = run(at, &["bundle", "register", "poison.model"]).unwrap();
    assert!(said.contains("bundle 2 is registered"), "{said}");
    run(at, &["bundle", "shadow", "2"]).unwrap();
    let canary = ["bundle", "canary", "2", "--region", "us"];
    until("a node is ready", || run(at, &canary).ok());
    until("us alone uses it", || {
        let list = list(at);
        let uses = |name: &str| list["nodes"][name]["uses"].as_u64();
        (uses("us-1") == Some(2) && uses("eu-1") == Some(1)).then_some(())
    });
    let began = Instant::now();
    run(at, &["send", "more.log", "--quiet"]).unwrap();
    until("it is taken back", || {
        (list(at)["bundles"]["2"]["stage"] == "rolled back").then_some(())
    });
    until("all use the good one", || (uses(at) == [Some(1); 3]).then_some(()));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let said = run(at, &["bundle", "list"]).unwrap();
    assert!(said.contains("new alarms"), "{said}");

    std::fs::write(
        at.join("isolate.json"),
        r#"{"type":"playbook","spec_version":"cacao-2.0","name":"isolate"}"#,
    )
    .unwrap();
    let plan = run(at, &["playbook", "publish", "isolate.json", "--plan"]).unwrap();
    assert!(plan.contains("lies on 3 nodes beside the 0 there are"), "{plan}");
    let none = run(at, &["playbook", "list"]).unwrap();
    assert!(none.contains("no playbooks"), "a plan does nothing: {none}");
    let said = run(at, &["playbook", "publish", "isolate.json"]).unwrap();
    let plan = run(at, &["playbook", "publish", "isolate.json", "--plan"]).unwrap();
    assert!(plan.contains("nothing: it is version 1 of isolate already"), "{plan}");
    let plan = run(at, &["playbook", "activate", "isolate", "1", "--plan"]).unwrap();
    assert!(plan.contains("version 1 of isolate holds in the place of none"), "{plan}");
    assert!(said.contains("isolate, version 1, is published"), "{said}");
    run(at, &["playbook", "activate", "isolate", "2"]).unwrap_err();
    run(at, &["playbook", "activate", "isolate", "1"]).unwrap();
    let said = run(at, &["playbook", "list"]).unwrap();
    assert!(said.contains("holds"), "{said}");
}
