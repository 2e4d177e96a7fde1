//! A cluster in one thread and in virtual time, on simulated disks.

use crate::consensus::*;
use regions::control_log::{Client, Command, ControlLog, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::sim::SimDisk;
use tokio::sync::Mutex;
use tokio::time::sleep;

pub const WITHIN: Duration = Duration::from_millis(1_500);

/// Runs a test in virtual time, seeded.
pub fn simulate<F: Future<Output = ()>>(seed: u64, test: F) {
    seed_thread(seed);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test);
}

pub struct Host {
    pub disks: [SimDisk; 3],
    node: Option<Arc<Consensus>>,
}

/// A cluster whose nodes can be cut off, killed and started again.
#[derive(Clone)]
pub struct World {
    pub net: MemoryNet,
    pub hosts: Arc<Mutex<BTreeMap<NodeId, Host>>>,
    snapshot_every: u64,
    /// What it takes at most to write the log.
    sync: Duration,
}

impl World {
    /// Nodes 1 to `voters`, founded and with a leader.
    pub async fn new(seed: u64, voters: u64, snapshot_every: u64) -> Self {
        Self::with_disks(seed, voters, snapshot_every, Duration::ZERO).await
    }

    /// As [`Self::new`], but to write the log takes up to `sync`.
    pub async fn with_disks(seed: u64, voters: u64, snapshot_every: u64, sync: Duration) -> Self {
        let net = MemoryNet::new(seed);
        net.weather(0.0, Duration::from_millis(4));
        let world = Self { net, hosts: Arc::default(), snapshot_every, sync };
        for id in 1..=voters {
            world.add(id, seed).await;
        }
        let voters = (1..=voters).map(|id| (id, format!("n{id}"))).collect();
        world.node(1).await.unwrap().found(voters).await.unwrap();
        world.leader().await;
        world
    }

    pub async fn add(&self, id: NodeId, seed: u64) {
        let disks = [0, 50, 70].map(|n| SimDisk::new(seed * 100 + n + id));
        self.hosts.lock().await.insert(id, Host { disks, node: None });
        self.start(id).await;
    }

    pub async fn start(&self, id: NodeId) {
        let mut hosts = self.hosts.lock().await;
        let host = hosts.get_mut(&id).unwrap();
        let disks = host.disks.each_ref().map(SimDisk::backend);
        let fatal = Fatal::new(|_| {});
        let storage = Storage::with_backends(disks, self.sync, fatal).unwrap();
        let snapshot_every = self.snapshot_every;
        let options = Options { snapshot_every, entries_kept: 5, ..Options::new(id, Profile::LAN) };
        let node = Consensus::start(options, storage, self.net.wire(id)).await.unwrap();
        self.net.connect(id, node.responder());
        host.node = Some(Arc::new(node));
    }

    /// The power goes.
    pub async fn kill(&self, id: NodeId) {
        self.net.disconnect(id);
        let mut hosts = self.hosts.lock().await;
        let host = hosts.get_mut(&id).unwrap();
        host.disks.iter().for_each(SimDisk::power_cut);
        if let Some(node) = host.node.take() {
            let _ = tokio::time::timeout(WITHIN, node.abandon()).await;
        }
    }

    pub async fn node(&self, id: NodeId) -> Option<Arc<Consensus>> {
        self.hosts.lock().await.get(&id)?.node.clone()
    }

    pub async fn nodes(&self) -> Vec<Arc<Consensus>> {
        self.hosts.lock().await.values().filter_map(|h| h.node.clone()).collect()
    }

    /// The node that leads with a majority behind it, once there is one.
    pub async fn leader(&self) -> Arc<Consensus> {
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
    pub async fn ask(&self, client: Client, sequence: u64, command: Command) -> Reply {
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
    pub async fn settle(&self) -> ControlLog {
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
    pub async fn furnish(&self, clients: u32) {
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

pub const fn client(nonce: u64) -> Client {
    Client { opened: 0, nonce }
}

pub fn flag(value: u64) -> Command {
    Command::SetFlag { name: "x".into(), value: Some(value.to_string().into()) }
}
