//! Nodes on simulated disks in one thread and in virtual time.

use super::*;
use regions::control_log::{Client, Command, ControlLog, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use store::sim::SimDisk;
use threat::entropy::Rng;
use tokio::sync::Mutex;
use tokio::time::sleep;

const WITHIN: Duration = Duration::from_millis(1_500);

/// Runs a test in virtual time, seeded.
fn simulate<F: Future<Output = ()>>(seed: u64, test: F) {
    seed_thread(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test);
}

struct Host {
    disks: [SimDisk; 2],
    node: Option<Arc<Consensus>>,
}

/// A cluster whose nodes can be cut off, killed and started again.
#[derive(Clone)]
struct World {
    net: MemoryNet,
    hosts: Arc<Mutex<BTreeMap<NodeId, Host>>>,
    snapshot_every: u64,
}

impl World {
    /// Nodes 1 to `voters`, founded and with a leader.
    async fn new(seed: u64, voters: u64, snapshot_every: u64) -> Self {
        let net = MemoryNet::new(seed);
        net.weather(0.0, Duration::from_millis(4));
        let world = Self { net, hosts: Arc::default(), snapshot_every };
        for id in 1..=voters {
            world.add(id, seed).await;
        }
        let voters = (1..=voters).map(|id| (id, format!("n{id}"))).collect();
        world.node(1).await.unwrap().found(voters).await.unwrap();
        world.leader().await;
        world
    }

    async fn add(&self, id: NodeId, seed: u64) {
        let disks = [SimDisk::new(seed * 100 + id), SimDisk::new(seed * 100 + 50 + id)];
        self.hosts.lock().await.insert(id, Host { disks, node: None });
        self.start(id).await;
    }

    async fn start(&self, id: NodeId) {
        let mut hosts = self.hosts.lock().await;
        let host = hosts.get_mut(&id).unwrap();
        let [log, state] = &host.disks;
        let (log, state) = (log.backend(), state.backend());
        let storage = Storage::with_backends(log, state, Fatal::new(|_| {})).unwrap();
        let snapshot_every = self.snapshot_every;
        let options = Options { snapshot_every, entries_kept: 5, ..Options::new(id, Profile::LAN) };
        let node = Consensus::start(options, storage, self.net.wire(id)).await.unwrap();
        self.net.connect(id, node.responder());
        host.node = Some(Arc::new(node));
    }

    /// The power goes.
    async fn kill(&self, id: NodeId) {
        self.net.disconnect(id);
        let mut hosts = self.hosts.lock().await;
        let host = hosts.get_mut(&id).unwrap();
        host.disks.iter().for_each(SimDisk::power_cut);
        if let Some(node) = host.node.take() {
            let _ = tokio::time::timeout(WITHIN, node.abandon()).await;
        }
    }

    async fn node(&self, id: NodeId) -> Option<Arc<Consensus>> {
        self.hosts.lock().await.get(&id)?.node.clone()
    }

    async fn nodes(&self) -> Vec<Arc<Consensus>> {
        self.hosts.lock().await.values().filter_map(|h| h.node.clone()).collect()
    }

    /// The node that leads with a majority behind it, once there is one.
    async fn leader(&self) -> Arc<Consensus> {
        for _ in 0..600 {
            for node in self.nodes().await {
                if node.read_linearizable(WITHIN, |_| ()).await.is_ok() {
                    return node;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody leads: {:?}", self.nodes().await);
    }

    /// Asks one node after the other, again and again, until there is a reply.
    async fn ask(&self, client: Client, sequence: u64, command: Command) -> Reply {
        let request = Request { client, sequence, command };
        for _ in 0..400 {
            for node in self.nodes().await {
                match node.propose(request.clone(), WITHIN).await {
                    Ok(reply) => return reply,
                    Err(Error::NotLeader { .. } | Error::Timeout | Error::Stopped) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            sleep(Duration::from_millis(30)).await;
        }
        panic!("no reply to {request:?}");
    }

    /// Waits until all nodes have applied the same, and gives that.
    async fn settle(&self) -> ControlLog {
        let leader = self.leader().await;
        for _ in 0..400 {
            let mut states = Vec::new();
            for node in self.nodes().await {
                states.push(node.read(|log| log.clone()));
            }
            if states.iter().all(|s| *s == states[0]) && states[0].0 == leader.status().last_log {
                return states.remove(0).1;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the nodes do not agree: {:?}", self.nodes().await);
    }

    /// A region, an admitted node and a workload for each of `clients`.
    async fn furnish(&self, clients: u32) {
        let (region, name) = ("a", "n1");
        let mut commands = vec![
            Command::AddRegion { region: region.into() },
            Command::JoinNode {
                node: 1,
                name: name.into(),
                region: region.into(),
                address: "h:1".into(),
                incarnation: 1,
            },
            Command::AdmitNode { node: 1 },
        ];
        commands.extend((0..clients).map(|workload| Command::DefineWorkload {
            workload,
            shards: BTreeSet::from([workload]),
            home: region.into(),
            failover: region.into(),
        }));
        for (command, sequence) in commands.into_iter().zip(1..) {
            assert_eq!(self.ask(client(99), sequence, command).await, Reply::Done);
        }
    }
}

const fn client(nonce: u64) -> Client {
    Client { opened: 0, nonce }
}

fn flag(value: u64) -> Command {
    Command::SetFlag { name: "x".into(), value: Some(value.to_string().into()) }
}

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

/// Nodes are cut off and lose their power while clients ask.
async fn disturb(world: World, mut rng: Rng, on: Arc<AtomicBool>) -> usize {
    let all = [1, 2, 3];
    let mut times = 0;
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
        }
        times += 1;
        sleep(Duration::from_millis(300 + rng.below(1_500) as u64)).await;
    }
    times
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
    let disturbed = AtomicUsize::new(0);
    for seed in 10..40 {
        simulate(seed, async {
            let world = World::new(seed, 3, 25).await;
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
            disturbed.fetch_add(trouble.await.unwrap(), Ordering::Relaxed);
            let log = world.settle().await;
            assert_eq!(log.epoch(), u64::from(CLIENTS) * TIMES, "seed {seed}");
        });
    }
    let disturbed = disturbed.into_inner();
    assert!(disturbed > 200, "disturbed only {disturbed} times");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_every_disk() {
    let run = |seed| {
        let mut digests = Vec::new();
        simulate(seed, async {
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
