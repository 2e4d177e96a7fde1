//! Three regions: who owns what, and what becomes of it when nodes are cut off.

use super::*;
use crate::coordinator::View;
use ::regions::orders::{self, Order};
use ::regions::spread::{SHARDS, WORKLOADS};

struct Three {
    world: World,
    nodes: [Member; 3],
}

const NAMES: [&str; 3] = ["eu-1", "us-1", "ap-1"];

impl Three {
    /// Three regions of a node, each with its part of the workloads.
    async fn start() -> Self {
        let world = World::new();
        let eu = world.node("eu-1", 1, 1, &[]).await;
        timeout(LONG, eu.admitted()).await.unwrap();
        let us = world.join("us-1", "eu-1").await;
        let ap = world.join("ap-1", "eu-1").await;
        let three = Self { world, nodes: [eu, us, ap] };
        three.until_shared(&[22, 21, 21]).await;
        three
    }

    /// Until the nodes act for so many workloads, most first.
    async fn until_shared(&self, counts: &[usize]) {
        self.look(LONG, "the workloads are shared out", || {
            let mut acting = self.nodes.each_ref().map(|n| n.ownership().acting().len());
            acting.sort_unstable_by(|a, b| b.cmp(a));
            acting[..counts.len()] == *counts && acting.iter().sum::<usize>() == 64
        })
        .await;
    }

    /// Looks until it holds, and that never two act for one workload.
    async fn look(&self, within: Duration, what: &str, mut holds: impl FnMut() -> bool) {
        let since = Instant::now();
        while !holds() {
            let all = self.nodes.each_ref().map(|n| n.ownership());
            for workload in 0..WORKLOADS {
                // Who acts is asked one after the other: an epoch that was over in between is none.
                let epochs: Vec<u64> = all.iter().filter_map(|o| o.acts(workload)).collect();
                let still = all.iter().filter(|o| o.acts(workload).is_some()).count();
                assert!(epochs.len() < 2 || still < 2, "{workload}: {epochs:?} act at once");
            }
            if since.elapsed() > within {
                let views = self.nodes.each_ref().map(|n| format!("{:?}", n.regions()));
                panic!("not within {within:?}: {what}: {views:#?}");
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn view(&self, node: usize) -> View {
        self.nodes[node].regions()
    }

    fn leader(&self) -> usize {
        self.nodes.iter().position(|n| n.regions().leads).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_owned_has_one_owner_with_a_later_epoch_in_time() {
    let three = Three::start().await;
    // Not the leader first, then the one that leads.
    let gone = (three.leader() + 1) % 3;
    let before = three.view(three.leader()).workloads;
    let theirs: Vec<u32> = three.nodes[gone].ownership().acting().into_keys().collect();
    assert!(theirs.len() >= 21, "{theirs:?}");
    three.world.cuts.cut_off(&[NAMES[gone]]);
    let others: Vec<_> = (0..3).filter(|n| *n != gone).collect();
    let owners = others.iter().map(|n| three.nodes[*n].ownership()).collect::<Vec<_>>();
    three
        .look(Duration::from_secs(5), "others act for all that it owned", || {
            theirs.iter().all(|w| {
                let epoch = owners.iter().find_map(|o| o.acts(*w));
                epoch.is_some_and(|epoch| epoch > before[w].epoch)
            })
        })
        .await;
    // Both others got about half of it, and nothing else has moved.
    let after = three.view(others[0]).workloads;
    for node in &others {
        let id = three.nodes[*node].status().id;
        let got = theirs.iter().filter(|w| after[w].owner == Some(id)).count();
        assert!((6..=15).contains(&got), "node {id} got {got}");
    }
    assert!(before.iter().all(|(w, b)| theirs.contains(w) || after[w] == *b));
    // What it still sends is refused.
    let fence = three.nodes[others[0]].fence();
    assert!(fence.admit(theirs[0], before[&theirs[0]].epoch).is_err());
    assert!(fence.admit(theirs[0], after[&theirs[0]].epoch).is_ok());
    // It saw nothing of this, and acts no more.
    assert_eq!(three.view(gone).workloads, before);
    assert!(three.nodes[gone].ownership().acting().is_empty());
    // It is back, and has what is at home there again.
    three.world.cuts.heal();
    three.until_shared(&[22, 21, 21]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_changes_nothing_and_loses_what_it_has() {
    let three = Three::start().await;
    let leader = three.leader();
    let before = three.view(leader).workloads;
    three.world.cuts.cut_off(&[NAMES[leader]]);
    let others = (0..3).filter(|n| *n != leader);
    let owners: Vec<_> = others.map(|n| three.nodes[n].ownership()).collect();
    three
        .look(Duration::from_secs(8), "the others act for all", || {
            owners.iter().map(|o| o.acting().len()).sum::<usize>() == 64
        })
        .await;
    assert_eq!(three.view(leader).workloads, before, "a minority moved something");
    assert!(three.nodes[leader].ownership().acting().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_acts_when_all_are_apart_and_all_is_as_before_when_they_meet() {
    let three = Three::start().await;
    let before = three.view(0).workloads;
    three.world.cuts.cut_off(&NAMES);
    three
        .look(Duration::from_secs(8), "all leases lapse", || {
            three.nodes.iter().all(|n| n.ownership().acting().is_empty())
        })
        .await;
    sleep(Duration::from_secs(3)).await;
    assert!(three.nodes.iter().all(|n| n.regions().workloads == before), "somebody moved alone");
    three.world.cuts.heal();
    three.until_shared(&[22, 21, 21]).await;
    assert_eq!(three.view(0).workloads, before, "owners changed although nobody failed alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_is_emptied_and_filled_again_as_the_plan_says() {
    let three = Three::start().await;
    let ask = |order| Ask::WouldMove { region: "us".into(), order };
    let planned = async |order| match three.world.ask(&NAMES, ask(order)).await {
        Told::Moves(moves) => moves,
        other => panic!("{other:?}"),
    };
    let owners = || {
        let workloads = three.view(three.leader()).workloads;
        workloads.into_iter().map(|(w, v)| (w, v.owner.unwrap())).collect::<BTreeMap<u32, u64>>()
    };
    assert!(matches!(
        three.world.ask(&NAMES, Ask::WouldMove { region: "xx".into(), order: None }).await,
        Told::Refused(_)
    ));
    for order in [Order::Drain, Order::Isolate] {
        let before = owners();
        let plan = planned(Some(order)).await;
        assert_eq!((plan.steps.len(), plan.unplaced.len()), (21, 0));
        let mut expected = before.clone();
        expected.extend(plan.steps.iter().map(|s| (s.workload, s.to)));
        three.nodes[1].propose(orders::command("us", Some(order))).await.unwrap();
        three.look(LONG, "it is empty", || owners() == expected).await;
        let others = [&three.nodes[0], &three.nodes[2]].map(Member::ownership);
        three
            .look(LONG, "the others act for all", || {
                others.iter().map(|o| o.acting().len()).sum::<usize>() == 64
            })
            .await;
        assert!(three.nodes[1].ownership().acting().is_empty());
        // Nothing is left to do, and taking the order back is the way home.
        assert_eq!(planned(Some(order)).await.steps, []);
        let home = planned(None).await;
        assert_eq!(home.steps.len(), 21);
        three.nodes[1].propose(orders::command("us", None)).await.unwrap();
        three.look(LONG, "all is home", || owners() == before).await;
        three.until_shared(&[22, 21, 21]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shard_leads_to_its_owner_on_every_node() {
    let three = Three::start().await;
    let mut changes = three.nodes[0].ownership().changes();
    changes.mark_unchanged();
    let all = three.nodes.each_ref().map(|n| n.ownership());
    for shard in 0..SHARDS {
        let owned = all[0].of_shard(shard).unwrap();
        assert_eq!(all[0].workload_of(shard), Some(owned.workload));
        assert_eq!((all[1].of_shard(shard), all[2].of_shard(shard)), {
            let same = Some(Arc::clone(&owned));
            (same.clone(), same)
        });
        let owner = NAMES.iter().position(|n| *n == owned.name).unwrap();
        assert_eq!(all[owner].acts(owned.workload), Some(owned.epoch));
        assert_eq!(owned.address, owned.name, "members here listen at their names");
    }
    assert_eq!(all[0].of_shard(SHARDS), None);
    three.nodes[0].propose(orders::command("eu", Some(Order::Drain))).await.unwrap();
    timeout(LONG, changes.changed()).await.unwrap().unwrap();
}
