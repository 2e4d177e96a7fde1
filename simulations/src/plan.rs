//! A plan: everything that happens in one run, worked out from an experiment and a seed.
//!
//! Nothing in a run draws from one common stream of random numbers. What a client does next, how
//! long a message takes and whom a fault hits are hashes of the seed and of what they concern
//! (the n-th message of a link, the n-th operation of a client), so that a plan with one fault
//! fewer is the same run without it: that is what makes shrinking and comparing with a run without
//! faults possible.

mod expand;
mod swarm;
mod written;

pub use expand::expand;
pub use written::written;

use crate::experiment::{Core, Direction, Mix, Moment, Shape, Target, WorkloadKind, World};
use serde::{Deserialize, Serialize};
use threat::entropy::mix64;

/// Microseconds of virtual time since the start of a run.
pub type Micros = u64;

/// A second.
pub const SECOND: Micros = 1_000_000;

/// A millisecond.
pub const MILLI: Micros = 1_000;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// Its region, by place in [`Plan::regions`].
    pub region: usize,
    /// Whether it votes in consensus.
    pub voter: bool,
}

/// The way from one region to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedLink {
    /// Time of one way.
    pub delay: Micros,
    /// More than that, at most.
    pub jitter: Micros,
    /// Share of messages that get lost, 0 to 1.
    pub loss: f64,
}

/// One kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedWorkload {
    /// Which.
    pub kind: WorkloadKind,
    /// Time between two operations of one client.
    pub every: Micros,
    /// Who does them.
    pub clients: u32,
    /// Events of a batch.
    pub batch: u32,
    /// Hosts, threats or keys.
    pub keys: u32,
    /// Skew.
    pub zipf: f64,
    /// What the operations are.
    pub mix: Mix,
    /// If there, only these operations are done: client and number.
    pub only: Option<Vec<(u32, u32)>>,
}

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At a time.
    At(Micros),
    /// So long after the fault at this place began.
    After(usize, Micros),
    /// So long after something happened, the first so many times.
    On(Moment, Micros, u32),
}

/// Which links a fault is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those between sides, given as nodes by place.
    Sides(Vec<Vec<usize>>),
    /// Those that a shape cuts.
    Shape(Shape, Option<Target>),
    /// Those of the target, or all.
    Of(Option<Target>),
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing passes.
    Partition(Scope, Direction),
    /// Nothing passes in every second period.
    Flap(Scope, Direction, Micros),
    /// Messages take longer.
    Delay(Scope, Micros),
    /// This share is lost.
    Loss(Scope, f64),
    /// This share arrives twice.
    Duplicate(Scope, f64),
    /// Messages wait until it ends.
    Clog(Scope),
    /// Processes end and start again after the time.
    Kill(Target, Option<Micros>),
    /// Processes stop.
    Pause(Target),
    /// Power is cut, and there again after the time.
    PowerCut(Target, Option<Micros>),
    /// Syncs take longer.
    DiskSlow(Target, Micros),
    /// The next sync fails; the node ends and starts again after the time.
    DiskError(Target, Option<Micros>),
    /// The disk is gone; the node comes back with an empty one after the time.
    DiskLost(Target, Option<Micros>),
    /// The wall clock jumps.
    ClockStep(Target, i64),
    /// Clocks run this much too fast, in parts of a million.
    ClockDrift(Target, f64),
    /// This share of the actors fails.
    ActorKill(Target, f64),
    /// This share of the actors stops answering.
    ActorHang(Target, f64),
    /// Clients send so many times more.
    Burst(f64),
    /// The region is emptied.
    Drain(Target),
    /// Strangers knock at doors.
    Strangers(Target),
    /// Certificates are changed.
    NewCertificates(Target),
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Names it.
    pub id: String,
    /// When it begins.
    pub when: When,
    /// How long it lasts; 0 for what is over at once.
    pub lasts: Micros,
    /// What it does.
    pub action: Action,
}

/// What is drawn about the insides of nodes, so that limits and thresholds are met as often as what
/// lies between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Time between heartbeats of consensus, the least and the greatest time to an election.
    pub consensus: (Micros, Micros, Micros),
    /// Entries of the log after which it is cut and a snapshot made.
    pub snapshot_entries: u64,
    /// Entries of one message at most.
    pub append_entries: usize,
    /// Time of one sync of a disk, the least and the greatest.
    pub sync: (Micros, Micros),
    /// Records of one gossip message at most.
    pub told_records: usize,
    /// Share of gossip that is forgotten by its sender, 0 to 1.
    pub gossip_forgotten: f64,
    /// How long closed threats are kept.
    pub retention: Micros,
    /// Least time between two comparisons with a node drawn by lot; the greatest is twice as long.
    pub compare_every: Micros,
    /// Batches that a node's detection takes at once.
    pub room: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            consensus: (50 * MILLI, 200 * MILLI, 400 * MILLI),
            snapshot_entries: 1_000,
            append_entries: 64,
            sync: (200, 2 * MILLI),
            told_records: 4_096,
            gossip_forgotten: 0.0,
            retention: 3_600 * SECOND,
            compare_every: 5 * SECOND,
            room: 64,
        }
    }
}

/// Everything that happens in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The experiment's name.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// Where it runs.
    #[serde(default = "Plan::usual", skip_serializing_if = "Plan::is_usual")]
    pub world: World,
    /// When the safety phase ends and the liveness phase begins.
    pub duration: Micros,
    /// How long that takes.
    pub heal: Micros,
    /// Who is mended for it.
    pub core: Core,
    /// Regions.
    pub regions: Vec<String>,
    /// Nodes.
    pub nodes: Vec<PlannedNode>,
    /// Links from region to region.
    pub links: Vec<Vec<PlannedLink>>,
    /// What clients do.
    pub workloads: Vec<PlannedWorkload>,
    /// What breaks.
    pub faults: Vec<PlannedFault>,
    /// What is drawn about the insides of nodes.
    pub tuning: Tuning,
    /// The planted bug that is live, by name; for programs that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
}

impl Plan {
    /// The workload of a client, by the places of both.
    pub fn workload_of(&self, client: usize) -> Option<usize> {
        let mut before = 0;
        self.workloads.iter().position(|work| {
            before += work.clients as usize;
            client < before
        })
    }

    const fn usual() -> World {
        World::Virtual
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    const fn is_usual(world: &World) -> bool {
        matches!(world, World::Virtual)
    }

    /// When the run is over.
    pub const fn end(&self) -> Micros {
        self.duration + self.heal
    }

    /// The same without faults, for comparison.
    #[must_use]
    pub fn control(&self) -> Self {
        Self { faults: Vec::new(), ..self.clone() }
    }

    /// A number that follows from the seed and from what it is for.
    pub fn draw(&self, what: u64, a: u64, b: u64) -> u64 {
        mix64(mix64(mix64(self.seed ^ mix64(what)) ^ a) ^ b)
    }
}

/// A number as a share of one, 0 included.
pub fn unit(number: u64) -> f64 {
    (number >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}
