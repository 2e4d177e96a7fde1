//! Consensus as the virtual world models it: elections, replication, snapshots and confirmed reads
//! after Raft (Ongaro, Ousterhout: "In search of an understandable consensus algorithm", 2014).
//!
//! In production this is openraft, which cannot be stepped from outside. The model is here so that
//! what stands on consensus meets what consensus really does: leaders that do not know yet that
//! they were replaced, entries that were written and got lost, replies that never came, nodes that
//! are far behind. Its voters are fixed; one that lost its disk keeps quiet from then on.

mod leading;
mod words;

pub use words::{Append, Entry, Message, Out, Shape, Snapshot};

use super::disk::{Disk, Hard};
use crate::plan::Micros;
use leading::Leading;
use regions::control_log::Request;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

#[derive(Debug)]
enum Role {
    Follower,
    Candidate(BTreeSet<usize>),
    Leader(Box<Leading>),
}

/// One node's part in consensus.
#[derive(Debug)]
pub struct Raft {
    me: usize,
    hard: Hard,
    base: (u64, u64),
    log: VecDeque<Rc<Entry>>,
    snapshot: Option<Snapshot>,
    pub commit: u64,
    role: Role,
    pub leader: Option<usize>,
    /// When a leader was heard last, on the local clock.
    heard: Micros,
    /// When to stand for election, on the local clock.
    pub deadline: Micros,
    draws: u64,
}

impl Raft {
    /// A node that starts from what its disk has.
    pub fn start(me: usize, disk: &Disk, local: Micros, seed: u64, shape: &Shape) -> Self {
        let (base, snapshot) = match &disk.snapshot {
            Some(snapshot) => (snapshot.last, Some(snapshot.clone())),
            None => ((0, 0), None),
        };
        let mut raft = Self {
            me,
            hard: disk.hard,
            base,
            log: disk.log.clone(),
            snapshot,
            commit: base.0,
            role: Role::Follower,
            leader: None,
            heard: 0,
            deadline: 0,
            draws: seed,
        };
        raft.wait(local, shape);
        raft
    }

    fn wait(&mut self, local: Micros, shape: &Shape) {
        self.draws = threat::entropy::mix64(self.draws);
        let (_, least, most) = shape.tuning.consensus;
        self.deadline = local + least + self.draws % (most - least).max(1);
    }

    pub fn last(&self) -> (u64, u64) {
        let term = self.log.back().map_or(self.base.1, |entry| entry.term);
        (self.base.0 + self.log.len() as u64, term)
    }

    pub const fn term(&self) -> u64 {
        self.hard.term
    }

    pub const fn base(&self) -> u64 {
        self.base.0
    }

    /// Entries that are kept, for the disk.
    pub const fn log(&self) -> &VecDeque<Rc<Entry>> {
        &self.log
    }

    pub const fn hard(&self) -> Hard {
        self.hard
    }

    /// The term that it leads, as it thinks.
    pub const fn leads(&self) -> Option<u64> {
        if let Role::Leader(_) = self.role { Some(self.hard.term) } else { None }
    }

    pub fn entry(&self, index: u64) -> Option<&Rc<Entry>> {
        self.log.get(index.checked_sub(self.base.0 + 1)? as usize)
    }

    fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.base.0 { Some(self.base.1) } else { self.entry(index).map(|e| e.term) }
    }

    /// Writes what is asked, if it leads; its index and term.
    pub fn propose(
        &mut self,
        (now, requests): (Micros, Vec<Rc<Request>>),
        disk: &mut Disk,
        shape: &Shape,
        out: &mut Out,
    ) -> Option<(u64, u64)> {
        self.leads()?;
        let term = self.hard.term;
        let print = threat::entropy::mix64(term << 20 ^ self.last().0 << 8 ^ self.me as u64);
        self.log.push_back(Rc::new(Entry { term, requests, print }));
        out.synced = Some(self.sync(now, disk));
        self.replicate(now, shape, out);
        Some((self.last().0, term))
    }

    /// Makes what is there durable; when it will be.
    fn sync(&self, now: Micros, disk: &mut Disk) -> Micros {
        disk.sync(now, self.hard, self.last().0)
    }

    /// The deadline has come: it stands for election.
    pub fn stand(
        &mut self,
        (now, local): (Micros, Micros),
        disk: &mut Disk,
        shape: &Shape,
        out: &mut Out,
    ) {
        if local < self.deadline || self.leads().is_some() {
            return;
        }
        self.wait(local, shape);
        if !shape.voters.contains(&self.me) || disk.lost {
            return;
        }
        self.hard = Hard { term: self.hard.term + 1, voted: Some(self.me) };
        self.leader = None;
        self.role = Role::Candidate([self.me].into());
        let at = self.sync(now, disk);
        let (term, last) = (self.hard.term, self.last());
        let others = shape.voters.iter().filter(|v| **v != self.me);
        out.sends.extend(others.map(|v| (*v, Message::Vote { term, last }, at)));
        out.synced = Some(at);
        self.win(now, disk, shape, out);
    }

    fn win(&mut self, now: Micros, disk: &mut Disk, shape: &Shape, out: &mut Out) {
        let Role::Candidate(votes) = &self.role else { return };
        if votes.len() < shape.majority() {
            return;
        }
        let first = self.last().0 + 1;
        self.role = Role::Leader(Box::new(Leading {
            next: vec![first; shape.nodes],
            matched: vec![0; shape.nodes],
            acked: vec![0; shape.nodes],
            asked: vec![None; shape.nodes],
            questions: 0,
            first,
            round: 0,
        }));
        self.leader = Some(self.me);
        out.leads = true;
        self.propose((now, Vec::new()), disk, shape, out);
    }

    fn follow(&mut self, term: u64) {
        if term > self.hard.term {
            self.hard = Hard { term, voted: None };
            self.leader = None;
        }
        self.role = Role::Follower;
    }

    /// Takes a message; `local` is the node's clock.
    pub fn take(
        &mut self,
        (now, local): (Micros, Micros),
        (from, message): (usize, Message),
        disk: &mut Disk,
        shape: &Shape,
        out: &mut Out,
    ) {
        match message {
            Message::Vote { term, last } => {
                self.asked_to_vote((now, local), (from, term, last), disk, shape, out);
            }
            Message::Voted { term, granted } => {
                if term > self.hard.term {
                    self.follow(term);
                    self.sync(now, disk);
                } else if term == self.hard.term && granted {
                    if let Role::Candidate(votes) = &mut self.role {
                        votes.insert(from);
                    }
                    self.win(now, disk, shape, out);
                }
            }
            Message::Append(append) => {
                let sent = (append.term, append.round);
                if !self.obeys((now, local), (from, sent), disk, shape, out) {
                    return;
                }
                let matched = self.append(&append);
                let changed = matched.is_some() && !append.entries.is_empty();
                let at = if changed { self.sync(now, disk) } else { disk.durable_at(now) };
                if let Some(end) = matched {
                    self.commit = self.commit.max(append.commit.min(end));
                }
                let (term, end) = (self.hard.term, self.last().0);
                let answer = Message::Appended { term, matched, end, round: append.round };
                out.sends.push((from, answer, at));
            }
            Message::Install { term, snapshot, round } => {
                if !self.obeys((now, local), (from, (term, round)), disk, shape, out) {
                    return;
                }
                let (end, term) = (snapshot.last.0, self.hard.term);
                if end > self.commit {
                    self.log.clear();
                    (self.base, self.commit) = (snapshot.last, end);
                    self.snapshot = Some(snapshot.clone());
                    disk.install(&snapshot);
                    out.installed = Some(snapshot);
                }
                let (at, matched) = (self.sync(now, disk), Some(end));
                let answer = Message::Appended { term, matched, end, round };
                out.sends.push((from, answer, at));
            }
            Message::Appended { term, matched, end, round } => {
                if term > self.hard.term {
                    self.follow(term);
                    self.sync(now, disk);
                } else if term == self.hard.term {
                    self.answered(now, (from, matched, end, round), shape, out);
                    self.advance(now, disk, shape);
                }
            }
        }
    }

    fn asked_to_vote(
        &mut self,
        (now, local): (Micros, Micros),
        (from, term, last): (usize, u64, (u64, u64)),
        disk: &mut Disk,
        shape: &Shape,
        out: &mut Out,
    ) {
        // Who hears its leader helps nobody to replace it.
        let steady = self.leader.is_some() && local < self.heard + shape.tuning.consensus.1;
        if disk.lost || (steady && self.leads().is_none()) {
            return;
        }
        if term > self.hard.term {
            self.follow(term);
        }
        let newer = (last.1, last.0) >= (self.last().1, self.last().0);
        let free = self.hard.voted.is_none_or(|v| v == from);
        let granted = term == self.hard.term && newer && free && self.leads().is_none();
        if granted {
            self.hard.voted = Some(from);
            self.wait(local, shape);
            out.voted = true;
        }
        let (at, term) = (self.sync(now, disk), self.hard.term);
        out.sends.push((from, Message::Voted { term, granted }, at));
    }

    /// Whether the sender leads; if it did once, it is told that it does not any more.
    fn obeys(
        &mut self,
        (now, local): (Micros, Micros),
        (from, (term, round)): (usize, (u64, (u64, u64))),
        disk: &mut Disk,
        shape: &Shape,
        out: &mut Out,
    ) -> bool {
        if term < self.hard.term {
            let (term, end) = (self.hard.term, self.last().0);
            let answer = Message::Appended { term, matched: None, end, round };
            out.sends.push((from, answer, disk.durable_at(now)));
            return false;
        }
        let news = term > self.hard.term;
        self.follow(term);
        if news {
            self.sync(now, disk);
        }
        (self.leader, self.heard) = (Some(from), local);
        self.wait(local, shape);
        true
    }

    /// Up to where the log is the leader's now.
    fn append(&mut self, append: &Append) -> Option<u64> {
        let (mut at, term) = append.before;
        if at >= self.base.0 && self.term_of(at) != Some(term) {
            return None;
        }
        for entry in &append.entries {
            at += 1;
            match self.term_of(at) {
                _ if at <= self.base.0 => {}
                Some(known) if known == entry.term => {}
                _ => {
                    self.log.truncate((at - 1 - self.base.0) as usize);
                    self.log.push_back(Rc::clone(entry));
                }
            }
        }
        Some(at)
    }

    /// Whether enough entries are applied to be replaced by a snapshot.
    pub fn wants_snapshot(&self, applied: u64, shape: &Shape) -> bool {
        applied.saturating_sub(self.base.0) >= shape.tuning.snapshot_entries
    }

    /// Replaces entries by the state that they led to.
    pub fn compact(&mut self, applied: u64, state: Rc<Vec<u8>>, disk: &mut Disk) {
        let Some(term) = self.term_of(applied) else { return };
        let snapshot = Snapshot { last: (applied, term), state };
        self.log.drain(..(applied - self.base.0) as usize);
        self.base = snapshot.last;
        disk.snapshot = Some(snapshot.clone());
        disk.log_from(&self.log);
        self.snapshot = Some(snapshot);
    }
}
