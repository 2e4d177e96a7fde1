//! What is seen of the nodes, for the journal: what they apply as they do it, and a look at each
//! from time to time.

use super::net::{Shared, lock};
use crate::agreed::Agreed;
use crate::journal::{Journal, What};
use crate::plan::Plan;
use cluster::consensus::{Kept, Promise, Watch};
use regions::control_log::{ControlLog, Reply, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::sim::SimDisk;
use threat::codec;
use threat::entropy::mix64;

/// The journal, and what it takes to write it.
pub struct Seen {
    pub plan: Arc<Plan>,
    net: Shared,
    /// When the run proper began: what comes before is noted at its first moment.
    pub began: Option<u64>,
    pub journal: Journal,
    pub agreed: Agreed,
    /// Ids of the nodes, by place.
    pub ids: Vec<Option<u64>>,
    /// A node that installed a snapshot, for faults that wait for that.
    pub installed: Vec<usize>,
    /// Promises that were looked up on the disks.
    pub promises: u64,
}

/// Nothing that holds it can leave it half changed.
pub fn seen(all: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    pub fn new(plan: Arc<Plan>, net: Shared) -> Self {
        Self {
            ids: vec![None; plan.nodes.len()],
            plan,
            net,
            began: None,
            journal: Journal::default(),
            agreed: Agreed::default(),
            installed: Vec::new(),
            promises: 0,
        }
    }

    /// Time of the run now.
    pub fn now(&self) -> u64 {
        self.began.map_or(0, |began| lock(&self.net).now().saturating_sub(began))
    }

    /// Notes something now.
    pub fn note(&mut self, who: impl Into<Option<usize>>, what: What) {
        let now = self.now();
        self.journal.note(now, who, what);
    }

    /// The place of a node in the plan.
    pub fn place_of(&self, id: u64) -> Option<usize> {
        self.ids.iter().position(|known| *known == Some(id))
    }

    fn entry(&mut self, requests: &[Request], replies: &[Reply], index: u64, log: &ControlLog) {
        let plan = Arc::clone(&self.plan);
        let mut agreed = std::mem::take(&mut self.agreed);
        let mut told = Vec::new();
        for (request, reply) in requests.iter().zip(replies) {
            let place_of = |id| self.place_of(id);
            let entry = (index, request, reply);
            agreed.tell(entry, log, &plan.regions, place_of, |what| told.push(what));
        }
        self.agreed = agreed;
        told.into_iter().for_each(|what| self.note(None, what));
    }
}

/// Sees what one process applies.
pub struct Sees {
    seen: Arc<Mutex<Seen>>,
    node: usize,
    /// Follows from all entries so far.
    chain: Mutex<u64>,
    /// Those of the log and of its journal.
    disks: [SimDisk; 2],
    promised: AtomicU64,
    looked: Mutex<Looked>,
}

/// What the disks kept when they were looked into last, and how often they had changed then.
#[derive(Default)]
struct Looked {
    changes: [u64; 2],
    kept: Option<Kept>,
}

/// One of so many promises of the log is looked up on the disks when they have changed, which takes
/// a millisecond; of votes each, and all while something is in the journal and not synced. The log
/// is mostly not: it is folded lazily, and the journal has what it lacks.
const LOOKED_UP: u64 = 64;

impl Sees {
    /// `applied` is up to where its state was when it was opened.
    pub fn new(all: Arc<Mutex<Seen>>, node: usize, applied: u64, disks: [SimDisk; 2]) -> Self {
        let chain = Mutex::new(seen(&all).agreed.chain_at(applied));
        let (promised, looked) = (AtomicU64::new(0), Mutex::default());
        Self { seen: all, node, chain, disks, promised, looked }
    }

    fn chain(&self) -> MutexGuard<'_, u64> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sees {
    /// R4: what others rely on survives if the power goes right now.
    fn keeps(&self, promise: Promise) -> bool {
        let number = self.promised.fetch_add(1, Ordering::Relaxed);
        let changes = self.disks.each_ref().map(SimDisk::changes);
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.kept.is_none() || looked.changes != changes {
            let is_vote = matches!(promise, Promise::Vote { .. });
            let synced = self.disks[1].is_synced();
            if synced && !is_vote && !number.is_multiple_of(LOOKED_UP) {
                return true;
            }
            let copies = self.disks.each_ref().map(|disk| disk.as_synced().backend());
            // Files that cannot be opened keep nothing.
            *looked = Looked { changes, kept: Kept::of(copies).ok() };
        }
        seen(&self.seen).promises += 1;
        looked.kept.is_some_and(|kept| kept.keeps(promise))
    }
}

impl Watch for Sees {
    fn applied(&self, index: u64, requests: &[Request], replies: &[Reply], log: &ControlLog) {
        let mut chain = self.chain();
        for request in requests {
            // What was proposed can be written down: it was sent.
            for part in codec::encode(0, request).unwrap_or_default().chunks(8) {
                let mut word = [0; 8];
                word[..part.len()].copy_from_slice(part);
                *chain = mix64(*chain ^ u64::from_le_bytes(word));
            }
        }
        *chain = mix64(*chain ^ index);
        if index == 0 {
            // The cluster's founding, which each node has.
            *chain = 0;
            return;
        }
        // Whatever the term, it is not applied before it is stored.
        self.promises(Promise::Log { term: u64::MAX, index });
        let mut all = seen(&self.seen);
        all.note(self.node, What::Applied { index, chain: *chain });
        if all.agreed.is_first(index, *chain) {
            all.entry(requests, replies, index, log);
        }
    }

    fn installed(&self, index: u64, _: &ControlLog) {
        let mut all = seen(&self.seen);
        let chain = all.agreed.chain_at(index);
        *self.chain() = chain;
        all.note(self.node, What::Installed { index, chain });
        all.note(self.node, What::Sometimes("snapshot-installed"));
        all.installed.push(self.node);
    }

    fn promises(&self, promise: Promise) {
        if !self.keeps(promise) {
            let what = format!("what was promised would be lost in a power cut: {promise:?}");
            seen(&self.seen).note(self.node, What::Broken { invariant: "R4", what });
        }
    }
}
