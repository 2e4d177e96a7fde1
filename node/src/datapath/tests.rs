//! Several nodes within one process that hand events to one another.

mod accounts;
mod entities;
mod hours;
mod view;

use super::message::Durability;
use super::*;
use crate::host::{ReadError, SystemClock};
use crate::sending::{Sending, Sent};
use ::regions::clock::Replica;
use actors::detection::models::ModelHost;
use actors::detection::watch::Watch;
use actors::ports::{Off, Threads};
use cluster::consensus::Fatal;
use cluster::fabric::{Credentials, Gate, Identity, MemoryTransport, authority};
use cluster::replication::{self, Query};
use detection::calibration::Budget;
use detection::rules::RuleSet;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};
use store::LedgerEntry;
use threat::{EventBatch, SourceNames};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use view::{Log, View};

/// Shards of the tests' clusters; four make a workload.
const SHARDS: usize = 32;

struct Node {
    gate: Gate,
    threats: Arc<Replication>,
    running: JoinHandle<Result<(), Error>>,
}

impl Node {
    /// Ends it like a process that is killed: nothing is told to anybody.
    async fn kill(self) {
        drop(self.gate);
        self.running.abort();
        let _ = self.running.await;
    }
}

struct World {
    net: MemoryTransport,
    authority: authority::Made,
    folder: tempfile::TempDir,
    log: Log,
    /// Events of the log that is sent which are acknowledged.
    acknowledged: watch::Sender<u64>,
}

impl World {
    /// Workloads belong to the nodes in turn.
    fn new(nodes: &[(u64, &str)]) -> Self {
        let log = Log::default();
        {
            let mut known = log.0.lock().unwrap();
            known.nodes = nodes.iter().map(|(node, region)| (*node, (*region).into())).collect();
            known.owners = (0..SHARDS as u32 / 4)
                .map(|workload| (workload, nodes[workload as usize % nodes.len()].0))
                .collect();
        }
        Self {
            net: MemoryTransport::default(),
            authority: authority::found("acme", SystemTime::now()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            log,
            acknowledged: watch::Sender::new(0),
        }
    }

    fn fabric(&self, identity: &Identity) -> Arc<Fabric> {
        let (now, life) = (SystemTime::now(), authority::CERTIFICATE_LIFE);
        let made = authority::issue(&self.authority.key, identity, now, life).unwrap();
        let authorities = &self.authority.certificate;
        let shown = Credentials::of_pem(authorities, &made.certificate, &made.key).unwrap();
        Arc::new(Fabric::new(shown, Arc::new(self.net.clone()), None, 1))
    }

    fn path(&self, node: u64) -> PathBuf {
        self.folder.path().join(format!("{node}.redb"))
    }

    fn threats(&self, node: u64) -> replication::Storage {
        let folder = self.folder.path().join(format!("{node}"));
        std::fs::create_dir_all(&folder).unwrap();
        for _ in 0..200 {
            let fatal = Fatal::new(|e| panic!("{e}"));
            match replication::Storage::open(&folder, "acme", fatal) {
                Err(replication::Error::Store(store::Error::InUse { .. })) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("node {node} does not end")
    }

    async fn start(&self, node: u64) -> Node {
        let nobody = Arc::new(actors::detection::watch::Nobody);
        self.start_with(node, nobody, limits::CHECKPOINT_EVERY).await
    }

    async fn start_with(&self, node: u64, watch: Arc<dyn Watch>, every: Duration) -> Node {
        let view = View { me: node, log: self.log.clone() };
        let identity = Identity::node("acme", &view.region(), &format!("n-{node}")).unwrap();
        let fabric = self.fabric(&identity);
        fabric.is_node(node);
        let data = Arc::new(DataPath::default());
        let gate = Gate::open(&fabric, Box::new(self.net.listen(&node.to_string())), data.clone());
        let store = Arc::new(self.store(node));
        let (rules, _) = RuleSet::load(true, &[]);
        let parts = Parts {
            shards: 2,
            rules: Arc::new(rules),
            budget: Budget::PerMillion(10.0),
            patience: Duration::from_secs(1),
            sources: SourceNames::default(),
            known: crate::recorder::known_threats(&store).unwrap(),
            closes: true,
            models: ModelHost::new(None),
            learns: None,
            recorder: Arc::new(crate::recorder::Nowhere),
            watch,
            forecasts: None,
            buggify: Arc::new(Off),
            threads: Threads::default(),
            clock: Arc::new(SystemClock::start()),
        };
        let threats = Replication::new(
            format!("n-{node}"),
            Replica { node, incarnation: 1 },
            self.threats(node),
            Arc::new(|| threat::Timestamp::from_micros(1_000_000)),
            Arc::clone(&fabric),
        );
        let (view, shared) = (Arc::new(view), Arc::clone(&threats));
        let needs = Needs {
            parts,
            store,
            output: None,
            fabric,
            view,
            threats: shared,
            checkpoint_every: every,
            processor_time: || Duration::from_secs(1),
        };
        Node { gate, threats, running: tokio::spawn(data.run(needs)) }
    }

    /// Sends a log from where `sent` stands.
    async fn send(&self, log: &[u8], to: &[u64], durability: Durability, sent: &mut Sent) -> bool {
        let fabric = self.fabric(&Identity::operator("acme", "me").unwrap());
        let sending = Sending {
            fabric: &fabric,
            nodes: to.iter().map(ToString::to_string).collect(),
            source: "firewall".into(),
            durability,
            options: intake::Options { reference_year: 2026, ..intake::Options::default() },
            tries: 8,
        };
        let mut rest = &log[sent.at.as_ref().map_or(0, |at| at.offset as usize)..];
        let read = |held: &mut Vec<u8>| -> Result<usize, ReadError> {
            let (some, others) = rest.split_at(rest.len().min(50_000));
            held.extend_from_slice(some);
            rest = others;
            Ok(some.len())
        };
        let told = |sent: &Sent, _: Option<&str>| {
            self.acknowledged.send_replace(sent.counts.events);
        };
        sending.send(sent, read, told).await.is_ok()
    }

    /// The store of a node that was ended, once its actors have let go of it.
    fn store(&self, node: u64) -> Store {
        for _ in 0..200 {
            match Store::open(&self.path(node)) {
                Err(store::Error::InUse { .. }) => std::thread::sleep(Duration::from_millis(20)),
                opened => return opened.unwrap(),
            }
        }
        panic!("node {node} does not end")
    }

    /// Events with a verdict on the disks of these nodes, which have ended; each counted once,
    /// however many nodes have it.
    fn judged(&self, nodes: &[u64]) -> BTreeMap<String, u64> {
        let mut entries: BTreeMap<(String, u64), LedgerEntry> = BTreeMap::new();
        for node in nodes {
            let store = self.store(*node);
            let view = store.view().unwrap();
            for source in view.ledger_sources().unwrap() {
                let ledger = view.ledger(&source).unwrap();
                assert!(ledger.folded.is_none(), "the test's log is short enough");
                for entry in ledger.entries {
                    let known = entries.entry((source.clone(), entry.end)).or_insert(entry.clone());
                    assert_eq!(known.events, entry.events, "two nodes count {source} alike");
                }
            }
        }
        let mut sums = BTreeMap::new();
        for ((source, _), entry) in entries {
            *sums.entry(source).or_default() += entry.events;
        }
        sums
    }
}

/// Failed logons from many hosts, of which one guesses.
fn log(events: usize) -> Vec<u8> {
    let mut text = String::new();
    for n in 0..events {
        let host = if n % 3 == 0 { 7 } else { n * 31 % 200 };
        let (minute, second) = (n / 600 % 60, n / 10 % 60);
        writeln!(
            text,
            "Jan 10 10:{minute:02}:{second:02} gate sshd[{n}]: Failed password for root from \
             10.1.0.{host} port {} ssh2",
            1_024 + n % 60_000
        )
        .unwrap();
    }
    text.into_bytes()
}

/// Events of a log by the name of their ledger.
fn expected(log: &[u8]) -> BTreeMap<String, u64> {
    let options = intake::Options { reference_year: 2026, ..intake::Options::default() };
    let mut decoder = intake::Decoder::new(threat::SourceId(0), options);
    decoder.push(log);
    decoder.finish();
    let mut sums = BTreeMap::new();
    while let Some(EventBatch { events, .. }) = decoder.next_batch(true) {
        for event in events {
            let workload = event.entity().id().shard(SHARDS) as u32 / 4;
            *sums.entry(keeper::ledger_name(workload, "firewall")).or_default() += 1;
        }
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_judged_once_each_by_the_owner_of_their_entity() {
    let world = World::new(&[(1, "eu"), (2, "us"), (3, "ap")]);
    let mut nodes = Vec::new();
    for node in 1..=3 {
        nodes.push(world.start(node).await);
    }
    let log = log(6_000);
    let mut sent = Sent::default();
    assert!(world.send(&log, &[1], Durability::Local, &mut sent).await);
    assert_eq!((sent.counts.events, sent.counts.quarantined), (6_000, 0));
    assert_eq!(sent.judged_by.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(sent.judged_by.values().sum::<u64>(), 6_000);
    // Again from the beginning, to another node: nothing is counted twice.
    assert!(world.send(&log, &[2], Durability::Local, &mut Sent::default()).await);
    let mut shared = Vec::new();
    for node in nodes {
        shared.extend(node.threats.list(&Query::default()).await.records);
        node.kill().await;
    }
    assert_eq!(world.judged(&[1, 2, 3]), expected(&log));
    // The guessing host is a threat at its owner alone.
    let threats = |node: u64| {
        let store = world.store(node);
        store.view().unwrap().threats(&store::Query::default()).unwrap()
    };
    let all: Vec<threat::Threat> = (1..=3).flat_map(threats).collect();
    let guesses: Vec<_> = all.iter().filter(|t| t.entity.to_string() == "10.1.0.7").collect();
    assert_eq!(guesses.len(), 1, "{all:?}");
    // What is shared of each threat counts its verdicts once, whatever came twice.
    let counted = |t: &threat::Threat| (t.id, t.count);
    let shared: BTreeMap<_, u64> = shared.iter().map(|r| (r.id, r.verdicts())).collect();
    assert_eq!(shared, all.iter().map(counted).collect());
}

/// Kills node 2 once so many events are acknowledged of a log that is sent to node 1, and gives its
/// workloads to node 3. Whether nothing of what only node 2 had is needed.
async fn survives(regions: [&str; 3], durability: Durability, after: u64) -> bool {
    let world = World::new(&[(1, regions[0]), (2, regions[1]), (3, regions[2])]);
    let (one, two, three) = (world.start(1).await, world.start(2).await, world.start(3).await);
    let log = log(EVENTS as usize);
    let mut sent = Sent::default();
    let mut acknowledged = world.acknowledged.subscribe();
    let sending = world.send(&log, &[1, 3], durability, &mut sent);
    let failing = async {
        acknowledged.wait_for(|events| *events >= after).await.unwrap();
        // Somewhere within the next chunk.
        tokio::time::sleep(Duration::from_millis(after % 97)).await;
        two.kill().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut known = world.log.0.lock().unwrap();
        known.nodes.remove(&2);
        known.owners.values_mut().filter(|owner| **owner == 2).for_each(|owner| *owner = 3);
    };
    let (done, ()) = tokio::join!(sending, failing);
    assert!(done, "the sender gave up: {sent:?}");
    assert_eq!(sent.counts.events, EVENTS);
    one.kill().await;
    three.kill().await;
    world.judged(&[1, 3]) == expected(&log)
}

/// Five chunks' worth.
const EVENTS: u64 = 24_000;

/// From before the first acknowledgement to after the last but one.
const AFTER: [u64; 4] = [0, 4_000, 9_000, 19_000];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_region_acknowledged_survives_a_node_of_it() {
    for after in AFTER {
        assert!(survives(["eu"; 3], Durability::Region, after).await, "killed after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_globally_survives_a_region() {
    for after in AFTER {
        let survives = survives(["eu", "us", "ap"], Durability::Global, after).await;
        assert!(survives, "killed after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_locally_is_lost_with_its_node() {
    // Or else the tests above would say nothing.
    assert!(!survives(["eu", "us", "ap"], Durability::Region, 9_000).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_copies_nothing_above_local_is_acknowledged() {
    let world = World::new(&[(1, "eu"), (2, "us")]);
    let one = world.start(1).await;
    world.log.0.lock().unwrap().owners.values_mut().for_each(|owner| *owner = 1);
    let log = log(300);
    let mut sent = Sent::default();
    assert!(!world.send(&log, &[1], Durability::Global, &mut sent).await);
    assert_eq!(sent.counts.events, 0, "node 2 never ran");
    // A region of one node is a majority of itself; and the other region comes.
    assert!(world.send(&log, &[1], Durability::Region, &mut sent).await);
    let two = world.start(2).await;
    let mut again = Sent::default();
    assert!(world.send(&log, &[1], Durability::Global, &mut again).await);
    one.kill().await;
    two.kill().await;
    assert_eq!(world.judged(&[2]), expected(&log), "also what was judged before it was there");
}
