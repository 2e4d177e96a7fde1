//! Which workloads a cluster has, and in which region each is at home.
//!
//! The rule: there are [`WORKLOADS`], each of the same number of shards after one another. A region
//! with an admitted node is *open*. Each open region is home of as many as any other when it opens;
//! after that nothing is evened out, so that what a person placed stays. The failover region of a
//! workload is another open one, not the same for all of a region, so that what one region loses is
//! spread over the others. What is at home where nothing is open any more keeps its home: failover
//! has its owners elsewhere, and the region may come back.

use crate::control_log::{Command, ControlLog, Workload};
use std::collections::BTreeMap;
use threat::Text;

/// Shards of a cluster. An entity's shard is its hash modulo this number, for the life of the
/// cluster; so many that the nodes of the largest cluster have one each, and that a million
/// entities give about 4,000 to each, whose state is a megabyte: quickly moved.
pub const SHARDS: u32 = 256;

/// Workloads of a cluster: several for each node up to some twenty nodes, so that load moves in
/// parts of a few percent; few enough that all leases of a node are renewed in one small message.
pub const WORKLOADS: u32 = 64;

/// Shards of each.
const EACH: u32 = SHARDS / WORKLOADS;

/// What to ask of the log, so that the rule holds; nothing when it does.
pub fn commands(log: &ControlLog) -> Vec<Command> {
    let nodes = log.nodes();
    let is_open = |r: &&Text| nodes.present().values().any(|n| n.admitted && n.region == **r);
    let open: Vec<&Text> = nodes.regions().iter().filter(is_open).collect();
    if open.is_empty() {
        return Vec::new();
    }
    if holds(log, &open) {
        return Vec::new();
    }
    let known = log.workloads().all();
    let mut homes: BTreeMap<u32, &Text> = known.iter().map(|(n, w)| (*n, &w.home)).collect();
    let missing =
        (0..WORKLOADS).filter(|n| !known.contains_key(n) && free(log, *n).next().is_some());
    for number in missing.collect::<Vec<_>>() {
        homes.insert(number, fewest(&homes, &open));
    }
    for region in &open {
        if !homes.values().any(|home| home == region) {
            take_part(&mut homes, region, open.len());
        }
    }
    let command = |(number, home): (&u32, &&Text)| match known.get(number) {
        Some(workload) => rehome(*number, workload, home, &open),
        None => Some(Command::DefineWorkload {
            workload: *number,
            shards: free(log, *number).collect(),
            home: (*home).clone(),
            failover: failover(*number, home, &open).clone(),
        }),
    };
    homes.iter().filter_map(command).collect()
}

/// Whether the rule holds, as it does most of the time; asked by the leader all the time.
fn holds(log: &ControlLog, open: &[&Text]) -> bool {
    let all = log.workloads().all();
    let is_home = |region: &&Text| all.values().any(|workload| workload.home == **region);
    all.range(..WORKLOADS).count() == WORKLOADS as usize
        && open.iter().all(is_home)
        && (open.len() < 2 || all.values().all(|workload| workload.failover != workload.home))
}

/// The shards of a workload without those that a person put into another one.
fn free(log: &ControlLog, number: u32) -> impl Iterator<Item = u32> + '_ {
    let shards = number * EACH..(number + 1) * EACH;
    shards.filter(|shard| log.workloads().of_shard(*shard).is_none())
}

fn count(homes: &BTreeMap<u32, &Text>, region: &Text) -> usize {
    homes.values().filter(|home| **home == region).count()
}

/// The open region that is home of the fewest.
fn fewest<'a>(homes: &BTreeMap<u32, &Text>, open: &[&'a Text]) -> &'a Text {
    let mut least = open[0];
    for region in open {
        if count(homes, region) < count(homes, least) {
            least = region;
        }
    }
    least
}

/// A region that has opened gets its part, one by one from whoever has most.
fn take_part<'a>(homes: &mut BTreeMap<u32, &'a Text>, region: &'a Text, open: usize) {
    for _ in 0..homes.len() / open {
        let of = |number: &u32| count(homes, homes[number]);
        let Some(most) = homes.keys().rev().copied().max_by_key(of) else { return };
        homes.insert(most, region);
    }
}

/// Another open region; the same when there is no other.
fn failover<'a>(number: u32, home: &'a Text, open: &[&'a Text]) -> &'a Text {
    let others: Vec<&Text> = open.iter().copied().filter(|r| *r != home).collect();
    // By its place within the home's workloads it would change with each of them.
    let at = (number / open.len() as u32) as usize % others.len().max(1);
    others.get(at).copied().unwrap_or(home)
}

/// Changes the regions where the home is another now, or the failover region is the home although
/// there are others.
fn rehome(number: u32, known: &Workload, home: &Text, open: &[&Text]) -> Option<Command> {
    let moved = known.home != *home;
    let alone = known.failover == *home && open.len() > 1;
    // Where it was at home its state is.
    let stays = moved && open.contains(&&known.home);
    let failover = match (moved || alone, stays) {
        (false, _) => return None,
        (true, true) => &known.home,
        (true, false) => failover(number, home, open),
    };
    Some(Command::RehomeWorkload {
        workload: number,
        home: home.clone(),
        failover: failover.clone(),
        expected_home: known.home.clone(),
        expected_failover: known.failover.clone(),
        expected_epoch: known.epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_bench::Bench;

    fn apply(bench: &mut Bench) -> usize {
        let commands = commands(&bench.log);
        let count = commands.len();
        commands.into_iter().for_each(|c| drop(bench.run(c)));
        assert_eq!(super::commands(&bench.log), [], "the rule does not hold after it was applied");
        count
    }

    fn homes(bench: &Bench) -> BTreeMap<&str, usize> {
        let mut homes = BTreeMap::new();
        for workload in bench.log.workloads().all().values() {
            *homes.entry(&*workload.home).or_default() += 1;
        }
        homes
    }

    fn join(bench: &mut Bench, node: u64, region: &str) {
        bench.run(Command::AddRegion { region: region.into() });
        let (name, address) = (format!("n{node}").into(), "h:1".into());
        let region = region.into();
        bench.run(Command::JoinNode { node, name, region, address, incarnation: 1 });
        bench.run(Command::AdmitNode { node });
    }

    #[test]
    fn every_shard_is_in_one_workload_and_regions_have_equal_parts() {
        let mut bench = Bench::of(&[(1, "a"), (2, "b"), (3, "b"), (4, "c")]);
        assert_eq!(apply(&mut bench), WORKLOADS as usize);
        assert!((0..SHARDS).all(|s| bench.log.workloads().of_shard(s).is_some()));
        assert_eq!(bench.log.workloads().of_shard(SHARDS), None);
        assert_eq!(homes(&bench), [("a", 22), ("b", 21), ("c", 21)].into());
        // What one region loses goes to both others, in about equal parts.
        let of_a = bench.log.workloads().all().values().filter(|w| w.home == "a");
        let to_b = of_a.clone().filter(|w| w.failover == "b").count();
        assert!((8..=14).contains(&to_b), "{to_b} of 22");
        assert!(of_a.clone().all(|w| w.failover != "a"));
    }

    #[test]
    fn regions_that_open_later_get_their_part_and_the_rest_stays() {
        let mut bench = Bench::of(&[(1, "a")]);
        apply(&mut bench);
        assert_eq!(homes(&bench), [("a", 64)].into());
        join(&mut bench, 2, "b");
        // 32 change their home, and the others get a failover region.
        assert_eq!(apply(&mut bench), 64);
        join(&mut bench, 3, "c");
        assert_eq!(apply(&mut bench), 21);
        assert_eq!(homes(&bench), [("a", 22), ("b", 21), ("c", 21)].into());
        assert!(bench.log.workloads().all().values().all(|w| w.failover != w.home));
        // Another node in a region that is open changes nothing.
        join(&mut bench, 4, "c");
        assert_eq!(apply(&mut bench), 0);
    }

    #[test]
    fn what_a_person_placed_stays() {
        let mut bench = Bench::of(&[(1, "a"), (2, "b"), (3, "c")]);
        bench.run(Command::DefineWorkload {
            workload: 900,
            shards: [5].into(),
            home: "c".into(),
            failover: "c".into(),
        });
        apply(&mut bench);
        let known = &bench.log.workloads().all()[&900];
        assert_eq!((known.home.as_str(), known.failover.as_str()), ("c", "a"));
        assert_eq!(bench.log.workloads().of_shard(5).unwrap().home, "c");
        assert!((0..SHARDS).all(|s| bench.log.workloads().of_shard(s).is_some()));
        for workload in 0..10 {
            if bench.log.workloads().all().contains_key(&workload) {
                let (home, failover) = ("b".into(), "a".into());
                bench.run(Command::PlaceWorkload { workload, home, failover });
            }
        }
        assert_eq!(apply(&mut bench), 0);
    }

    #[test]
    fn two_who_plan_at_once_do_it_once() {
        let mut bench = Bench::of(&[(1, "a")]);
        apply(&mut bench);
        join(&mut bench, 2, "b");
        let plan = commands(&bench.log);
        apply(&mut bench);
        let before = bench.log.workloads().clone();
        for (n, command) in (10_000..).zip(plan) {
            let client = crate::control_log::Client { opened: 0, nonce: 9 };
            let request = crate::control_log::Request { client, sequence: n, command };
            assert!(bench.log.apply(n, &request).refusal().is_some());
        }
        assert_eq!(*bench.log.workloads(), before);
    }
}
