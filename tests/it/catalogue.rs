//! What is registered is complete: detectors, formats, rules, and the files that hold them.

use crate::workspace::{files, root, text};
use detection::detectors::CATALOGUE;
use detection::ensemble::voters;
use detection::rules::RuleSet;
use detection::rules::pack::PACK;
use intake::Format;
use std::collections::BTreeSet;
use threat::{DetectorKind, EventClass};

const DETECTORS: &str = "engine/detection/src/detectors/";
const FORMATS: &str = "engine/intake/src/formats/";
const RULES: &str = "engine/detection/rules/";

/// Names of the modules directly in a folder; what helps them lies in folders of their own.
fn modules(folder: &str) -> BTreeSet<String> {
    let below = files().into_iter().filter_map(|f| f.strip_prefix(folder).map(str::to_owned));
    below
        .filter_map(|f| f.split(['/', '.']).next().map(str::to_owned))
        .filter(|name| name != "mod" && name != "tests")
        .collect()
}

#[test]
fn the_catalogue_has_every_kind_once_and_in_order() {
    let kinds: Vec<DetectorKind> = CATALOGUE.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, DetectorKind::ALL);
    let names: BTreeSet<&str> = kinds.iter().map(|k| k.name()).collect();
    assert_eq!(names.len(), CATALOGUE.len(), "two detectors of one name");
    let summaries: BTreeSet<&str> = CATALOGUE.iter().map(|e| e.summary).collect();
    assert_eq!(summaries.len(), CATALOGUE.len(), "two detectors of one summary");
    assert!(CATALOGUE.iter().all(|e| e.format > 0 && !e.summary.is_empty()));
}

#[test]
fn an_artifact_is_read_by_its_own_detector_alone() {
    for entry in CATALOGUE {
        for bytes in [&[][..], &[entry.format], &[entry.format.wrapping_add(1), 0, 0]] {
            assert!((entry.decode)(bytes).is_err(), "{} reads {bytes:?}", entry.kind.name());
        }
    }
}

#[test]
fn every_class_has_three_voters_of_the_catalogue() {
    for class in EventClass::ALL {
        let three: BTreeSet<DetectorKind> = voters(class).into_iter().collect();
        assert_eq!(three.len(), 3, "{} has a voter twice", class.name());
        assert!(three.iter().all(|kind| CATALOGUE.iter().any(|e| e.kind == *kind)));
    }
}

#[test]
fn every_invariant_and_experiment_is_registered() {
    const INVARIANTS: &str = "simulations/src/invariants/";
    let registered = text("simulations/src/invariants.rs");
    let (_, catalogue) = registered.split_once("catalogue![").expect("the catalogue");
    for module in modules(INVARIANTS).into_iter().filter(|m| m != "test_bench") {
        assert!(catalogue.contains(&format!("    {module},")), "{module} is not in CATALOGUE");
        let file = text(&format!("{INVARIANTS}{module}.rs"));
        assert!(
            file.contains("is_seen() {") || file.contains("are_seen() {"),
            "{module}: no violation"
        );
    }
    let library = text("simulations/src/library.rs");
    let experiments = crate::workspace::files();
    let experiments = experiments.iter().filter_map(|f| f.strip_prefix("simulations/experiments/"));
    for experiment in experiments {
        assert!(library.contains(&format!("experiments/{experiment}\")")), "{experiment}");
    }
}

#[test]
fn every_detector_file_is_in_the_catalogue() {
    let registered = text(&format!("{DETECTORS}mod.rs"));
    let modules = modules(DETECTORS);
    assert_eq!(modules.len(), CATALOGUE.len());
    for module in modules {
        assert!(registered.contains(&format!("{module}::ENTRY")), "{module} is not in CATALOGUE");
    }
}

#[test]
fn every_format_file_is_read_by_a_format() {
    let registered = text(&format!("{FORMATS}mod.rs"));
    let modules = modules(FORMATS);
    assert_eq!(modules.len(), Format::ALL.len());
    for module in modules {
        assert!(registered.contains(&format!("{module}::read(")), "{module} has no Format");
    }
}

#[test]
fn every_format_knows_its_own_golden_file() {
    for format in Format::ALL {
        let file = match format {
            Format::SuricataEve => "eve".to_owned(),
            Format::Csv => "csv_flows".to_owned(),
            other => other.name().replace('-', "_"),
        };
        let path = root().join(format!("engine/intake/tests/golden/{file}.input"));
        // Not all of it is text: broken records are in there, too.
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(Format::sniff(&bytes), Some(format), "{file}");
        assert_eq!(Format::parse(format.name()), Some(format));
    }
}

#[test]
fn every_shipped_rule_loads_under_an_id_of_its_own() {
    let (set, problems) = RuleSet::load(true, &[]);
    let told: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.file, p.reason)).collect();
    assert!(told.is_empty(), "{told:#?}");
    let rules: Vec<_> = set.rules().collect();
    let mut ids = BTreeSet::new();
    for rule in &rules {
        let uuid = rule.id.len() == 36 && rule.id.bytes().filter(|b| *b == b'-').count() == 4;
        assert!(uuid, "{} has no id", rule.title);
        assert!(ids.insert(rule.id), "{} has the id of another rule", rule.title);
    }
    let titles = PACK.iter().flat_map(|(_, text)| text.lines()).filter(|l| l.starts_with("title:"));
    assert_eq!(titles.count(), rules.len(), "a rule of the pack is not loaded");
}

#[test]
fn every_rule_file_is_in_the_pack() {
    let there = files().into_iter().filter_map(|f| f.strip_prefix(RULES).map(str::to_owned));
    let packed: BTreeSet<String> = PACK.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there.collect::<BTreeSet<_>>(), packed);
}
