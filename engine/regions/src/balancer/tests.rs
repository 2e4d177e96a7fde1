use super::*;
use crate::agreement::Subject;
use crate::failover::{Policy, plan};
use crate::test_bench::Bench;
use proptest::prelude::*;

const REGIONS: [&str; 3] = ["a", "b", "c"];

/// Round trips of 40 ms between a and b, 200 ms to c; 100 ms is the bound.
fn latency() -> Latency {
    let mut between = BTreeMap::new();
    for (x, y, ms) in [("a", "b", 40), ("a", "c", 200), ("b", "c", 200)] {
        between.insert((x.into(), y.into()), Duration::from_millis(ms));
        between.insert((y.into(), x.into()), Duration::from_millis(ms));
    }
    Latency { between, bound: Duration::from_millis(100) }
}

/// Nodes `1..=nodes`, in turn in a, b and c, of capacity 100; workloads with home, owner, demand.
fn cluster(nodes: u64, workloads: &[(usize, u64, u64)]) -> (Bench, Situation) {
    let all: Vec<_> = (1..=nodes).map(|n| (n, REGIONS[(n as usize - 1) % 3])).collect();
    let mut bench = Bench::of(&all);
    let capacity = (1..=nodes).map(|n| (n, 100)).collect();
    let mut situation = Situation { capacity, ..Situation::default() };
    for (number, (home, owner, demand)) in (0..).zip(workloads) {
        bench.define(number, REGIONS[*home], REGIONS[(home + 1) % 3]);
        bench.assign(number, Some(*owner));
        situation.demand.insert(number, *demand);
    }
    (bench, situation)
}

fn balance(bench: &Bench, situation: &Situation) -> Round {
    round(&bench.log, situation, &latency(), &BTreeMap::new(), Duration::ZERO)
}

#[test]
fn the_score_is_what_its_formula_says() {
    // Of 100, 60 are far away at node 3; fair would be a third each.
    let (bench, situation) = cluster(3, &[(0, 1, 40), (1, 3, 60)]);
    let found = score(&bench.log, &situation, &latency());
    let third = 100.0 / 3.0;
    let apart = (40.0 - third) + third + (60.0 - third);
    assert_eq!((found.served, found.quick), (1.0, 0.4));
    assert!((found.even - (1.0 - apart / 200.0)).abs() < 1e-12);
    assert!((found.value() - 0.4 * found.even).abs() < 1e-12);
    // Nobody serves what a failed node has, and nothing is to be wished for where nothing is.
    let failed = [Subject::Node(3)].into();
    let found = score(&bench.log, &Situation { failed, ..situation }, &latency());
    assert_eq!((found.served, found.quick), (0.4, 1.0));
    let (empty, nothing) = cluster(3, &[]);
    assert_eq!(score(&empty.log, &nothing, &latency()).value(), 1.0);
}

#[test]
fn moves_stay_in_the_region_while_it_has_room() {
    let (bench, situation) = cluster(6, &[(0, 1, 30), (0, 1, 30), (1, 2, 30), (2, 3, 30)]);
    let round = balance(&bench, &situation);
    let moves: Vec<_> = round.moves.iter().map(|m| (m.workload, m.from, m.to)).collect();
    assert_eq!(moves, [(0, 1, 4)]);
    let text = "balance 0.500 (served 1.000, quick 1.000, even 0.500)\n\
                workload 0: node 1 -> node 4, balance +0.1667 (epoch 1)\n\
                balance then 0.667 (served 1.000, quick 1.000, even 0.667)\n";
    assert_eq!(round.to_string(), text);
}

#[test]
fn what_just_moved_stays() {
    let (bench, situation) = cluster(6, &[(0, 1, 30), (0, 1, 30)]);
    let moved = [(0, Duration::from_secs(100)), (1, Duration::from_secs(100))].into();
    let at = |secs| {
        let now = Duration::from_secs(secs);
        round(&bench.log, &situation, &latency(), &moved, now).moves.len()
    };
    assert_eq!((at(159), at(160)), (0, 1));
}

#[test]
fn it_leaves_home_only_from_a_full_node_and_not_too_far() {
    // Node 1 is the only one of a, and full but not too full.
    let (bench, mut situation) = cluster(3, &[(0, 1, 50), (0, 1, 50)]);
    assert_eq!(balance(&bench, &situation).moves, []);
    situation.demand.insert(0, 60);
    assert_eq!(balance(&bench, &situation).moves[0].to, 2);
    // From b the failover region is c, which is too far.
    let (bench, situation) = cluster(3, &[(1, 2, 60), (1, 2, 60)]);
    assert_eq!(balance(&bench, &situation).moves, []);
    // One that is away and too far goes home.
    let (bench, situation) = cluster(3, &[(1, 3, 60)]);
    assert_eq!(balance(&bench, &situation).moves[0].to, 2);
}

#[test]
fn a_skewed_cluster_gets_even_in_few_rounds_and_moves() {
    // Twelve nodes; in each region one node has all of its region's twenty workloads.
    let workloads: Vec<_> =
        (0..60).map(|n| (n % 3, n as u64 % 3 + 1, 5 + (n as u64 * 7) % 6)).collect();
    let (mut bench, situation) = cluster(12, &workloads);
    let (mut rounds, mut moves) = (0, 0);
    let before = balance(&bench, &situation).before;
    loop {
        let round = balance(&bench, &situation);
        if round.moves.is_empty() {
            break;
        }
        rounds += 1;
        moves += round.moves.len();
        round.moves.iter().for_each(|m| drop(bench.run(m.command())));
    }
    let place = Placement::new(&bench.log, &situation);
    let loads: Vec<u64> = (1..=12).map(|n| place.load(n)).collect();
    let mean = loads.iter().sum::<u64>() as f64 / 12.0;
    let most = loads.iter().copied().max().unwrap() as f64 / mean;
    let after = score(&bench.log, &situation, &latency());
    println!("{before} to {after} in {rounds} rounds, {moves} moves; fullest {most:.2} of mean");
    // Of each region three quarters have to move, and c has 1.13 times the mean to bear by itself.
    assert!(moves <= 45 && rounds <= 6 && most < 1.2 && after.value() > 0.94);
    // A node that is added gets something, and little moves. It gets less than its share: its
    // region bears less than the mean, which is what the score measures by.
    bench.run(Command::JoinNode {
        node: 13,
        name: "n13".into(),
        region: "a".into(),
        address: "h:1".into(),
        incarnation: 1,
    });
    bench.run(Command::AdmitNode { node: 13 });
    let mut situation = situation;
    situation.capacity.insert(13, 100);
    let round = balance(&bench, &situation);
    assert!(round.moves.iter().any(|m| m.to == 13) && round.moves.len() <= 5, "{round}");
}

prop_compose! {
    fn any_cluster()(
        workloads in prop::collection::vec((0usize..3, 0u64..3, any::<bool>(), 1u64..50), 1..24),
        failed in prop::collection::btree_set((1u64..10).prop_map(Subject::Node), 0..3),
        suspect in prop::collection::btree_set(1u64..10, 0..2),
        capacity in prop::collection::btree_map(1u64..10, 0u64..200, 6..10),
    ) -> (Bench, Situation) {
        let place = |(home, nth, away, demand): (usize, u64, bool, u64)| {
            let region = (home + usize::from(away)) % 3;
            (home, 3 * nth + region as u64 + 1, demand)
        };
        let workloads: Vec<_> = workloads.into_iter().map(place).collect();
        let (bench, situation) = cluster(9, &workloads);
        (bench, Situation { failed, suspect, capacity, ..situation })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_move_overloads_and_each_raises_the_score(cluster in any_cluster()) {
        let (mut bench, situation) = cluster;
        let round = balance(&bench, &situation);
        prop_assert!(round.moves.len() <= MOVES);
        let mut last = score(&bench.log, &situation, &latency());
        prop_assert_eq!(last, round.before);
        let once: BTreeSet<u32> = round.moves.iter().map(|m| m.workload).collect();
        prop_assert_eq!(once.len(), round.moves.len());
        for step in &round.moves {
            bench.run(step.command());
            let place = Placement::new(&bench.log, &situation);
            prop_assert!(place.fill_with(step.to, 0) <= HOME_FULL);
            prop_assert_eq!(place.standing(step.to), Standing::Sound);
            prop_assert!(!situation.suspect.contains(&step.to));
            let now = score(&bench.log, &situation, &latency());
            let gain = now.value() - last.value();
            prop_assert!((gain - step.gain).abs() < 1e-9 && gain > MOVE_GAIN - 1e-9, "{round}");
            prop_assert!((0.0..=1.0).contains(&now.value()));
            last = now;
        }
        prop_assert!((last.value() - round.after.value()).abs() < 1e-9);
        prop_assert!(round.moves.is_empty() || last.value() - round.before.value() > 0.0049);
    }

    /// Failover and the balancer want the same: in turn they come to rest.
    #[test]
    fn balancer_and_failover_do_not_undo_each_other(cluster in any_cluster()) {
        let (mut bench, situation) = cluster;
        for _ in 0..60 {
            let plan = plan(&bench.log, &situation, Policy::default());
            plan.commands().for_each(|c| drop(bench.run(c)));
            let round = balance(&bench, &situation);
            round.moves.iter().for_each(|m| drop(bench.run(m.command())));
            if plan.is_empty() && round.moves.is_empty() {
                return Ok(());
            }
        }
        prop_assert!(false, "they move on and on");
    }
}
