//! What happened in a run, as the harness saw it. Invariants read this and nothing else: never what
//! the product says of itself. Every world writes the same entries. Nodes and clients are named by
//! their place in the plan.

use crate::plan::Micros;
use regions::clock::Stamp;
use serde::Serialize;
use threat::ThreatId;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A value for a key of the control log.
    Write {
        /// The key.
        key: u32,
        /// The value, which no other write has.
        value: u64,
    },
    /// The value of a key, not older than any command that was acknowledged before.
    Read {
        /// The key.
        key: u32,
    },
    /// Another bundle in the place of the active one, if the epoch is as expected.
    Activate,
    /// Verdicts for the events of a source up to an offset.
    Judge {
        /// The source.
        source: u32,
        /// The offset before the first event.
        start: u64,
        /// The offset after the last event.
        end: u64,
    },
    /// A word of an analyst on a threat.
    Handle {
        /// The threat.
        threat: ThreatId,
        /// Whether it says that the threat is closed.
        closes: bool,
    },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// Done, at an index of the log.
    At {
        /// The index.
        index: u64,
        /// What was read.
        value: Option<u64>,
    },
    /// Verdicts are as durable as was asked.
    Judged,
    /// Written under this stamp, and on the node's disk.
    Handled {
        /// The stamp.
        stamp: Stamp,
        /// Whether it was the latest word of the threat right after.
        stands: bool,
        /// The node that wrote it.
        node: usize,
    },
    /// Refused, for a reason that a client can do something about.
    Refused,
    /// Certainly not done.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Who decided on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The voters.
    Ml,
    /// The rules alone.
    Rules,
}

/// What an event is, as the harness made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// Nothing bad.
    Benign,
    /// A rule knows it.
    KnownBad,
    /// Only learned detectors find it.
    Unusual,
}

/// A verdict, as it was written down by an owner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Of which source.
    pub source: u32,
    /// Offset after the event.
    pub offset: u64,
    /// Of which workload.
    pub workload: u32,
    /// Under which epoch the node owned it.
    pub epoch: u64,
    /// When the event reached the node that took it in.
    pub taken: Micros,
    /// When its owner let it in.
    pub dealt: Micros,
    /// When its owner had decided.
    pub decided: Micros,
    /// Version of the bundle that judged.
    pub bundle: u64,
    /// The host that it is about.
    pub host: u32,
    /// What the event was.
    pub truth: Truth,
    /// Voters that answered.
    pub voted: u32,
    /// Who decided.
    pub by: Source,
    /// Whether it was taken for a threat.
    pub threat: bool,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A fault begins, by its place in the plan, with the nodes that it hits.
    FaultBegins {
        /// Which.
        fault: usize,
        /// Whom; empty when it hits links.
        nodes: Vec<usize>,
    },
    /// It is over.
    FaultEnds {
        /// Which.
        fault: usize,
    },
    /// A fault could not be applied, since nobody was what it wants to hit.
    FaultMissed {
        /// Which.
        fault: usize,
    },
    /// The liveness phase begins; these nodes are healthy.
    Heals {
        /// Which.
        core: Vec<usize>,
    },
    /// At healing: beats until enough voters, which fell silent before, believe each other again.
    Owed(u32),
    /// A node is up.
    Up,
    /// A node is down.
    Down,
    /// A node stands still.
    Paused,
    /// It goes on.
    Resumed,
    /// A node lost its disk and is another one from now on.
    Reborn,
    /// A node removed a closed threat for good, with the last word on it that it knew.
    Collected(ThreatId, Stamp),
    /// A stranger knocked at a node's door.
    Knocked {
        /// With what.
        way: &'static str,
        /// Whether it was answered.
        entered: bool,
    },
    /// A node shows another certificate from now on.
    CertificateChanged,
    /// A node began to lead this term.
    Leads {
        /// The term.
        term: u64,
    },
    /// A node applied an entry.
    Applied {
        /// Its index.
        index: u64,
        /// Follows from this entry and all before it.
        chain: u64,
    },
    /// A node took over a state instead of entries.
    Installed {
        /// Its last index.
        index: u64,
        /// As in [`What::Applied`].
        chain: u64,
    },
    /// A key was written, at the index of the log; told once, by whoever applied it first.
    Set {
        /// The index.
        index: u64,
        /// The key.
        key: u32,
        /// The value.
        value: u64,
    },
    /// A region uses this bundle from an index on; told once.
    Uses {
        /// The region.
        region: usize,
        /// The bundle.
        version: u64,
        /// The epoch of the last activation.
        epoch: u64,
    },
    /// A command was given this epoch: an assignment, an activation or a rollback; told once.
    Epoch {
        /// The epoch.
        epoch: u64,
    },
    /// A workload has another owner; told once.
    Assigned {
        /// The workload.
        workload: u32,
        /// The owner, by place.
        owner: Option<usize>,
        /// Its epoch.
        epoch: u64,
    },
    /// A node may act for workloads now, so many.
    Acts {
        /// How many.
        workloads: u32,
    },
    /// A client asks.
    Asked {
        /// The operation.
        op: u64,
        /// What.
        ask: Ask,
    },
    /// And is answered.
    Answered {
        /// The operation.
        op: u64,
        /// How.
        done: Done,
    },
    /// A node began an effect in the world, right after it saw that it may.
    Effect {
        /// For which workload.
        workload: u32,
        /// Under which epoch.
        epoch: u64,
    },
    /// A receiver that knows epochs heard of an effect.
    Received {
        /// For which workload.
        workload: u32,
        /// Under which epoch.
        epoch: u64,
        /// Whether it let it through.
        accepted: bool,
    },
    /// A node judged an event.
    Verdict(Judged),
    /// A node's admission, as the harness counts: offered, accepted, shed.
    Admitted {
        /// Events offered.
        offered: u64,
        /// Of these accepted.
        accepted: u64,
        /// And shed.
        shed: u64,
        /// The product's own count of the same.
        counted: (u64, u64, u64),
        /// Batches that admission holds room for, and those that are in hand.
        rooms: (u64, u64),
    },
    /// The fullest that a queue was, and its limit.
    Queue {
        /// Which.
        name: &'static str,
        /// The most that was in it.
        most: u64,
        /// Its limit.
        limit: u64,
    },
    /// An actor failed.
    ActorDown {
        /// Its place in the tree.
        path: &'static str,
    },
    /// It is up again.
    ActorUp {
        /// Its place in the tree.
        path: &'static str,
    },
    /// What a node knows of threats: one digest of all, below this floor nothing.
    Knows {
        /// The digest.
        digest: u64,
        /// The floor.
        floor: Option<i64>,
        /// How many.
        threats: u64,
    },
    /// At the end: the latest word of a threat at a node.
    Word {
        /// The threat.
        threat: ThreatId,
        /// The latest stamp.
        stamp: Stamp,
    },
    /// At the end: how many verdicts of a source a node counts for a host's threats of one kind.
    Counted {
        /// The host.
        host: u32,
        /// Whether a rule knows it.
        known_bad: bool,
        /// The source.
        source: u32,
        /// How many.
        verdicts: u64,
    },
    /// At the end: what a node's log led to.
    State {
        /// The last applied index.
        index: u64,
        /// Digest of all of the state.
        digest: u64,
    },
    /// At the end: promises of consensus that were looked up on the disks when they were made.
    Promised {
        /// How many.
        checked: u64,
    },
    /// A node's ledger at the end: verdicts of a source and workload up to here.
    Ledger {
        /// The workload.
        workload: u32,
        /// The source.
        source: u32,
        /// Offset after the last event.
        end: u64,
    },
    /// At the end: verdicts on a node's disk, of the events of a source between two offsets.
    Kept {
        /// The workload.
        workload: u32,
        /// The source.
        source: u32,
        /// The offset before the first event.
        start: u64,
        /// The offset after the last event.
        end: u64,
        /// How many of the events between are of the workload.
        events: u64,
    },
    /// Why the run says nothing, where that is known while it runs.
    Doubt(String),
    /// One of the things that should happen in some run did.
    Sometimes(&'static str),
    /// A rule was broken that is checked where it happens.
    Broken {
        /// Of which invariant.
        invariant: &'static str,
        /// What happened.
        what: String,
    },
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Micros,
    /// The node or client, if it is one's.
    pub who: Option<u32>,
    /// What.
    pub what: What,
}

/// All of a run, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    /// Its entries.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// An empty one with room for a usual run: it is large, and growing moves all of it.
    pub fn with_room() -> Self {
        Self { entries: Vec::with_capacity(1 << 15) }
    }

    /// Notes something.
    pub fn note(&mut self, at: Micros, who: impl Into<Option<usize>>, what: What) {
        self.entries.push(Entry { at, who: who.into().map(|w| w as u32), what });
    }
}
