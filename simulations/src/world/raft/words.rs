//! What nodes say to each other about consensus, and what they know of the cluster.

use crate::plan::{Micros, Tuning};
use regions::control_log::Request;
use std::collections::BTreeSet;
use std::rc::Rc;

/// An entry of the log.
#[derive(Debug)]
pub struct Entry {
    /// The term in which it was written.
    pub term: u64,
    /// What is asked; nothing in the first entry of a term.
    pub requests: Vec<Rc<Request>>,
    /// Tells it from every other entry that there ever was.
    pub print: u64,
}

/// A leader's word to a follower.
#[derive(Debug)]
pub struct Append {
    pub term: u64,
    pub before: (u64, u64),
    pub entries: Vec<Rc<Entry>>,
    pub commit: u64,
    /// The round that an answer confirms, and which question this is.
    pub round: (u64, u64),
}

/// A state that stands for all entries up to one.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Index and term of the last entry in it.
    pub last: (u64, u64),
    /// The state's bytes.
    pub state: Rc<Vec<u8>>,
}

/// What nodes say to each other.
#[derive(Clone, Debug)]
pub enum Message {
    Vote { term: u64, last: (u64, u64) },
    Voted { term: u64, granted: bool },
    Append(Rc<Append>),
    Install { term: u64, snapshot: Snapshot, round: (u64, u64) },
    Appended { term: u64, matched: Option<u64>, end: u64, round: (u64, u64) },
}

/// What became of a step.
#[derive(Debug, Default)]
pub struct Out {
    /// Messages, each with the time at which what it says is durable.
    pub sends: Vec<(usize, Message, Micros)>,
    /// It gave its vote.
    pub voted: bool,
    /// It began to lead.
    pub leads: bool,
    /// A snapshot is to be installed.
    pub installed: Option<Snapshot>,
    /// To be looked at again then, for what was written here.
    pub synced: Option<Micros>,
}

/// What all nodes know of the cluster.
#[derive(Debug)]
pub struct Shape {
    pub nodes: usize,
    pub voters: Vec<usize>,
    /// The voters as the cluster names them.
    pub ids: BTreeSet<u64>,
    pub tuning: Tuning,
}

impl Shape {
    pub fn new(nodes: usize, voters: Vec<usize>, tuning: Tuning) -> Self {
        let ids = voters.iter().map(|v| *v as u64 + 1).collect();
        Self { nodes, voters, ids, tuning }
    }

    /// The greatest number that a majority of the voters has reached.
    pub fn agreed(&self, of: impl Fn(usize) -> u64) -> u64 {
        let reached = |least: u64| self.voters.iter().filter(|v| of(**v) >= least).count();
        let all = self.voters.iter().map(|v| of(*v));
        all.filter(|number| reached(*number) >= self.majority()).max().unwrap_or_default()
    }

    pub fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}
