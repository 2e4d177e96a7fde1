//! A host: a node's process on a machine, with a runtime, disks and clocks of its own. When its
//! process ends, the runtime is dropped with all that ran on it, and the disks keep what they keep.

use super::detection::Detecting;
use super::net::{Shared, TICK, lock};
use super::part::{Part, Told, take_part};
use super::seen::{Seen, Sees};
use super::stream::{At, From};
use super::trust::Trust;
use crate::experiment::WorkloadKind;
use crate::ingest;
use crate::journal::What;
use crate::plan::{Micros, Plan};
use crate::world::START;
use cluster::consensus::{Fatal, Profile, Slowest, Storage};
use cluster::coordinator::{Clock, TokioClock};
use cluster::fabric::{Fabric, Silent};
use cluster::member::{Me, Parts};
use cluster::replication;
use detection::rules::RuleSet;
use node::datapath::DataPath;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::sim::SimDisk;
use threat::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep};

/// A process's wall clock.
type Wall = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The cluster's name.
pub const CLUSTER: &str = "simulated";

/// Purposes of drawn numbers.
const DISKS: u64 = 110;
const LIFE: u64 = 111;

/// The disks of a machine.
struct Disks {
    log: SimDisk,
    journal: SimDisk,
    state: SimDisk,
    threats: SimDisk,
    events: SimDisk,
}

impl Disks {
    fn new(seed: u64) -> Self {
        let disk = |n: u64| SimDisk::new(threat::entropy::mix64(seed ^ n));
        Self { log: disk(1), journal: disk(2), state: disk(3), threats: disk(4), events: disk(5) }
    }

    fn all(&self) -> [&SimDisk; 5] {
        [&self.log, &self.journal, &self.state, &self.threats, &self.events]
    }
}

/// A machine and its process.
pub struct Host {
    pub at: usize,
    disks: Disks,
    runtime: Option<Runtime>,
    pub told: Arc<Told>,
    pub id: Option<u64>,
    pub incarnation: u64,
    pub paused: Option<Micros>,
    /// How fast its clocks run, and what of a millisecond they owe.
    pub rate: f64,
    owed: f64,
    /// True time up to which it had its turns.
    upto: Micros,
    /// How far its wall clock is off, in microseconds.
    pub offset: Arc<AtomicI64>,
    /// How long a write of its log takes at most.
    slowest: Slowest,
}

/// What all hosts share.
pub struct Common {
    pub plan: Arc<Plan>,
    pub net: Shared,
    pub seen: Arc<Mutex<Seen>>,
    pub trust: Trust,
    pub addresses: Arc<BTreeMap<String, usize>>,
    pub rules: Arc<RuleSet>,
}

impl Common {
    /// Whether events are sent, so that nodes have to judge.
    pub fn ingests(&self) -> bool {
        self.plan.workloads.iter().any(|work| work.kind == WorkloadKind::Ingest)
    }
}

impl Host {
    pub fn new(plan: &Plan, at: usize) -> Self {
        Self {
            at,
            disks: Disks::new(plan.draw(DISKS, at as u64, 0)),
            runtime: None,
            told: Arc::default(),
            id: None,
            incarnation: 0,
            paused: None,
            rate: 1.0,
            owed: 0.0,
            upto: 0,
            offset: Arc::default(),
            slowest: Duration::from_micros(plan.tuning.sync.1).into(),
        }
    }

    /// Whether its process runs.
    pub const fn is_up(&self) -> bool {
        self.runtime.is_some()
    }

    /// Starts its process from what its disks have. The first one of all founds the cluster.
    ///
    /// # Errors
    /// When its files cannot be opened: what is wrong with them.
    pub fn boot(&mut self, common: &Common) -> Result<(), String> {
        self.incarnation += 1;
        self.told = Arc::default();
        let seed = common.plan.draw(LIFE, self.at as u64, self.incarnation);
        let runtime = runtime(seed)?;
        {
            let _context = runtime.enter();
            let started = self.start(common, seed)?;
            runtime.spawn(started);
        }
        let mut net = lock(&common.net);
        net.listen(self.at);
        self.upto = net.now();
        self.runtime = Some(runtime);
        Ok(())
    }

    fn start(
        &self,
        common: &Common,
        seed: u64,
    ) -> Result<impl Future<Output = ()> + Send + 'static + use<>, String> {
        let (plan, at) = (&common.plan, self.at);
        let told = Arc::clone(&self.told);
        let fatal = {
            let told = Arc::clone(&told);
            Fatal::new(move |_| told.fatal.store(true, Ordering::Relaxed))
        };
        let Disks { log, journal, state, threats, events } = &self.disks;
        let backends = [log.backend(), journal.backend(), state.backend()];
        let storage = Storage::with_backends(backends, self.slowest.clone(), fatal.clone());
        let storage = storage.map_err(|e| format!("files of consensus: {e}"))?;
        let disks = [log.clone(), journal.clone()];
        let sees = Sees::new(Arc::clone(&common.seen), at, storage.applied(), disks);
        let storage = storage.watched_by(Arc::new(sees));
        let threats = replication::Storage::with_backend(threats.backend(), CLUSTER, fatal);
        let threats = threats.map_err(|e| format!("file of threats: {e}"))?;
        let compare = Duration::from_micros(plan.tuning.compare_every);
        let threats = threats
            .retaining(Duration::from_micros(plan.tuning.retention))
            .comparing_every(compare, compare * 2);
        let from = From {
            net: Arc::clone(&common.net),
            host: at,
            addresses: Arc::clone(&common.addresses),
        };
        let credentials = common.trust.credentials[at].clone();
        let fabric = Arc::new(Fabric::new(credentials, Arc::new(from), None, seed));
        let (net, offset) = (Arc::clone(&common.net), Arc::clone(&self.offset));
        let wall: Wall = Arc::new(move || {
            let now = START + lock(&net).now() as i64 + offset.load(Ordering::Relaxed);
            Timestamp::from_micros(now)
        });
        let data = Arc::new(DataPath::default());
        let detecting = common.ingests().then(|| {
            let whose = (at, Arc::clone(&data));
            Detecting::open(whose, events, common, Arc::clone(&wall))
        });
        let detecting = detecting.transpose().map_err(|e| format!("file of events: {e}"))?;
        let node = &plan.nodes[at];
        let me = Me {
            id: self.id.unwrap_or_default(),
            name: node.name.clone(),
            region: plan.regions[node.region].clone(),
            address: node.name.clone(),
            incarnation: self.incarnation,
            votes: node.voter,
        };
        let founds = at == 0 && self.incarnation == 1;
        let others = plan.nodes.iter().map(|n| n.name.clone());
        let seeds: Vec<String> = others.filter(|name| *name != me.name && !founds).collect();
        let first =
            if self.incarnation > 1 { seeds.clone() } else { vec![plan.nodes[0].name.clone()] };
        let parts = Parts {
            fabric: Arc::clone(&fabric),
            listener: Box::new(At { net: Arc::clone(&common.net), host: at }),
            storage,
            threats,
            wall,
            profile: profile(plan),
            seeds,
            data,
            models: Arc::new(Silent),
            nonce: seed,
            clock: Arc::new(TokioClock::start()) as Arc<dyn Clock>,
        };
        Ok(take_part(me, parts, (founds, first), detecting, told))
    }

    /// Its process goes on up to a true time.
    pub fn step(&mut self, to: Micros, net: &Shared) {
        if self.paused.is_some() || to <= self.upto {
            return;
        }
        let Some(runtime) = &self.runtime else { return };
        let from = std::mem::replace(&mut self.upto, to);
        self.owed += (to - from) as f64 / 1_000.0 * self.rate;
        let millis = self.owed as u64;
        self.owed -= millis as f64;
        runtime.block_on(async {
            lock(net).turn((from, to));
            sleep(Duration::from_millis(millis)).await;
        });
        lock(net).rest();
    }

    /// It goes on after a pause, in which its clocks went on.
    pub fn resume(&mut self, paused: Micros, net: &Shared) {
        self.paused = None;
        let now = lock(net).now();
        self.upto = now;
        if let Some(runtime) = &self.runtime {
            runtime.block_on(async {
                lock(net).turn((now, now + TICK));
                advance(Duration::from_micros(paused)).await;
            });
            lock(net).rest();
        }
    }

    /// Does something where the process's clocks can be read.
    pub fn within<R>(&self, act: impl FnOnce(&Part) -> R) -> Option<R> {
        let runtime = self.runtime.as_ref()?;
        let part = self.told.part()?;
        let _context = runtime.enter();
        Some(act(&part))
    }

    /// Lets its process do something beside all else.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }

    /// Its process ends at once. With `power` what was not synced may be lost.
    pub fn end(&mut self, power: bool, net: &Shared) {
        let Some(runtime) = self.runtime.take() else { return };
        let id = *self.told.id.lock().unwrap_or_else(PoisonError::into_inner);
        self.id = id.or(self.id);
        for disk in self.disks.all() {
            if power { disk.power_cut() } else { disk.kill() }
        }
        lock(net).ends(self.at, !power);
        self.paused = None;
        *self.told.part.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop(runtime);
        lock(net).ended(self.at);
    }

    /// It shows another certificate from now on, until it is started again.
    ///
    /// # Errors
    /// When there is none.
    pub fn new_certificate(&self, common: &Common) -> Result<(), cluster::fabric::Error> {
        let credentials = common.trust.node(&common.plan, self.at)?;
        self.within(|part| part.fabric.rotate(credentials));
        Ok(())
    }

    /// Its disks are other ones now, with nothing on them, and nobody knows who it was.
    pub fn lose_disk(&mut self, plan: &Plan) {
        self.disks = Disks::new(plan.draw(DISKS, self.at as u64, self.incarnation));
        (self.id, self.told) = (None, Arc::default());
    }

    /// What its disk has verdicts on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn kept(&self) -> store::Result<Vec<What>> {
        ingest::kept(&store::Store::with_backend(self.disks.events.backend())?)
    }

    /// Writes of its log take so much longer than usual, at most.
    pub fn slow_disk(&self, plan: &Plan, by: Micros) {
        self.slowest.set(Duration::from_micros(plan.tuning.sync.1 + by));
    }

    /// The next sync of its log fails.
    pub fn fail_sync(&self) {
        self.disks.journal.fail_next_sync();
    }
}

/// A runtime on this thread whose clock stands still but for what steps it. What tokio draws
/// follows from the seed, in programs that are built with the settings of this repository.
pub fn runtime(seed: u64) -> Result<Runtime, String> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let built = builder.build();
    built.map_err(|e| format!("no runtime: {e}"))
}

/// Timeouts of consensus as the plan has them.
fn profile(plan: &Plan) -> Profile {
    let (heartbeat, election_min, election_max) = plan.tuning.consensus;
    let of = Duration::from_micros;
    Profile {
        heartbeat: of(heartbeat),
        election_min: of(election_min),
        election_max: of(election_max),
        install_snapshot: Duration::from_secs(5),
    }
}

/// The host from which all clients ask.
pub struct Clients {
    pub runtime: Runtime,
    pub fabric: Arc<Fabric>,
}

impl Clients {
    /// Clients of a cluster.
    ///
    /// # Errors
    /// When there is no runtime.
    pub fn new(common: &Common) -> Result<Self, String> {
        let (at, seed) = (common.plan.nodes.len(), common.plan.draw(LIFE, u64::MAX, 0));
        let (net, addresses) = (Arc::clone(&common.net), Arc::clone(&common.addresses));
        let from = From { net, host: at, addresses };
        let operator = common.trust.operator.clone();
        lock(&common.net).power(at);
        let fabric = Arc::new(Fabric::new(operator, Arc::new(from), None, seed));
        Ok(Self { runtime: runtime(seed)?, fabric })
    }

    /// They go on for one tick.
    pub fn step(&self, net: &Shared) {
        let now = lock(net).now();
        self.runtime.block_on(async {
            lock(net).turn((now, now + TICK));
            sleep(Duration::from_micros(TICK)).await;
        });
        lock(net).rest();
    }
}
