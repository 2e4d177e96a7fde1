use super::*;
use crate::agreement::Subject;
use crate::placement::CATCH_UP;
use crate::test_bench::Bench;

/// Nodes 1 and 2 in a, 3 and 4 in b, 5 in c, each for 100; workload 7 of a and b at node 1.
fn bench() -> (Bench, Situation) {
    let mut bench = Bench::of(&[(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c")]);
    bench.define(7, "a", "b");
    bench.assign(7, Some(1));
    let capacity = (1..=5).map(|n| (n, 100)).collect();
    (bench, Situation { capacity, demand: [(7, 60)].into(), ..Situation::default() })
}

fn apply(bench: &mut Bench, plan: &Plan) {
    plan.commands().for_each(|c| drop(bench.run(c)));
}

fn owner(bench: &Bench, workload: u32) -> Option<u64> {
    bench.log.workloads().all()[&workload].owner
}

fn region(name: &str) -> Subject {
    Subject::Region(name.into())
}

#[test]
fn what_is_in_order_is_not_touched() {
    let (bench, mut situation) = bench();
    // One that is merely late keeps what it has, and so does one that is full.
    situation.suspect.insert(1);
    situation.capacity.insert(1, 10);
    let plan = plan(&bench.log, &situation, Policy::default());
    assert_eq!(plan.to_string(), "nothing has to move\n");
}

#[test]
fn a_node_that_failed_is_replaced_at_home() {
    let (bench, mut situation) = bench();
    situation.failed.insert(Subject::Node(1));
    let first = plan(&bench.log, &situation, Policy::default());
    let text = "workload 7: node 1 (a) -> node 2 (a), 60% full; node 1 has failed (epoch 1)\n";
    assert_eq!(first.to_string(), text);
    // Where home does not have the state, the failover region has it.
    situation.checkpoints = [((7, "b".into()), CATCH_UP + 1)].into();
    let second = plan(&bench.log, &situation, Policy::default());
    assert_eq!(second.steps[0].to, (3, "b".into()));
}

#[test]
fn a_region_that_failed_goes_to_the_failover_region_and_home_when_it_caught_up() {
    let (mut bench, mut situation) = bench();
    situation.failed.insert(region("a"));
    let policy = Policy::default();
    let away = plan(&bench.log, &situation, policy);
    let text = "workload 7: node 1 (a) -> node 3 (b), 60% full; region a has failed (epoch 1)\n";
    assert_eq!(away.to_string(), text);
    apply(&mut bench, &away);
    assert!(plan(&bench.log, &situation, policy).is_empty());
    // Home is back, but without what happened since.
    situation.failed.clear();
    situation.checkpoints = [((7, "a".into()), 5), ((7, "b".into()), CATCH_UP + 6)].into();
    assert!(plan(&bench.log, &situation, policy).is_empty());
    situation.checkpoints.insert((7, "a".into()), 6);
    let stay = Policy { failback: false, ..policy };
    assert!(plan(&bench.log, &situation, stay).is_empty());
    let home = plan(&bench.log, &situation, policy);
    assert_eq!(home.steps[0].reason, Reason::Home);
    assert!(home.to_string().contains("checkpoint 10000 events behind"));
    apply(&mut bench, &home);
    assert_eq!(owner(&bench, 7), Some(1));
}

#[test]
fn a_full_home_is_not_gone_back_to() {
    let (mut bench, mut situation) = bench();
    bench.assign(7, Some(3));
    for (workload, node) in [(8, 1), (9, 2)] {
        bench.define(workload, "a", "b");
        bench.assign(workload, Some(node));
        situation.demand.insert(workload, 30);
    }
    // 90% would do for what has no owner, not for what has one.
    assert!(plan(&bench.log, &situation, Policy::default()).is_empty());
    situation.demand.insert(9, 20);
    assert_eq!(plan(&bench.log, &situation, Policy::default()).steps[0].to, (2, "a".into()));
}

#[test]
fn a_drain_empties_a_node_and_stays_where_it_is_when_there_is_no_room() {
    let (mut bench, mut situation) = bench();
    situation.draining.insert(region("a"));
    situation.capacity.extend([(3, 59), (4, 59), (5, 59)]);
    let none = plan(&bench.log, &situation, Policy::default());
    let text = "workload 7: stays, no node can take it; region a is to be emptied\n";
    assert!(none.is_empty() && none.to_string() == text, "{none}");
    situation.capacity.insert(4, 60);
    let plan = plan(&bench.log, &situation, Policy::default());
    apply(&mut bench, &plan);
    assert_eq!(owner(&bench, 7), Some(4));
}

#[test]
fn it_goes_anywhere_only_where_that_is_allowed() {
    let (mut bench, mut situation) = bench();
    situation.failed.extend([region("a"), region("b")]);
    let policy = Policy { elsewhere: false, ..Policy::default() };
    let none = plan(&bench.log, &situation, policy);
    assert_eq!(none.unplaced, [(7, Reason::Failed(region("a")))].into());
    let away = plan(&bench.log, &situation, Policy::default());
    assert!(away.to_string().contains("c becomes its failover region"), "{away}");
    apply(&mut bench, &away);
    assert_eq!(owner(&bench, 7), Some(5));
    assert_eq!(bench.log.workloads().all()[&7].failover, "c");
}

#[test]
fn the_suspect_and_the_unadmitted_get_nothing() {
    let (bench, mut situation) = bench();
    situation.failed.insert(Subject::Node(1));
    situation.suspect.insert(2);
    assert_eq!(plan(&bench.log, &situation, Policy::default()).steps[0].to.0, 3);
    situation.capacity.remove(&3);
    assert_eq!(plan(&bench.log, &situation, Policy::default()).steps[0].to.0, 4);
}

#[test]
fn a_plan_that_was_overtaken_is_refused() {
    let (mut bench, mut situation) = bench();
    situation.failed.insert(Subject::Node(1));
    let plan = plan(&bench.log, &situation, Policy::default());
    bench.assign(7, Some(3));
    let command = plan.commands().next().unwrap();
    let request = crate::control_log::Request {
        client: crate::control_log::Client { opened: 0, nonce: 1 },
        sequence: 1,
        command,
    };
    let reply = bench.log.apply(999, &request);
    assert!(reply.refusal().is_some());
    assert_eq!(owner(&bench, 7), Some(3));
}
