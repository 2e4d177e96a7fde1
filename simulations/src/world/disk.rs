//! A disk of the virtual world: what was written, and how much of it is durable.

use super::raft::{Entry, Snapshot};
use crate::plan::Micros;
use regions::threats::Record;
use regions::threats::collection::Marks;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use threat::ThreatId;

/// What consensus has to remember beside its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hard {
    /// The term.
    pub term: u64,
    /// Who got the vote in it.
    pub voted: Option<usize>,
}

/// A sync that is under way: durable at `at`.
#[derive(Clone, Copy, Debug)]
struct Sync {
    at: Micros,
    hard: Hard,
    last: u64,
}

/// What a source's events of one workload have verdicts up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Offset after the last event.
    pub end: u64,
    /// When the entry is durable.
    pub at: Micros,
    /// What is durable until then.
    pub before: u64,
}

impl Judged {
    /// Up to where it is durable.
    pub const fn durable(&self, now: Micros) -> u64 {
        if self.at <= now { self.end } else { self.before }
    }
}

/// One node's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// Of consensus, durable or not: what a process that ends leaves behind.
    pub hard: Hard,
    pub log: VecDeque<Rc<Entry>>,
    pub snapshot: Option<Snapshot>,
    syncs: VecDeque<Sync>,
    done: Option<Sync>,
    /// When the sync that is under way ends, and the one after it, if there is to be one.
    busy: (Micros, Micros),
    /// Threats, as committed, with the number of their last change.
    pub threats: BTreeMap<ThreatId, (Record, u64)>,
    pub marks: Marks,
    /// The number of the last change of threats, and up to which one others had all, as far as the
    /// marks tell of it.
    pub changed: u64,
    pub compared: BTreeMap<u64, u64>,
    /// By workload and source.
    pub ledger: BTreeMap<(u32, u32), Judged>,
    /// How often it was opened.
    pub opened: u64,
    /// It takes the place of one that is gone: its node votes no more.
    pub lost: bool,
    /// Time that a sync takes.
    pub takes: (Micros, Micros),
    /// More than that, while the disk is slow.
    pub slow: Micros,
    /// The next sync fails.
    pub fails: bool,
    draws: u64,
}

impl Disk {
    /// An empty one.
    pub fn new(takes: (Micros, Micros), seed: u64) -> Self {
        Self { takes, draws: seed, ..Self::default() }
    }

    /// When something written now is durable. While one sync is under way, all that is written
    /// waits for the next one, together.
    pub fn time(&mut self, now: Micros) -> Micros {
        let (under_way, next) = self.busy;
        if now < under_way && next > under_way {
            return next;
        }
        self.draws = threat::entropy::mix64(self.draws);
        let (least, most) = self.takes;
        let takes = least + self.draws % (most - least).max(1) + self.slow;
        if now < under_way {
            self.busy = (under_way, under_way + takes);
        } else if now < next {
            self.busy = (next, next + takes);
        } else {
            self.busy = (now + takes, 0);
            return now + takes;
        }
        self.busy.1
    }

    /// Writes consensus' state up to `last`; when it is durable.
    pub fn sync(&mut self, now: Micros, hard: Hard, last: u64) -> Micros {
        let at = self.time(now);
        self.settle(now);
        self.syncs.push_back(Sync { at, hard, last });
        at
    }

    /// When what was written last is durable: now, or later.
    pub fn durable_at(&mut self, now: Micros) -> Micros {
        self.settle(now);
        self.syncs.back().map_or(now, |sync| sync.at)
    }

    fn settle(&mut self, now: Micros) {
        while self.syncs.front().is_some_and(|s| s.at <= now) {
            self.done = self.syncs.pop_front();
        }
    }

    /// What is durable by now: term and vote, and the last entry.
    pub fn durable(&mut self, now: Micros) -> (Hard, u64) {
        self.settle(now);
        self.done.map_or((Hard::default(), 0), |s| (s.hard, s.last))
    }

    /// A snapshot takes the place of the log.
    pub fn install(&mut self, snapshot: &Snapshot) {
        self.snapshot = Some(snapshot.clone());
        self.log.clear();
    }

    /// The log is this, after the snapshot.
    pub fn log_from(&mut self, log: &VecDeque<Rc<Entry>>) {
        self.log.clone_from(log);
    }

    /// The process ends; what it wrote stays, and is durable soon whatever happens.
    pub fn left(&mut self, hard: Hard, log: &VecDeque<Rc<Entry>>) {
        self.hard = hard;
        self.log.clone_from(log);
        let base = self.snapshot.as_ref().map_or(0, |s| s.last.0);
        let last = base + log.len() as u64;
        self.syncs.clear();
        self.done = Some(Sync { at: 0, hard, last });
    }

    /// The power is cut: what is not durable is gone. `log` is what was written.
    pub fn cut(&mut self, now: Micros, log: &VecDeque<Rc<Entry>>) {
        let (hard, last) = self.durable(now);
        let base = self.snapshot.as_ref().map_or(0, |s| s.last.0);
        self.hard = hard;
        self.log = log.iter().take(last.saturating_sub(base) as usize).cloned().collect();
        let last = base + self.log.len() as u64;
        self.syncs.clear();
        self.done = Some(Sync { at: now, hard, last });
        for judged in self.ledger.values_mut() {
            *judged = Judged { end: judged.durable(now), at: now, before: 0 };
        }
        self.busy = (now, 0);
    }
}
