//! The machine, case by case.

use super::*;
use crate::test_bench::Bench;

const SETTINGS: Settings = Settings { budget: 1e-5 };

fn bench() -> Bench {
    Bench::of(&[(1, "eu"), (2, "eu"), (3, "us"), (4, "us"), (5, "ap")])
}

fn register(bench: &mut Bench, hash: u8, auto: bool) -> u64 {
    let register = Command::RegisterBundle { hash: [hash; 32], evidence: "new".into() };
    let crate::control_log::Reply::Version(version) = bench.run(register) else { panic!() };
    if auto {
        bench.run(Command::SetFlag { name: auto_flag(version), value: Some("1".into()) });
    }
    version
}

fn shadow(bench: &mut Bench, version: u64) {
    bench.run(Command::ShadowBundle { version, evidence: "".into() });
    for node in 1..=5 {
        bench.run(Command::ReadyBundle { version, node, evidence: "".into() });
    }
}

fn canary(bench: &mut Bench, version: u64) {
    shadow(bench, version);
    let region = "ap".into();
    bench.run(Command::CanaryBundle { version, region, evidence: "".into() });
}

fn activate(bench: &mut Bench, version: u64) {
    let expected_epoch = bench.log.bundles().epoch();
    bench.run(Command::ActivateBundle { version, expected_epoch, evidence: "".into() });
}

fn report(bench: &Bench, version: u64, pairs: Pairs) -> Report {
    let since = bench.log.bundles().all()[&version].since();
    Report { version, since, pairs, ..Report::default() }
}

fn alarming(rows: u64) -> Pairs {
    Pairs { rows, new: rows * 9 / 10, ..Pairs::default() }
}

fn stage(bench: &Bench, version: u64) -> Stage {
    bench.log.bundles().all()[&version].stage.clone()
}

fn step(machine: &mut Controller, seconds: u64, bench: &mut Bench, reports: &Reports) -> usize {
    let commands = machine.step(Duration::from_secs(seconds), &bench.log, reports);
    for command in &commands {
        bench.run(command.clone());
    }
    commands.len()
}

#[test]
fn a_good_bundle_goes_all_the_way_by_itself_and_no_faster_than_its_evidence() {
    let (mut bench, mut machine) = (bench(), Controller::new(SETTINGS));
    let version = register(&mut bench, 1, true);
    let mut reports = Reports::new();
    assert_eq!(step(&mut machine, 0, &mut bench, &reports), 1);
    assert_eq!(stage(&bench, version), Stage::Shadow);
    assert_eq!(step(&mut machine, 1, &mut bench, &reports), 0, "nobody is ready");
    for node in [1, 3, 5] {
        bench.run(Command::ReadyBundle { version, node, evidence: "".into() });
    }
    let good = Pairs { rows: SHADOW_ROWS, both: 3, new: 1, gone: 1, ..Pairs::default() };
    reports.insert(1, vec![report(&bench, version, good)]);
    assert_eq!(step(&mut machine, 2, &mut bench, &reports), 1);
    // The smallest region that is ready as a whole.
    assert_eq!(stage(&bench, version), Stage::Canary("ap".into()));
    assert_eq!(step(&mut machine, 100, &mut bench, &reports), 0);
    assert_eq!(step(&mut machine, 200, &mut bench, &reports), 0, "it has judged nothing");
    let with = Live { rows: CANARY_ROWS, batches: 50, ..Live::default() };
    let used = Report { uses: true, with, ..report(&bench, version, good) };
    reports.insert(5, vec![used]);
    assert_eq!(step(&mut machine, 201, &mut bench, &reports), 1);
    assert_eq!(stage(&bench, version), Stage::Active);
    // The flag goes when the way is at its end.
    assert_eq!(step(&mut machine, 202, &mut bench, &reports), 1);
    assert!(bench.log.settings().flags().is_empty());
    assert_eq!(step(&mut machine, 203, &mut bench, &reports), 0);
}

#[test]
fn without_the_word_of_an_operator_nothing_goes_forward() {
    let (mut bench, mut machine) = (bench(), Controller::new(SETTINGS));
    let version = register(&mut bench, 1, false);
    let good = Pairs { rows: 100_000, ..Pairs::default() };
    for at in 0..3 {
        let with = Live { rows: 100_000, batches: 500, ..Live::default() };
        let one = Report { uses: true, with, ..report(&bench, version, good) };
        let reports = (1..=5).map(|node| (node, vec![one])).collect();
        for seconds in 0..200 {
            assert_eq!(step(&mut machine, at * 1_000 + seconds, &mut bench, &reports), 0);
        }
        match at {
            0 => shadow(&mut bench, version),
            1 => {
                let (region, evidence) = ("ap".into(), "".into());
                bench.run(Command::CanaryBundle { version, region, evidence });
            }
            _ => {}
        }
    }
}

#[test]
fn what_does_worse_is_taken_back_from_every_stage() {
    let cases: [(&str, Pairs); 3] = [
        ("new alarms", alarming(40)),
        ("votes are missing", Pairs { rows: 60, lacking: 60, ..Pairs::default() }),
        ("scoring is slow", Pairs { rows: 60, micros: 60_000, took: 6_000, ..Pairs::default() }),
    ];
    for (why, pairs) in cases {
        for stages in 0..3 {
            let (mut bench, mut machine) = (bench(), Controller::new(SETTINGS));
            let first = register(&mut bench, 1, false);
            canary(&mut bench, first);
            activate(&mut bench, first);
            let version = register(&mut bench, 2, true);
            match stages {
                0 => shadow(&mut bench, version),
                _ => canary(&mut bench, version),
            }
            if stages == 2 {
                activate(&mut bench, version);
            }
            let reports = Reports::from([(5, vec![report(&bench, version, pairs)])]);
            step(&mut machine, 0, &mut bench, &reports);
            assert_eq!(stage(&bench, version), Stage::RolledBack, "{why}");
            assert_eq!(bench.log.bundles().active(), Some(first));
            let (.., told) = bench.log.bundles().all()[&version].steps.last().unwrap();
            assert!(told.contains(why) && told.contains("\"region\":\"ap\""), "{told}");
            // Put into shadow again, it would not go on by itself.
            step(&mut machine, 1, &mut bench, &reports);
            assert!(bench.log.settings().flags().is_empty());
        }
    }
}

#[test]
fn what_is_late_or_alarms_more_than_other_regions_is_taken_back() {
    let calm = Live { rows: 5_000, alarms: 5, batches: 500, late: 5 };
    let cases = [
        ("more alarms than other regions", Live { rows: 100, alarms: 60, ..Live::default() }),
        ("verdicts are late", Live { rows: 5_000, batches: 100, late: 80, ..Live::default() }),
    ];
    for (why, with) in cases {
        let (mut bench, mut machine) = (bench(), Controller::new(SETTINGS));
        let version = register(&mut bench, 1, false);
        canary(&mut bench, version);
        let own = Report { uses: true, with, ..report(&bench, version, Pairs::default()) };
        let other = Report { without: calm, ..report(&bench, version, Pairs::default()) };
        // In a region that does not use it, numbers like these say nothing of it.
        let elsewhere = Reports::from([(1, vec![own])]);
        assert_eq!(step(&mut machine, 0, &mut bench, &elsewhere), 0);
        let reports = Reports::from([(5, vec![own]), (1, vec![other])]);
        assert_eq!(step(&mut machine, 0, &mut bench, &reports), 1);
        let (_, at, told) = bench.log.bundles().all()[&version].steps.last().unwrap();
        assert!(*at == Stage::RolledBack && told.contains(why), "{told}");
    }
}

#[test]
fn an_attack_that_both_see_and_single_differences_are_no_regression() {
    let fine = [
        Pairs { rows: 1_000, both: 900, ..Pairs::default() },
        Pairs { rows: 1_000, both: 5, new: 3, ..Pairs::default() },
        Pairs { rows: 1_000, new: 60, gone: 50, ..Pairs::default() },
        Pairs { rows: 1_000, lacking: 1_000, lacked: 1_000, ..Pairs::default() },
        Pairs { rows: 29, new: 29, lacking: 29, micros: u64::MAX, ..Pairs::default() },
        Pairs { rows: 1_000, gone: 1_000, ..Pairs::default() },
    ];
    for pairs in fine {
        assert_eq!(regression(&SETTINGS, &pairs, None), None, "{pairs:?}");
    }
    // With an active bundle's alarms in other regions an attack here alone is none, either.
    let attacked = Live { rows: 1_000, alarms: 500, ..Live::default() };
    let both = Pairs { rows: 200, both: 100, ..Pairs::default() };
    assert_eq!(regression(&SETTINGS, &both, Some((&attacked, &Live::default()))), None);
}

#[test]
fn what_was_measured_in_another_stage_says_nothing() {
    let (mut bench, mut machine) = (bench(), Controller::new(SETTINGS));
    let version = register(&mut bench, 1, false);
    shadow(&mut bench, version);
    let old = report(&bench, version, alarming(1_000));
    bench.run(Command::CanaryBundle { version, region: "eu".into(), evidence: "".into() });
    let reports = Reports::from([(1, vec![old]), (77, vec![old])]);
    assert_eq!(step(&mut machine, 0, &mut bench, &reports), 0);
    // Nor does what a node says that is not of the cluster.
    let new = report(&bench, version, alarming(1_000));
    assert_eq!(step(&mut machine, 0, &mut bench, &Reports::from([(77, vec![new])])), 0);
}
