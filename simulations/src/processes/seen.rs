//! What the harness has written down and what it sees of the nodes, shared by its tasks.

use crate::experiment::Moment;
use crate::journal::{Entry, Journal, What};
use crate::plan::Micros;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use threat::ThreatId;

/// The journal of a run under way.
pub struct Record {
    start: Instant,
    journal: Mutex<Journal>,
}

impl Record {
    /// An empty one that begins now.
    pub fn begin() -> Self {
        Self { start: Instant::now(), journal: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        // No code that holds it leaves it half changed.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of the run.
    pub fn now(&self) -> Micros {
        self.start.elapsed().as_micros() as Micros
    }

    /// How long it is until a time of the run.
    pub fn until(&self, at: Micros) -> Duration {
        Duration::from_micros(at.saturating_sub(self.now()))
    }

    /// Notes something now.
    pub fn note(&self, who: impl Into<Option<usize>>, what: What) {
        let mut journal = self.lock();
        let at = self.now();
        journal.note(at, who, what);
    }

    /// Notes something once the run is over: at its end.
    pub fn note_at(&self, at: Micros, who: impl Into<Option<usize>>, what: What) {
        self.lock().note(at, who, what);
    }

    /// Looks at what is there.
    pub fn look<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.lock().entries)
    }

    /// Takes all of it, in the order of time.
    pub fn take(&self) -> Journal {
        let mut journal = std::mem::take(&mut *self.lock());
        journal.entries.sort_by_key(|entry: &Entry| entry.at);
        journal
    }
}

/// What is known of one node.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its id in the cluster; 0 until it was heard of.
    pub id: u64,
    /// Its process.
    pub process: Option<u32>,
    /// The last term that it was seen to lead.
    pub led: u64,
    /// For how many workloads it may act.
    pub acts: u32,
    /// The most memory that it had, in bytes.
    pub memory: u64,
}

/// What is known of all.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By place.
    pub nodes: Vec<Known>,
    /// Who leads, and the term.
    pub leader: Option<(u64, usize)>,
    /// Ids of owners by workload.
    pub owners: BTreeMap<u32, u64>,
    /// Threats that analysts may speak of.
    pub threats: Vec<ThreatId>,
    /// How many times more clients send.
    pub burst: f64,
    /// What happened that faults may wait for, since it was looked at last.
    pub moments: Vec<(Moment, usize)>,
}

/// The same for all tasks.
pub struct Shared {
    /// The journal.
    pub record: Record,
    seen: Mutex<Seen>,
}

impl Shared {
    /// Nothing is known yet of so many nodes.
    pub fn new(nodes: usize) -> Self {
        let known = vec![Known::default(); nodes];
        let seen = Seen { nodes: known, burst: 1.0, ..Seen::default() };
        Self { record: Record::begin(), seen: Mutex::new(seen) }
    }

    /// Looks at it, or changes it.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
