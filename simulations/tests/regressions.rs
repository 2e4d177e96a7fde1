//! Failures that were found and shrunk, each as an experiment in `regressions/`. The name of a file
//! begins with the invariant that was broken. What a planted bug broke must be broken by it still,
//! or nothing would find such a bug any more; and must hold without it.

use simulations::experiment::Experiment;
use simulations::invariants::Finding;
use simulations::plan::{Plan, expand};
use simulations::run::Run;
use std::path::Path;

fn finding(plan: &Plan, experiment: &Experiment, invariant: &str) -> Finding {
    let run = Run::of(plan, experiment);
    let found = run.findings.into_iter().find(|(id, _)| *id == invariant);
    found.unwrap_or_else(|| panic!("there is no invariant {invariant}")).1
}

#[test]
fn what_was_broken_once_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let invariant = name.split('-').next().unwrap().to_uppercase();
        let experiment = Experiment::parse(&std::fs::read_to_string(&path).unwrap());
        let experiment = experiment.unwrap_or_else(|error| panic!("{name}: {error}"));
        let plan = expand(&experiment, experiment.seeds.from);
        if plan.mutant.is_some() {
            let found = finding(&plan, &experiment, &invariant);
            assert!(found.is_broken(), "{name}: the planted bug is not found: {found:?}");
        }
        let sound = Plan { mutant: None, ..plan };
        let found = finding(&sound, &experiment, &invariant);
        assert!(found.held(), "{name}: {found:?}");
    }
}
