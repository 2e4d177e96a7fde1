//! Every public SigmaHQ positive whose rule is at hand must fire through our own event view and
//! routing. Skipped where the data is absent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test reads files, and fails where these do"
)]

mod support;

use detection::rules::{EventView, RuleSet, WindowValues};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::{data, files_under, windows_events};

/// Rules by the folder's `info.yml`: the ids that its positives are of.
fn rule_ids(info: &str) -> Vec<String> {
    let mut in_rules = false;
    let mut ids = Vec::new();
    for line in info.lines() {
        if !line.starts_with([' ', '-']) {
            in_rules = line.starts_with("rule_metadata:");
        } else if in_rules
            && let Some(id) = line.trim().trim_start_matches("- ").strip_prefix("id:")
        {
            ids.push(id.trim().to_owned());
        }
    }
    ids
}

#[test]
fn public_positives_fire() {
    let Some(root) = data("sigma") else { return println!("skipped: no sigma data") };
    let files: Vec<(String, String)> = files_under(&root.join("rules"), "yml")
        .into_iter()
        .map(|p| (p.display().to_string(), fs::read_to_string(&p).expect("readable rule")))
        .collect();
    let (set, problems) = RuleSet::load(false, &files);
    println!("{} files, {} problems: {problems:?}", files.len(), problems.len());
    assert!(problems.len() * 100 <= files.len(), "over 1% of the public rules do not load");
    let known: BTreeSet<String> = set.rules().map(|r| r.id.to_owned()).collect();

    let window = WindowValues::default();
    let (mut present, mut missed) = (0, Vec::new());
    for info in files_under(&root.join("regression"), "yml") {
        let text = fs::read_to_string(&info).expect("readable info");
        let folder = info.parent().expect("a folder");
        for id in rule_ids(&text).into_iter().filter(|id| known.contains(id)) {
            present += 1;
            let fired = positives(folder).iter().any(|event| {
                let view = EventView::new(event, &window, &[]);
                set.matches(&view).iter().any(|hit| hit.id == id)
            });
            if !fired {
                missed.push(format!("{id} {}", folder.display()));
            }
        }
    }
    println!("{present} positives with their rule");
    assert!(missed.is_empty(), "{} of {present} did not fire: {missed:#?}", missed.len());
    assert_eq!(present, 69);
}

fn positives(folder: &Path) -> Vec<threat::Event> {
    files_under(folder, "json")
        .iter()
        .flat_map(|p| windows_events(&fs::read_to_string(p).expect("readable positive")))
        .collect()
}
