//! Nodes that lose their links, their power and their leader.

mod world;

use super::*;
use regions::control_log::{Command, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use store::sim::SimDisk;
use threat::entropy::Rng;
use tokio::time::{Instant, sleep};
use world::{WITHIN, World, client, flag, simulate};

#[test]
fn three_nodes_survive_the_loss_of_their_leader_and_a_cut() {
    simulate(1, async {
        let world = World::new(1, 3, 5_000).await;
        assert_eq!(world.ask(client(1), 1, flag(1)).await, Reply::Done);
        let first = world.leader().await.status().leader.unwrap();
        world.kill(first).await;
        assert_eq!(world.ask(client(1), 2, flag(2)).await, Reply::Done);
        // A retry on the new leader of what the old one did.
        assert_eq!(world.ask(client(1), 1, flag(1)).await, Reply::Done);
        world.start(first).await;
        let second = world.leader().await.status().leader.unwrap();
        assert_ne!(first, second);
        world.net.cut_off(second, &[1, 2, 3], true);
        let cut = world.node(second).await.unwrap();
        assert_eq!(world.ask(client(1), 3, flag(3)).await, Reply::Done);
        let alone = cut.read_linearizable(WITHIN, |_| ()).await;
        assert!(alone.is_err(), "a leader without a majority must not read");
        world.net.cut_off(second, &[1, 2, 3], false);
        let log = world.settle().await;
        assert_eq!(log.settings().flags()["x"].as_str(), "3");
    });
}

#[test]
fn commands_that_follow_each_other_take_a_round_trip_each() {
    simulate(5, async {
        let world = World::new(5, 3, 5_000).await;
        let round_trip = Duration::from_millis(24);
        world.net.weather(0.0, Duration::ZERO);
        world.net.apart(round_trip / 2);
        let leader = world.leader().await;
        let mut times = Vec::new();
        for sequence in 1..=60 {
            let request = Request { client: client(1), sequence, command: flag(sequence) };
            let since = Instant::now();
            assert_eq!(leader.propose(request, WITHIN).await.unwrap(), Reply::Done);
            times.push(since.elapsed());
        }
        // All but the first ones, after which it is known what the followers have.
        let slow: Vec<_> = times.iter().skip(4).filter(|t| **t > round_trip * 5 / 4).collect();
        assert!(slow.is_empty(), "{slow:?}");
        // Who is gone is not taken to be there.
        let (id, others) = (leader.status().leader.unwrap(), [1, 2, 3]);
        world.net.cut_off(id, &others, true);
        sleep(Duration::from_secs(2)).await;
        assert!(leader.status().majority_heard_ms.is_none_or(|ms| ms > 1_500));
    });
}

#[test]
fn a_leader_that_is_killed_while_it_writes_is_replaced_in_time() {
    for seed in 100..140 {
        simulate(seed, async {
            let world = World::new(seed, 3, 5_000).await;
            let leader = world.leader().await;
            // One of the others may have the last of these, and the other one not.
            let write = |n| {
                let request = Request { client: client(n), sequence: 1, command: flag(n) };
                tokio::spawn(leader.proposal(request, WITHIN))
            };
            let _writes: Vec<_> = (1..50).map(write).collect();
            sleep(Duration::from_millis(2 + seed % 9)).await;
            let id = leader.status().leader.unwrap();
            world.kill(id).await;
            let since = Instant::now();
            assert_eq!(world.ask(client(99), 1, flag(1)).await, Reply::Done);
            let took = since.elapsed();
            assert!(took < Duration::from_millis(850), "seed {seed}: {took:?}");
        });
    }
}

#[test]
fn who_does_not_lead_names_the_leader() {
    simulate(2, async {
        let world = World::new(2, 3, 5_000).await;
        let leader = world.leader().await.status().leader.unwrap();
        let other = world.node(1 + leader % 3).await.unwrap();
        let request = Request { client: client(1), sequence: 1, command: flag(1) };
        match other.propose(request, WITHIN).await {
            Err(Error::NotLeader { leader: Some(l), address: Some(a) }) => {
                assert_eq!((l, a), (leader, format!("n{leader}")));
            }
            reply => panic!("{reply:?}"),
        }
        let long = Command::SetFlag { name: "y".into(), value: Some("y".repeat(1 << 17).into()) };
        let long = Request { client: client(1), sequence: 2, command: long };
        assert!(matches!(other.propose(long, WITHIN).await, Err(Error::TooLarge { .. })));
    });
}

#[test]
fn a_new_learner_gets_a_snapshot_and_may_vote_then() {
    simulate(3, async {
        let world = World::new(3, 3, 20).await;
        let mut changes = world.leader().await.changes();
        for n in 1..=100 {
            world.ask(client(1), n, flag(n)).await;
        }
        changes.changed().await.unwrap();
        assert!(*changes.borrow() > 50);
        let leader = world.leader().await;
        let purged = leader.status().purged;
        assert!(purged > Some(20), "the log is purged: {purged:?}");
        world.add(4, 3).await;
        leader.add_learner(4, "n4".into()).await.unwrap();
        let new = world.node(4).await.unwrap();
        assert!(new.status().snapshot.is_some(), "it did not get a snapshot");
        assert_eq!(new.status().role, Role::Learner);
        leader.change_voters(BTreeSet::from([1, 2, 3, 4])).await.unwrap();
        let log = world.settle().await;
        assert_eq!(log.settings().flags()["x"].as_str(), "100");
        assert_eq!(new.status().voters.len(), 4);
        // It starts again from what it got.
        drop((new, leader));
        world.kill(4).await;
        world.start(4).await;
        assert_eq!(world.settle().await, log);
    });
}

#[test]
fn a_single_node_founds_and_starts_again_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let digests: Vec<[u8; 32]> = (0..3u64)
        .map(|round| {
            runtime.block_on(async {
                let storage = Storage::open(folder.path(), Fatal::new(|e| panic!("{e}"))).unwrap();
                let (net, options) = (MemoryNet::new(1), Options::new(1, Profile::LAN));
                let node = Consensus::start(options, storage, net.wire(1)).await.unwrap();
                node.found(BTreeMap::from([(1, "n1".into())])).await.unwrap();
                while node.status().role != Role::Leader {
                    sleep(Duration::from_millis(10)).await;
                }
                for n in 1..=20u64 {
                    // Each round repeats half of what the one before did.
                    let sequence = round * 10 + n;
                    let request = Request { client: client(1), sequence, command: flag(sequence) };
                    assert_eq!(node.propose(request, WITHIN).await.unwrap(), Reply::Done);
                }
                let (_, digest) = node.read(|log| log.digest().unwrap());
                node.shutdown().await.unwrap();
                digest
            })
        })
        .collect();
    assert_ne!(digests[0], digests[2]);
}

#[test]
fn every_profile_makes_sense_to_openraft() {
    for name in ["lan", "wan80", "wan150"] {
        let profile = Profile::named(name).unwrap();
        assert!(profile.heartbeat * 3 <= profile.election_min);
        Options::new(1, profile).config().unwrap();
    }
    assert_eq!(Profile::named("moon"), None);
    let upside_down = Profile { heartbeat: Duration::from_secs(1), ..Profile::LAN };
    assert!(matches!(Options::new(1, upside_down).config(), Err(Error::Profile(_))));
}

async fn on_files(net: &MemoryNet, folder: &std::path::Path, id: NodeId) -> Arc<Consensus> {
    let fatal = Fatal::new(|e| panic!("{e}"));
    let storage = Storage::open(&folder.join(id.to_string()), fatal).unwrap();
    let options = Options { snapshot_every: 40, entries_kept: 5, ..Options::new(id, Profile::LAN) };
    let node = Consensus::start(options, storage, net.wire(id)).await.unwrap();
    net.connect(id, node.responder());
    Arc::new(node)
}

/// The way with threads and files, in real time.
#[test]
fn three_nodes_on_files_agree_and_start_again() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let mut digests = BTreeSet::new();
    for round in 0..2u64 {
        runtime.block_on(async {
            let net = MemoryNet::new(round);
            let mut nodes = Vec::new();
            for id in 1..=3 {
                nodes.push(on_files(&net, folder.path(), id).await);
            }
            let voters = (1..=3).map(|id| (id, format!("n{id}"))).collect();
            nodes[0].found(voters).await.unwrap();
            let leads = |n: &&Arc<Consensus>| n.status().role == Role::Leader;
            while nodes.iter().find(leads).is_none() {
                sleep(Duration::from_millis(10)).await;
            }
            let asking: Vec<_> = (0..8u64)
                .map(|nonce| {
                    let nodes = nodes.clone();
                    tokio::spawn(async move {
                        for n in 1..=40 {
                            // The second round begins with retries of the first.
                            let sequence = round * 20 + n;
                            let name = format!("x{nonce}").into();
                            let value = Some(sequence.to_string().into());
                            let command = Command::SetFlag { name, value };
                            let request = Request { client: client(nonce), sequence, command };
                            for node in nodes.iter().cycle() {
                                match node.propose(request.clone(), WITHIN).await {
                                    Ok(reply) => {
                                        assert_eq!(reply, Reply::Done);
                                        break;
                                    }
                                    Err(_) => sleep(Duration::from_millis(5)).await,
                                }
                            }
                        }
                    })
                })
                .collect();
            for one in asking {
                one.await.unwrap();
            }
            let end = nodes.iter().map(|n| n.status().last_log).max().unwrap();
            for node in &nodes {
                node.changes().wait_for(|index| *index >= end).await.unwrap();
                digests.insert((round, node.read(|log| log.digest().unwrap()).1));
            }
            for (node, id) in nodes.into_iter().zip(1..) {
                net.disconnect(id);
                Arc::try_unwrap(node).unwrap().shutdown().await.unwrap();
            }
        });
    }
    assert_eq!(digests.len(), 2, "one state a round, on all nodes");
}

#[test]
fn a_disk_that_fails_ends_the_node_and_bytes_of_strangers_do_not() {
    simulate(4, async {
        let disks = [1, 2, 3].map(SimDisk::new);
        let told = Arc::new(AtomicUsize::new(0));
        let open = || {
            let told = Arc::clone(&told);
            let fatal = Fatal::new(move |_| {
                told.fetch_add(1, Ordering::Relaxed);
            });
            let (all, slowest) = (disks.each_ref(), Duration::from_millis(2));
            Storage::with_backends(all.map(SimDisk::backend), slowest, fatal).unwrap()
        };
        let net = MemoryNet::new(1);
        let options = Options::new(1, Profile::LAN);
        let node = Consensus::start(options, open(), net.wire(1)).await.unwrap();
        node.found(BTreeMap::from([(1, "n1".into())])).await.unwrap();
        for bytes in [&b""[..], b"hello", &[1; 40], &[1, 0, 0, 0, 0, 255, 255, 255, 255]] {
            node.responder().answer(2, bytes).await;
        }
        let request = |sequence| Request { client: client(1), sequence, command: flag(sequence) };
        assert_eq!(node.propose(request(1), WITHIN).await.unwrap(), Reply::Done);
        assert_eq!(told.load(Ordering::Relaxed), 0);
        disks[1].fail_next_sync();
        let failed = node.propose(request(2), WITHIN).await;
        assert!(matches!(failed, Err(Error::Stopped | Error::Timeout)), "{failed:?}");
        assert!(told.load(Ordering::Relaxed) > 0, "the process was not told to end");
        assert_eq!(node.status().role, Role::Stopped);
        // Its files are of use to no other node.
        node.abandon().await;
        disks.iter().for_each(SimDisk::power_cut);
        let other = Consensus::start(Options::new(2, Profile::LAN), open(), net.wire(2)).await;
        assert!(matches!(other, Err(Error::OtherNode { owner: 1, id: 2 })));
    });
}

/// Nodes are cut off and lose their power while clients ask. Gives how often power was lost.
async fn disturb(world: World, mut rng: Rng, on: Arc<AtomicBool>) -> usize {
    let all = [1, 2, 3];
    let mut cuts = 0;
    while on.load(Ordering::Relaxed) {
        let id = 1 + rng.below(3) as u64;
        let pause = Duration::from_millis(200 + rng.below(900) as u64);
        if rng.chance(0.5) {
            world.net.cut_off(id, &all, true);
            sleep(pause).await;
            world.net.cut_off(id, &all, false);
        } else {
            world.kill(id).await;
            // Now and then all lose it.
            let both = rng.chance(0.2);
            if both {
                world.kill(1 + id % 3).await;
            }
            sleep(pause).await;
            world.start(id).await;
            if both {
                world.start(1 + id % 3).await;
            }
            cuts += 1 + usize::from(both);
        }
        sleep(Duration::from_millis(300 + rng.below(1_500) as u64)).await;
    }
    cuts
}

/// Each client gives its own workload anew as often as it can. An assignment that is done twice
/// takes an epoch too many; one that is lost, one too few.
async fn assign(world: World, number: u32, times: u64) {
    let mut expected_epoch = 0;
    for sequence in 1..=times {
        let command = Command::AssignWorkload { workload: number, owner: Some(1), expected_epoch };
        match world.ask(client(number.into()), sequence, command).await {
            Reply::Epoch(epoch) => {
                assert!(epoch > expected_epoch);
                expected_epoch = epoch;
            }
            other => panic!("{other:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn what_was_acknowledged_is_there_once_whatever_is_cut_or_killed() {
    const CLIENTS: u32 = 4;
    const TIMES: u64 = 150;
    let cuts = AtomicUsize::new(0);
    for seed in 10..60 {
        simulate(seed, async {
            let sync = Duration::from_millis(seed % 3 * 8);
            let world = World::with_disks(seed, 3, 25, sync).await;
            world.furnish(CLIENTS).await;
            world.net.weather(0.02, Duration::from_millis(8));
            let on = Arc::new(AtomicBool::new(true));
            let rng = Rng::fork(seed, "trouble");
            let trouble = tokio::spawn(disturb(world.clone(), rng, Arc::clone(&on)));
            let asking: Vec<_> =
                (0..CLIENTS).map(|n| tokio::spawn(assign(world.clone(), n, TIMES))).collect();
            for one in asking {
                one.await.unwrap();
            }
            on.store(false, Ordering::Relaxed);
            cuts.fetch_add(trouble.await.unwrap(), Ordering::Relaxed);
            let log = world.settle().await;
            assert_eq!(log.epoch(), u64::from(CLIENTS) * TIMES, "seed {seed}");
        });
    }
    let cuts = cuts.into_inner();
    assert!(cuts > 200, "power was lost only {cuts} times");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_every_disk() {
    let run = |seed| {
        let mut digests = Vec::new();
        simulate(seed, async {
            // With disks that take time openraft finds several things to do at a moment, and
            // tokio draws which comes first, without a seed.
            let world = World::new(seed, 3, 25).await;
            world.furnish(2).await;
            world.net.weather(0.02, Duration::from_millis(8));
            let on = Arc::new(AtomicBool::new(true));
            let rng = Rng::fork(seed, "trouble");
            let trouble = tokio::spawn(disturb(world.clone(), rng, Arc::clone(&on)));
            assign(world.clone(), 0, 60).await;
            on.store(false, Ordering::Relaxed);
            trouble.await.unwrap();
            world.settle().await;
            for host in world.hosts.lock().await.values() {
                digests.extend(host.disks.iter().map(SimDisk::digest));
            }
        });
        digests
    };
    for seed in 0..4 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(0), run(1));
}
