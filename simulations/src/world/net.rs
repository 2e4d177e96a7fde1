//! Links between nodes: how long a message takes, and whether it arrives.

use super::{Event, World};
use crate::plan::{MILLI, Micros, unit};

/// Messages on one lane arrive in the order in which they were sent, as on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Raft,
    Control,
    Gossip,
    Data,
}

/// Lanes.
const LANES: usize = 4;

/// Purposes of drawn numbers.
const JITTER: u64 = 1;
const LOSS: u64 = 2;
const AGAIN: u64 = 3;

/// What faults do to one direction of one link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub cut: bool,
    pub clogged: bool,
    pub extra: Micros,
    pub loss: f64,
    pub twice: f64,
}

/// All links.
#[derive(Debug)]
pub struct Net {
    nodes: usize,
    trouble: Vec<Trouble>,
    /// By link: messages that were sent.
    sent: Vec<u64>,
    /// By link and lane: when the last one arrives.
    last: Vec<[Micros; LANES]>,
    /// Waiting for clogged links.
    pub held: Vec<(usize, usize, Event)>,
}

impl Net {
    pub fn new(nodes: usize) -> Self {
        Self {
            nodes,
            trouble: vec![Trouble::default(); nodes * nodes],
            sent: vec![0; nodes * nodes],
            last: vec![[0; LANES]; nodes * nodes],
            held: Vec::new(),
        }
    }

    pub fn trouble(&self, from: usize, to: usize) -> &Trouble {
        &self.trouble[from * self.nodes + to]
    }

    /// All links as without faults.
    pub fn clear(&mut self) {
        self.trouble.fill(Trouble::default());
    }

    /// Changes the links between different sides. `cuts` says whether a pair is hit.
    pub fn hit(&mut self, pairs: &[(usize, usize)], change: impl Fn(&mut Trouble)) {
        for (from, to) in pairs {
            change(&mut self.trouble[from * self.nodes + to]);
        }
    }
}

impl World<'_> {
    /// Sends a message that leaves its sender at `at`, if the sender lives then.
    pub(super) fn send(
        &mut self,
        (from, to): (usize, usize),
        lane: Lane,
        at: Micros,
        body: super::Body,
    ) {
        let link = from * self.net.nodes + to;
        let plan = self.plan;
        let base = &plan.links[plan.nodes[from].region][plan.nodes[to].region];
        let number = self.net.sent[link];
        self.net.sent[link] += 1;
        let trouble = self.net.trouble[link];
        if trouble.cut {
            return;
        }
        let loss = base.loss.max(trouble.loss);
        if loss > 0.0 && unit(plan.draw(LOSS, link as u64, number)) < loss {
            return;
        }
        let drawn = plan.draw(JITTER, link as u64, number);
        let delay = base.delay + drawn % (base.jitter + 1) + trouble.extra;
        let slot = &mut self.net.last[link][lane as usize];
        let arrives = (at + delay).max(*slot + 1);
        *slot = arrives;
        let life = self.nodes[from].life;
        let twice =
            trouble.twice > 0.0 && unit(plan.draw(AGAIN, link as u64, number)) < trouble.twice;
        let event = Event::Deliver { to, from, life, left: at, body };
        if trouble.clogged {
            self.net.held.push((from, to, event));
            return;
        }
        if twice {
            self.push(arrives + MILLI + drawn % (50 * MILLI), event.clone());
        }
        self.push(arrives, event);
    }

    /// Lets go what waited for links that are free again.
    pub(super) fn unclog(&mut self) {
        let held = std::mem::take(&mut self.net.held);
        for (from, to, event) in held {
            if self.net.trouble(from, to).clogged {
                self.net.held.push((from, to, event));
            } else {
                let at = self.now + self.plan.links[0][0].delay;
                self.push(at, event);
            }
        }
    }
}
