use super::*;
use crate::agreement::Subject;
use crate::test_bench::Bench;
use proptest::prelude::*;
use std::collections::BTreeSet;

const REGIONS: [&str; 3] = ["a", "b", "c"];

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        3 => (1u64..10).prop_map(Subject::Node),
        1 => (0usize..3).prop_map(|n| Subject::Region(REGIONS[n].into())),
    ]
}

fn subjects() -> impl Strategy<Value = BTreeSet<Subject>> {
    prop::collection::btree_set(subject(), 0..4)
}

prop_compose! {
    fn situation()(
        failed in subjects(),
        draining in subjects(),
        suspect in prop::collection::btree_set(1u64..10, 0..2),
        capacity in prop::collection::btree_map(1u64..10, 0u64..120, 5..10),
        demand in prop::collection::btree_map(0u32..16, 0u64..60, 0..16),
        positions in prop::collection::vec((0u32..16, 0usize..3, 0u64..30_000), 0..20),
    ) -> Situation {
        let checkpoints =
            positions.into_iter().map(|(w, r, p)| ((w, REGIONS[r].into()), p)).collect();
        Situation { failed, draining, suspect, capacity, demand, checkpoints }
    }
}

/// Nine nodes in three regions, and workloads with owners in one of their two, or none.
fn cluster(workloads: &[(usize, usize, Option<u64>)]) -> Bench {
    let nodes: Vec<_> = (1..10).map(|n| (n, REGIONS[n as usize % 3])).collect();
    let mut bench = Bench::of(&nodes);
    for (number, (home, failover, owner)) in (0..).zip(workloads) {
        bench.define(number, REGIONS[*home], REGIONS[*failover]);
        let fits = |o: &u64| [*home, *failover].contains(&(*o as usize % 3));
        if let Some(owner) = owner.filter(fits) {
            bench.assign(number, Some(owner));
        }
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the situation: the log takes every command, a second plan is empty, new owners are
    /// sound and not overloaded, and what was in order at home stays.
    #[test]
    fn a_plan_is_taken_whole_and_leaves_nothing_to_plan(
        workloads in prop::collection::vec(
            (0usize..3, 0usize..3, prop::option::of(1u64..10)), 0..16,
        ),
        situation in situation(),
        elsewhere in any::<bool>(),
        failback in any::<bool>(),
    ) {
        let mut bench = cluster(&workloads);
        let before = bench.log.clone();
        let policy = Policy { elsewhere, failback };
        let first = plan(&bench.log, &situation, policy);
        for command in first.commands() {
            bench.run(command);
        }
        let second = plan(&bench.log, &situation, policy);
        prop_assert!(second.is_empty(), "{first}then\n{second}");
        prop_assert_eq!(&second.unplaced, &first.unplaced);

        let after = Placement::new(&bench.log, &situation);
        for step in &first.steps {
            prop_assert_eq!(after.standing(step.to.0), Standing::Sound);
            prop_assert!(!situation.suspect.contains(&step.to.0));
            prop_assert!(after.fill_with(step.to.0, 0) <= FULL, "{first}");
            let old = &before.workloads().all()[&step.workload];
            let sound = old.owner.is_some_and(|o| after.standing(o) == Standing::Sound);
            let at_home = old.owner.and_then(|o| after.region(o)) == Some(&old.home);
            prop_assert!(!(sound && at_home), "{}", step);
        }
        for number in first.unplaced.keys() {
            let owner = bench.log.workloads().all()[number].owner;
            prop_assert!(owner.is_none_or(|o| after.standing(o) != Standing::Sound));
        }
    }
}
