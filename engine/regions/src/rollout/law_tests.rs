//! What holds whatever comes in which order.

use super::*;
use crate::control_log::Reply;
use crate::test_bench::Bench;
use proptest::prelude::*;

const SETTINGS: Settings = Settings { budget: 1e-5 };
const NODES: [(u64, &str); 5] = [(1, "eu"), (2, "eu"), (3, "us"), (4, "us"), (5, "ap")];

/// Something that happens.
#[derive(Clone, Debug)]
enum Happens {
    /// A node is ready with a bundle.
    Ready { bundle: usize, node: u64 },
    /// A node has judged so many more rows.
    Rows { node: u64, rows: u64 },
    /// A report is lost with the leader that had it.
    NewLeader,
    /// Time goes by, and the leader acts.
    Step { seconds: u64 },
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0..3usize, 1..6u64).prop_map(|(bundle, node)| Happens::Ready { bundle, node }),
        (1..6u64, 1..400u64).prop_map(|(node, rows)| Happens::Rows { node, rows }),
        Just(Happens::NewLeader),
        (0..30u64).prop_map(|seconds| Happens::Step { seconds }),
    ]
}

/// A cluster whose nodes measure what is true of three bundles, the second of which is poisoned.
struct World {
    bench: Bench,
    machine: Controller,
    now: u64,
    /// By node, bundle and stage: rows judged.
    rows: BTreeMap<(u64, u64, u64), u64>,
    versions: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let mut bench = Bench::of(&NODES);
        let versions = (1..=3u8).map(|hash| {
            let new = Command::RegisterBundle { hash: [hash; 32], evidence: "".into() };
            let Reply::Version(version) = bench.run(new) else { panic!() };
            bench.run(Command::SetFlag { name: auto_flag(version), value: Some("1".into()) });
            version
        });
        let versions = versions.collect();
        let machine = Controller::new(SETTINGS);
        Self { bench, machine, now: 0, rows: BTreeMap::new(), versions }
    }

    fn reports(&self) -> Reports {
        let mut reports = Reports::new();
        for ((node, version, since), rows) in &self.rows {
            let (rows, poisoned) = (*rows, *version == self.versions[1]);
            let uses = self.bench.log.bundles().used_in(region(*node)) == Some(*version);
            let new = if poisoned { rows * 9 / 10 } else { rows / 1_000 };
            let pairs = Pairs { rows, new, ..Pairs::default() };
            let live = Live { rows, alarms: new, batches: rows / 50, late: 0 };
            let none = Live::default();
            let (with, without) = if uses { (live, none) } else { (none, live) };
            let (version, since) = (*version, *since);
            let report = Report { version, since, uses, pairs, with, without };
            reports.entry(*node).or_default().push(report);
        }
        reports
    }

    fn take(&mut self, happens: &Happens) {
        match happens {
            Happens::Ready { bundle, node } => {
                let version = self.versions[*bundle];
                let known = self.bench.log.bundles().all();
                if !matches!(known[&version].stage, Stage::Registered | Stage::RolledBack) {
                    let (node, evidence) = (*node, "".into());
                    self.bench.run(Command::ReadyBundle { version, node, evidence });
                }
            }
            Happens::Rows { node, rows } => {
                let bundles = self.bench.log.bundles().all();
                let of = bundles.iter().map(|(version, b)| (*node, *version, b.since()));
                for key in of.collect::<Vec<_>>() {
                    *self.rows.entry(key).or_default() += rows;
                }
            }
            Happens::NewLeader => self.machine = Controller::new(SETTINGS),
            Happens::Step { seconds } => {
                self.now += seconds;
                let now = Duration::from_secs(self.now);
                let reports = self.reports();
                for command in self.machine.step(now, &self.bench.log, &reports) {
                    // None of them is refused: the bench looks.
                    self.bench.run(command);
                }
            }
        }
    }

    fn stage(&self, bundle: usize) -> &Stage {
        &self.bench.log.bundles().all()[&self.versions[bundle]].stage
    }
}

fn region(node: u64) -> &'static str {
    NODES.iter().find(|(n, _)| *n == node).unwrap().1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn never_are_two_active_nor_tried_and_poison_is_never_active(
        all in prop::collection::vec(happens(), 1..120)
    ) {
        let mut world = World::new();
        for happens in &all {
            world.take(happens);
            let stages: Vec<&Stage> = (0..3).map(|b| world.stage(b)).collect();
            let active = stages.iter().filter(|s| ***s == Stage::Active).count();
            let tried = stages.iter().filter(|s| matches!(s, Stage::Canary(_))).count();
            prop_assert!(active <= 1 && tried <= 1, "{stages:?}");
            prop_assert_ne!(world.stage(1), &Stage::Active);
        }
        // Whatever was before: in time poison is taken back and one that is good is active.
        for _ in 0..12 {
            for node in 1..=5 {
                for bundle in 0..3 {
                    world.take(&Happens::Ready { bundle, node });
                }
                world.take(&Happens::Rows { node, rows: 300 });
                world.take(&Happens::Step { seconds: 0 });
            }
            world.take(&Happens::Step { seconds: 61 });
        }
        prop_assert_eq!(world.stage(1), &Stage::RolledBack);
        let good = [world.stage(0), world.stage(2)];
        prop_assert!(good.contains(&&Stage::Active), "{:?}", good);
    }
}
