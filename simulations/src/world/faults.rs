//! Faults begin and end.

use super::{Event, World};
use crate::experiment::{Core, Moment, Target};
use crate::journal::What;
use crate::plan::{Action, MILLI, Micros, When};
use crate::whom::Whom as _;
use std::collections::{BTreeMap, BTreeSet};

/// Purposes of drawn numbers.
const ACTORS: u64 = 70;

/// What faults have done and do.
#[derive(Debug, Default)]
pub struct State {
    /// Faults of links that last: which pairs, for how many.
    lasting: BTreeMap<usize, Vec<(usize, usize)>>,
    /// Flapping links that are down now.
    down: BTreeSet<usize>,
    /// Nodes that each lasting fault hit.
    hit: BTreeMap<usize, Vec<usize>>,
    /// How often each fault that waits for a moment has begun.
    times: BTreeMap<usize, u32>,
    /// Whom it waited for.
    subjects: BTreeMap<usize, usize>,
    /// Nodes whose power is being cut.
    pub power: BTreeSet<usize>,
    /// Nodes whose disk is to fail, and when they start again.
    pub disk_restart: BTreeMap<usize, Option<Micros>>,
    /// How many times more clients send.
    pub burst: f64,
    /// Goals that were told once.
    pub seen: BTreeSet<&'static str>,
    /// What nodes will tell clients once it is durable: node, life, when, client, ticket.
    pub promises: Vec<(usize, u32, Micros, usize, u64)>,
    /// The liveness phase: no fault begins any more.
    healing: bool,
}

impl World<'_> {
    /// Puts faults with a time into the queue.
    pub(super) fn plan_faults(&mut self) {
        self.faults.burst = 1.0;
        for (at, fault) in self.plan.faults.iter().enumerate() {
            if let When::At(time) = fault.when {
                self.push(time, Event::Fault(at, true));
            }
        }
    }

    /// Something happened to a node that faults may wait for.
    pub(super) fn moment(&mut self, moment: Moment, node: usize) {
        if self.now < crate::plan::SECOND || self.faults.healing {
            return;
        }
        for (at, fault) in self.plan.faults.iter().enumerate() {
            let When::On(on, plus, times) = fault.when else { continue };
            let begun = self.faults.times.get(&at).copied().unwrap_or_default();
            if on == moment && begun < times {
                self.faults.times.insert(at, begun + 1);
                self.faults.subjects.insert(at, node);
                // Never within the step that led to it, which must be whole.
                self.push(self.now + plus.max(1), Event::Fault(at, true));
            }
        }
    }

    pub(super) fn fault(&mut self, at: usize, begins: bool) {
        if !begins {
            return self.fault_ends(at);
        }
        if self.faults.healing {
            return;
        }
        let plan = self.plan;
        let fault = &plan.faults[at];
        let subject = self.faults.subjects.get(&at).copied();
        let hit = self.begin_fault(at, &fault.action, subject);
        match hit {
            Some(nodes) => self.note(None, What::FaultBegins { fault: at, nodes }),
            None => return self.note(None, What::FaultMissed { fault: at }),
        }
        if fault.lasts > 0 {
            self.push(self.now + fault.lasts, Event::Fault(at, false));
        }
        for (other, next) in plan.faults.iter().enumerate() {
            if let When::After(first, plus) = next.when
                && first == at
            {
                self.push(self.now + plus, Event::Fault(other, true));
            }
        }
    }

    /// Does it; whom it hit, or nothing when there was nobody.
    fn begin_fault(
        &mut self,
        at: usize,
        action: &Action,
        subject: Option<usize>,
    ) -> Option<Vec<usize>> {
        let up = |world: &Self, target: &Target| -> Option<Vec<usize>> {
            let mut nodes = world.targets(at, target, subject);
            nodes.retain(|n| !world.nodes[*n].down);
            (!nodes.is_empty()).then_some(nodes)
        };
        match action {
            Action::Partition(scope, direction) | Action::Flap(scope, direction, _) => {
                let pairs = self.links(at, scope, *direction, subject);
                self.hit_links(at, pairs)
            }
            Action::Delay(scope, _)
            | Action::Loss(scope, _)
            | Action::Duplicate(scope, _)
            | Action::Clog(scope) => {
                let direction = crate::experiment::Direction::Both;
                let pairs = self.links(at, scope, direction, subject);
                self.hit_links(at, pairs)
            }
            Action::Kill(target, restart) | Action::PowerCut(target, restart) => {
                let nodes = up(self, target)?;
                let power = matches!(action, Action::PowerCut(..));
                nodes.iter().for_each(|n| self.end(*n, power, *restart));
                Some(nodes)
            }
            Action::DiskLost(target, restart) => {
                let mut nodes = up(self, target)?;
                nodes.retain(|n| self.lose_disk(*n, *restart));
                (!nodes.is_empty()).then_some(nodes)
            }
            Action::DiskError(target, restart) => {
                let nodes = up(self, target)?;
                for node in &nodes {
                    self.nodes[*node].disk.fails = true;
                    self.faults.disk_restart.insert(*node, *restart);
                }
                Some(nodes)
            }
            Action::Pause(target) | Action::DiskSlow(target, _) | Action::ClockDrift(target, _) => {
                let nodes = up(self, target)?;
                self.begin_lasting(at, action, &nodes);
                self.faults.hit.insert(at, nodes.clone());
                Some(nodes)
            }
            Action::ClockStep(target, by) => {
                let nodes = up(self, target)?;
                nodes.iter().for_each(|n| self.nodes[*n].offset += by);
                Some(nodes)
            }
            Action::ActorKill(Target::Actor(pattern), share)
            | Action::ActorHang(Target::Actor(pattern), share) => {
                let hang = matches!(action, Action::ActorHang(..));
                self.begin_actors(at, pattern, *share, hang)
            }
            // There are no doors here.
            Action::ActorKill(..)
            | Action::ActorHang(..)
            | Action::Strangers(_)
            | Action::NewCertificates(_) => None,
            Action::Burst(factor) => {
                self.faults.burst = *factor;
                Some(Vec::new())
            }
            Action::Drain(target) => {
                let Target::Region(_) = target else { return None };
                self.order(at, true);
                Some(self.targets(at, target, subject))
            }
        }
    }

    fn begin_lasting(&mut self, at: usize, action: &Action, nodes: &[usize]) {
        let lasts = self.plan.faults[at].lasts;
        for &node in nodes {
            match action {
                Action::Pause(_) => self.pause(node, self.now + lasts),
                Action::DiskSlow(_, slow) => self.nodes[node].disk.slow = *slow,
                Action::ClockDrift(_, ppm) => self.nodes[node].drift(self.now, 1.0 + ppm / 1e6),
                _ => {}
            }
        }
    }

    fn begin_actors(
        &mut self,
        at: usize,
        pattern: &str,
        share: f64,
        hang: bool,
    ) -> Option<Vec<usize>> {
        let drawn = self.plan.draw(ACTORS, at as u64, 0);
        let mut nodes = Vec::new();
        for node in 0..self.nodes.len() {
            let mut hit = 0;
            self.with(node, |world, run| {
                hit = world.hit_actors(run, pattern, (share, drawn), hang);
            });
            if hit > 0 {
                nodes.push(node);
            }
        }
        self.faults.hit.insert(at, nodes.clone());
        (!nodes.is_empty()).then_some(nodes)
    }

    fn hit_links(&mut self, at: usize, pairs: Vec<(usize, usize)>) -> Option<Vec<usize>> {
        if pairs.is_empty() {
            return None;
        }
        self.faults.lasting.insert(at, pairs);
        self.set_links();
        if let Action::Flap(.., period) = &self.plan.faults[at].action {
            self.push(self.now + period, Event::Flap(at, true));
        }
        Some(Vec::new())
    }

    /// A flapping link changes.
    pub(super) fn flap(&mut self, at: usize, up: bool) {
        if !self.faults.lasting.contains_key(&at) {
            return;
        }
        if up {
            self.faults.down.insert(at)
        } else {
            self.faults.down.remove(&at)
        };
        self.set_links();
        if let Action::Flap(.., period) = &self.plan.faults[at].action {
            self.push(self.now + period, Event::Flap(at, !up));
        }
    }

    /// Works out the state of all links from the faults that last.
    fn set_links(&mut self) {
        self.net.clear();
        for (at, pairs) in &self.faults.lasting {
            let mended = self.faults.down.contains(at);
            match &self.plan.faults[*at].action {
                Action::Partition(..) => self.net.hit(pairs, |t| t.cut = true),
                Action::Flap(..) if mended => {}
                Action::Flap(..) => self.net.hit(pairs, |t| t.cut = true),
                Action::Delay(_, by) => self.net.hit(pairs, |t| t.extra += by),
                Action::Loss(_, share) => self.net.hit(pairs, |t| t.loss = t.loss.max(*share)),
                Action::Duplicate(_, share) => self.net.hit(pairs, |t| t.twice = *share),
                Action::Clog(_) => self.net.hit(pairs, |t| t.clogged = true),
                _ => {}
            }
        }
        self.unclog();
    }

    fn fault_ends(&mut self, at: usize) {
        if self.faults.lasting.remove(&at).is_some() {
            self.faults.down.remove(&at);
            self.set_links();
        }
        let nodes = self.faults.hit.remove(&at).unwrap_or_default();
        match &self.plan.faults[at].action {
            Action::DiskSlow(..) => nodes.iter().for_each(|n| self.nodes[*n].disk.slow = 0),
            Action::ClockDrift(..) => {
                nodes.iter().for_each(|n| self.nodes[*n].drift(self.now, 1.0));
            }
            Action::ActorHang(..) => {
                nodes.iter().for_each(|n| self.with(*n, |world, run| world.unhang(run)));
            }
            Action::Burst(_) => self.faults.burst = 1.0,
            Action::Drain(Target::Region(_)) => self.order(at, false),
            _ => {}
        }
        self.note(None, What::FaultEnds { fault: at });
    }

    fn pause(&mut self, node: usize, until: Micros) {
        let known = self.nodes[node].paused;
        self.nodes[node].paused = known.max(Some(until));
        self.note(node, What::Paused);
        self.push(until, Event::Resume { node });
    }

    pub(super) fn resume(&mut self, node: usize) {
        if self.nodes[node].paused.is_some_and(|until| until <= self.now) {
            let now = self.now;
            self.nodes[node].paused = None;
            self.note(node, What::Resumed);
            self.nodes[node].heard.iter_mut().for_each(|heard| heard.excuse(now));
            // Now, however long it was to stand still: without its timers it does not beat.
            for event in std::mem::take(&mut self.nodes[node].held) {
                self.push(now, event);
            }
        }
    }

    /// Its disk is gone: what comes back is another node. Whether it could be: what a majority of
    /// the voters has lost nobody can give back.
    fn lose_disk(&mut self, node: usize, restart: Option<Micros>) -> bool {
        let whole = |v: &&usize| **v != node && !self.nodes[**v].disk.lost;
        if self.shape.voters.iter().filter(whole).count() <= self.shape.voters.len() / 2 {
            return false;
        }
        self.end(node, false, restart);
        self.ids += 1;
        let seed = self.plan.draw(20, node as u64, self.ids);
        let mut disk = super::disk::Disk::new(self.plan.tuning.sync, seed);
        disk.lost = true;
        let former = std::mem::replace(&mut self.nodes[node].disk, disk);
        self.lost(&former.threats);
        self.nodes[node].id = self.ids;
        self.is_another(node);
        self.note(node, What::Reborn);
        true
    }

    /// The liveness phase: all links are mended, and the core is healthy.
    pub(super) fn heal(&mut self) {
        self.faults.healing = true;
        let lasting: Vec<usize> = (0..self.plan.faults.len()).collect();
        let core = self.core();
        self.faults.lasting.clear();
        self.faults.down.clear();
        self.set_links();
        for at in lasting {
            if self.faults.hit.contains_key(&at)
                || matches!(self.plan.faults[at].action, Action::Burst(_) | Action::Drain(_))
            {
                self.fault_ends(at);
            }
        }
        for &node in &core {
            let life = self.nodes[node].life;
            if self.nodes[node].down {
                self.push(self.now + MILLI, Event::Restart { node, life });
            } else if self.nodes[node].paused.is_some() {
                self.nodes[node].paused = Some(self.now);
                self.resume(node);
            }
            self.nodes[node].disk.fails = false;
        }
        let owed = self.owed(&core);
        if owed > 0 {
            self.note(None, What::Owed(owed));
        }
        self.note(None, What::Heals { core });
    }

    /// Who is healthy from now on.
    fn core(&self) -> Vec<usize> {
        match self.plan.core {
            Core::All => (0..self.nodes.len()).collect(),
            Core::RandomMajority => crate::whom::core(self.plan, |n| self.nodes[n].disk.lost),
        }
    }
}
