//! One node: what it is while it runs, what it starts from and what it leaves behind.

use super::consensus::Asking;
use super::data::Data;
use super::detection::Detection;
use super::disk::Disk;
use super::gossip::Links;
use super::raft::Raft;
use super::silences::Heard;
use super::{Event, START, Timer, World};
use crate::journal::What;
use crate::plan::{MILLI, Micros, Plan};
use cluster::coordinator::{Clock, Coordinator, Ownership};
use regions::clock::{HybridClock, Replica, Stamp};
use regions::control_log::{Client, Command, ControlLog, Request};
use regions::digest;
use regions::threats::{Limits, ThreatState};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use threat::Timestamp;

/// The clock that a node's parts read: set before each of its steps.
#[derive(Debug, Default)]
pub struct Local(AtomicU64);

impl Local {
    pub fn set(&self, now: Micros) {
        self.0.store(now, Ordering::Relaxed);
    }
}

impl Clock for Local {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// A node that runs.
pub struct Running {
    pub me: usize,
    /// Its id in the cluster.
    pub id: u64,
    pub clocks: Arc<Local>,
    pub raft: Raft,
    /// What is applied.
    pub log: ControlLog,
    pub applied: u64,
    pub chain: u64,
    pub asking: Asking,
    pub coordinator: Coordinator,
    pub ownership: Ownership,
    pub threats: ThreatState,
    /// By node: the number of the last change of threats when a comparison that went through began.
    pub compared: BTreeMap<u64, u64>,
    pub stamps: HybridClock,
    pub links: Links,
    pub detection: Detection,
    pub data: Data,
    /// What of the log was looked at last.
    pub learned: u64,
    /// Workloads that it may act for, as was noted last.
    pub acting: u32,
}

/// A node, up or not.
pub struct Node {
    pub id: u64,
    pub disk: Disk,
    pub run: Option<Box<Running>>,
    pub life: u32,
    pub down: bool,
    /// When its last life ended.
    pub ended: Micros,
    /// Until when it stands still; it may be woken before.
    pub paused: Option<Micros>,
    /// What came for it while it stood still, in this order.
    pub held: Vec<Event>,
    /// By place: how this life of it heard the others.
    pub heard: Vec<Heard>,
    /// How fast its clock runs, and from where: true and local time.
    pub rate: f64,
    anchor: (Micros, f64),
    /// How far its wall clock is off.
    pub offset: i64,
}

impl Node {
    pub fn new(plan: &Plan, node: usize) -> Self {
        let seed = plan.draw(20, node as u64, 0);
        Self {
            id: node as u64 + 1,
            disk: Disk::new(plan.tuning.sync, seed),
            run: None,
            life: 0,
            down: true,
            ended: 0,
            paused: None,
            held: Vec::new(),
            heard: Vec::new(),
            rate: 1.0,
            // Nodes were started at different times.
            anchor: (0, (seed % 1_000_000_000) as f64 + 10_000_000.0),
            offset: 0,
        }
    }

    /// The node's own time, which never jumps.
    pub fn local(&self, now: Micros) -> Micros {
        (self.anchor.1 + (now - self.anchor.0) as f64 * self.rate) as Micros
    }

    /// The node's clock runs this fast from now on.
    pub fn drift(&mut self, now: Micros, rate: f64) {
        self.anchor = (now, self.local(now) as f64);
        self.rate = rate;
    }

    /// Wall time as the node has it.
    pub fn wall(&self, now: Micros) -> Timestamp {
        Timestamp::from_micros(START + now as i64 + self.offset)
    }
}

/// The log of a cluster that was founded some time ago: all nodes are admitted, all workloads have
/// owners, and two bundles are known.
pub fn founding(plan: &Plan) -> ControlLog {
    let (mut log, mut sequence) = (ControlLog::default(), 0);
    let client = Client { opened: 0, nonce: 0 };
    let mut run = |log: &mut ControlLog, command| {
        sequence += 1;
        log.apply(1, &Request { client, sequence, command });
    };
    for region in &plan.regions {
        run(&mut log, Command::AddRegion { region: region.as_str().into() });
    }
    for at in 0..plan.nodes.len() {
        let id = at as u64 + 1;
        run(&mut log, joining(plan, at, id, 1));
        run(&mut log, Command::AdmitNode { node: id });
    }
    for command in regions::spread::commands(&log) {
        run(&mut log, command);
    }
    let all: Vec<(u32, u64)> = log.workloads().all().iter().map(|(n, w)| (*n, w.epoch)).collect();
    for (workload, expected_epoch) in all {
        let home = log.workloads().all()[&workload].home.clone();
        let there: Vec<u64> = (log.nodes().present().iter())
            .filter(|(_, n)| n.region == home)
            .map(|(id, _)| *id)
            .collect();
        let owner = Some(there[workload as usize / plan.regions.len() % there.len()]);
        run(&mut log, Command::AssignWorkload { workload, owner, expected_epoch });
    }
    for bundle in 1..=3u8 {
        let evidence = || threat::Text::from("a trial");
        run(&mut log, Command::RegisterBundle { hash: [bundle; 32], evidence: evidence() });
        let version = u64::from(bundle);
        run(&mut log, Command::ShadowBundle { version, evidence: evidence() });
        for node in 1..=plan.nodes.len() as u64 {
            run(&mut log, Command::ReadyBundle { version, node, evidence: evidence() });
        }
    }
    log
}

/// What a node asks for when it comes for the first time, or again.
pub fn joining(plan: &Plan, at: usize, id: u64, incarnation: u64) -> Command {
    let node = &plan.nodes[at];
    // A node that lost its disk has another name, too.
    let again = if id as usize == at + 1 { String::new() } else { format!("-{id}") };
    Command::JoinNode {
        node: id,
        name: format!("{}{again}", node.name).into(),
        region: plan.regions[node.region].as_str().into(),
        address: node.name.as_str().into(),
        incarnation,
    }
}

impl World<'_> {
    /// Starts a node from what is on its disk.
    pub(super) fn boot(&mut self, at: usize) {
        let (now, plan) = (self.now, self.plan);
        let node = &mut self.nodes[at];
        node.down = false;
        node.heard = vec![Heard::from(now); plan.nodes.len()];
        node.disk.opened += 1;
        let local = node.local(now);
        let clocks = Arc::new(Local::default());
        clocks.set(local);
        let seed = plan.draw(21, at as u64, u64::from(node.life));
        let raft = Raft::start(at, &node.disk, local, seed, &self.shape);
        let log = match &node.disk.snapshot {
            Some(snapshot) => ControlLog::decode(&snapshot.state).ok(),
            None => Some((*self.founding).clone()),
        };
        let log = log.unwrap_or_default();
        let applied = raft.base();
        let chain = self.agreed.chain_at(applied);
        let node = &mut self.nodes[at];
        let (mut threats, last) = threats(&node.disk);
        threats.take_unstored(|_, _| ());
        let incarnation = node.disk.opened as u32;
        let replica = Replica { node: node.id, incarnation };
        let run = Running {
            me: at,
            id: node.id,
            coordinator: Coordinator::new(node.id, node.disk.opened),
            ownership: Ownership::new(node.id, Arc::clone(&clocks) as Arc<dyn Clock>),
            clocks,
            raft,
            log,
            applied,
            chain,
            asking: Asking::new(node.id, applied, seed),
            threats,
            compared: node.disk.compared.clone(),
            stamps: HybridClock::new(replica, last),
            links: Links::new(plan.nodes.len(), seed),
            detection: Detection::new(plan, seed),
            data: Data::default(),
            learned: u64::MAX,
            acting: 0,
        };
        node.run = Some(Box::new(run));
        self.note(at, What::Up);
        let jitter = |n: u64, within: Micros| plan.draw(22, seed, n) % within;
        self.with(at, |world, run| {
            let local = world.nodes[at].local(world.now);
            let wait = run.raft.deadline.saturating_sub(local);
            world.timer(run, wait, Timer::Raft(0));
            world.timer(run, jitter(1, 100 * MILLI), Timer::Look);
            world.timer(run, jitter(2, 500 * MILLI), Timer::Beat);
            let every = plan.tuning.compare_every;
            world.timer(run, every + jitter(3, every), Timer::Compare);
            world.learn(run);
            world.join(run);
        });
    }

    /// A process ends. With `power`, what was not durable is lost; else all that it wrote stays.
    pub(super) fn end(&mut self, at: usize, power: bool, restart: Option<Micros>) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if node.down {
            return;
        }
        (node.down, node.ended, node.paused) = (true, now, None);
        // What a process has not read goes with it.
        node.held.clear();
        node.life += 1;
        node.disk.fails = false;
        if power {
            self.faults.power.insert(at);
        }
        if let Some(run) = self.nodes[at].run.take() {
            self.leave_disk(at, &run);
        }
        self.note(at, What::Down);
        let life = self.nodes[at].life;
        if let Some(after) = restart {
            self.push(now + after, Event::Restart { node: at, life });
        }
    }

    /// What a process leaves on its disk when it ends.
    pub(super) fn leave_disk(&mut self, at: usize, run: &Running) {
        self.tell_queues(at, run);
        let now = self.now;
        let power = self.faults.power.remove(&at);
        let renamed = run.id != self.nodes[at].id;
        let disk = &mut self.nodes[at].disk;
        if disk.lost && renamed {
            return;
        }
        if power {
            disk.cut(now, run.raft.log());
        } else {
            disk.left(run.raft.hard(), run.raft.log());
        }
    }
}

/// What a disk has of threats, and the latest stamp in it.
fn threats(disk: &Disk) -> (ThreatState, Stamp) {
    let limits = Limits { records: 100_000, bytes: 64 << 20 };
    let mut state = ThreatState::with_limits(digest::key_of("virtual"), limits);
    state.resume(disk.marks.clone());
    let mut last = Stamp::default();
    for (record, sequence) in disk.threats.values() {
        if let Some(stamp) = record.handling().and_then(regions::threats::Handling::last) {
            last = last.max(stamp);
        }
        // What was stored was checked before.
        let _ = state.restore(record.clone(), *sequence);
    }
    (state, last)
}
