use crate::experiment::Experiment;
use crate::library;
use crate::mutants::hunt;
use crate::plan::{Plan, expand};
use crate::run::{Run, Verdict};
use crate::shrink::shrink;
use threat::mutants::Mutant;

fn explore() -> Experiment {
    Experiment::parse(library::named("explore").unwrap()).unwrap()
}

#[test]
fn a_seed_is_one_run_and_another_seed_another() {
    let experiment = explore();
    let run = |seed| Run::of(&expand(&experiment, seed), &experiment);
    for seed in 1..=3 {
        let (first, again) = (run(seed), run(seed));
        assert_eq!(first.trace, again.trace, "seed {seed} gave two runs");
        assert_eq!(first.journal, again.journal);
    }
    assert_ne!(run(1).trace, run(2).trace);
}

#[test]
fn a_plan_that_was_written_to_a_file_is_the_same_run() {
    let experiment = explore();
    let plan = expand(&experiment, 7);
    let text = serde_json::to_string(&plan).unwrap();
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(read, plan);
    assert_eq!(Run::of(&read, &experiment).trace, Run::of(&plan, &experiment).trace);
}

#[test]
fn nothing_breaks_in_the_first_seeds() {
    let experiment = explore();
    for seed in 1..=20 {
        let run = Run::of(&expand(&experiment, seed), &experiment);
        assert_eq!(
            run.verdict(),
            Verdict::Pass,
            "seed {seed}: {:?} {:?}",
            run.broken(),
            run.doubts
        );
    }
}

#[test]
fn every_experiment_of_the_library_passes_its_first_seed() {
    for (name, text) in library::EXPERIMENTS {
        let experiment = Experiment::parse(text).unwrap();
        let run = Run::of(&expand(&experiment, 1), &experiment);
        assert_eq!(run.verdict(), Verdict::Pass, "{name}: {:?} {:?}", run.broken(), run.doubts);
    }
}

#[test]
fn planted_bugs_are_found_and_their_plans_shrink() {
    let experiment = explore();
    for mutant in [Mutant::AssignmentKeepsEpoch, Mutant::LateVotersWaitedFor] {
        let caught = hunt(&experiment, mutant, mutant.seeds(), 2);
        let (_, run) = caught.by.unwrap_or_else(|| panic!("{} was not found", mutant.name()));
        let small = shrink(&run.plan, &experiment, 40).unwrap();
        assert!(small.plan.faults.len() <= run.plan.faults.len().min(4), "{:?}", small.plan.faults);
    }
}

#[test]
fn a_fault_of_the_file_that_finds_nobody_is_no_pass() {
    let text = "
format = 1
name = \"nobody\"
duration = \"10s\"
[topology]
regions = { eu = 1 }
[[fault]]
kind = \"kill\"
at = \"5s\"
target = \"role:learner\"
";
    let experiment = Experiment::parse(text).unwrap();
    let run = Run::of(&expand(&experiment, 1), &experiment);
    assert_eq!(run.verdict(), Verdict::Inconclusive, "{:?}", run.doubts);
}
