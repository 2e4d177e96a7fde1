//! Faults begin and end in this world.

use super::net::lock;
use super::seen::seen;
use super::{Due, InProcess, strangers};
use crate::experiment::{Core, Direction, Moment, Role, Target};
use crate::journal::What;
use crate::operations::remove;
use crate::plan::{Action, MILLI, Micros, Plan, SECOND, When};
use crate::whom::{Whom, core};
use regions::orders::{self, Order};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What faults have done and do.
#[derive(Debug, Default)]
pub struct State {
    /// Faults of links that last: which pairs.
    lasting: BTreeMap<usize, Vec<(usize, usize)>>,
    /// Flapping links that are whole for the moment.
    whole: BTreeSet<usize>,
    /// Nodes that each lasting fault hit.
    hit: BTreeMap<usize, Vec<usize>>,
    /// How often each fault that waits for a moment has begun.
    times: BTreeMap<usize, u32>,
    /// Whom it waited for.
    subjects: BTreeMap<usize, usize>,
    /// Nodes whose disk is to fail, and when they start again.
    pub disk_restart: BTreeMap<usize, Option<Micros>>,
    /// Nodes that lost their disk once.
    reborn: BTreeSet<usize>,
    /// Nodes that may not start before what they were is removed, and whether it is.
    leaving: BTreeMap<usize, Arc<AtomicBool>>,
    /// The liveness phase: no fault begins any more.
    healing: bool,
}

impl Whom for InProcess {
    fn plan(&self) -> &Plan {
        &self.common.plan
    }

    fn role(&self, role: &Role) -> Vec<usize> {
        match role {
            Role::Leader => {
                let leads = self.led.iter().enumerate();
                let leads = leads.filter_map(|(at, term)| term.map(|term| (term, at)));
                leads.max().map(|(_, at)| at).into_iter().collect()
            }
            Role::Owner(workload) => {
                let all = seen(&self.common.seen);
                let owner = all.agreed.owners.get(workload).and_then(|(id, _)| *id);
                owner.and_then(|id| all.place_of(id)).into_iter().collect()
            }
            Role::Voter => self.voters().into_iter().take(1).collect(),
            Role::Learner => {
                let all = 0..self.hosts.len();
                all.filter(|n| !self.common.plan.nodes[*n].voter).take(1).collect()
            }
        }
    }
}

impl InProcess {
    pub(super) fn plan_faults(&mut self) {
        let plan = Arc::clone(&self.common.plan);
        for (at, fault) in plan.faults.iter().enumerate() {
            if let When::At(time) = fault.when {
                self.push(time, Due::Fault(at, true));
            }
        }
    }

    /// Something happened to a node that faults may wait for.
    pub(super) fn moment(&mut self, moment: Moment, node: usize) {
        let began = seen(&self.common.seen).began.is_some();
        if !began || self.now < SECOND || self.faults.healing {
            return;
        }
        let plan = Arc::clone(&self.common.plan);
        for (at, fault) in plan.faults.iter().enumerate() {
            let When::On(on, plus, times) = fault.when else { continue };
            let begun = self.faults.times.get(&at).copied().unwrap_or_default();
            if on == moment && begun < times {
                self.faults.times.insert(at, begun + 1);
                self.faults.subjects.insert(at, node);
                self.push(self.now + plus, Due::Fault(at, true));
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
        let plan = Arc::clone(&self.common.plan);
        let fault = &plan.faults[at];
        match self.begin_fault(at, &fault.action) {
            Some(nodes) => self.note(None, What::FaultBegins { fault: at, nodes }),
            None => return self.note(None, What::FaultMissed { fault: at }),
        }
        if fault.lasts > 0 {
            self.push(self.now + fault.lasts, Due::Fault(at, false));
        }
        for (other, next) in plan.faults.iter().enumerate() {
            if let When::After(first, plus) = next.when
                && first == at
            {
                self.push(self.now + plus, Due::Fault(other, true));
            }
        }
    }

    fn up(&self, at: usize, target: &Target) -> Option<Vec<usize>> {
        let subject = self.faults.subjects.get(&at).copied();
        let mut nodes = self.targets(at, target, subject);
        nodes.retain(|n| self.hosts[*n].is_up());
        (!nodes.is_empty()).then_some(nodes)
    }

    /// Does it; whom it hit, or nothing when there was nobody or this world cannot do it.
    fn begin_fault(&mut self, at: usize, action: &Action) -> Option<Vec<usize>> {
        match action {
            Action::Partition(scope, direction) | Action::Flap(scope, direction, _) => {
                self.hit_links(at, scope, *direction)
            }
            Action::Delay(scope, _) | Action::Loss(scope, _) | Action::Clog(scope) => {
                self.hit_links(at, scope, Direction::Both)
            }
            Action::Kill(target, restart) | Action::PowerCut(target, restart) => {
                let nodes = self.up(at, target)?;
                let power = matches!(action, Action::PowerCut(..));
                nodes.iter().for_each(|n| self.end(*n, power, *restart));
                Some(nodes)
            }
            Action::DiskError(target, restart) => {
                let nodes = self.up(at, target)?;
                for node in &nodes {
                    self.hosts[*node].fail_sync();
                    self.faults.disk_restart.insert(*node, *restart);
                }
                Some(nodes)
            }
            Action::DiskLost(target, restart) => {
                let mut nodes = self.up(at, target)?;
                nodes.retain(|node| self.lose_disk(*node, *restart));
                (!nodes.is_empty()).then_some(nodes)
            }
            Action::Pause(target) => self.pause(at, target),
            Action::ClockDrift(target, ppm) => {
                let nodes = self.up(at, target)?;
                nodes.iter().for_each(|n| self.hosts[*n].rate = 1.0 + ppm / 1e6);
                self.faults.hit.insert(at, nodes.clone());
                Some(nodes)
            }
            Action::DiskSlow(target, by) => {
                let nodes = self.up(at, target)?;
                nodes.iter().for_each(|n| self.hosts[*n].slow_disk(&self.common.plan, *by));
                self.faults.hit.insert(at, nodes.clone());
                Some(nodes)
            }
            Action::ClockStep(target, by) => {
                let nodes = self.up(at, target)?;
                for node in &nodes {
                    self.hosts[*node].offset.fetch_add(*by, Ordering::Relaxed);
                }
                Some(nodes)
            }
            Action::Burst(factor) => self.burst(*factor),
            Action::Drain(Target::Region(name)) => {
                let nodes = self.up(at, &Target::Region(name.clone()))?;
                self.order(orders::command(name, Some(Order::Drain)));
                Some(nodes)
            }
            Action::Strangers(target) => self.begin_knocking(at, target),
            Action::NewCertificates(target) => self.change_certificates(at, target),
            // A connection hides what arrives twice, and actors are not failed here.
            Action::Duplicate(..)
            | Action::ActorKill(..)
            | Action::ActorHang(..)
            | Action::Drain(_) => None,
        }
    }

    fn pause(&mut self, at: usize, target: &Target) -> Option<Vec<usize>> {
        let nodes = self.up(at, target)?;
        let until = self.now + self.common.plan.faults[at].lasts;
        for &node in &nodes {
            if self.hosts[node].paused.is_none() {
                self.paused_at[node] = self.now;
            }
            let known = self.hosts[node].paused;
            self.hosts[node].paused = known.max(Some(until));
            self.note(node, What::Paused);
            self.push(until, Due::Resume(node));
        }
        Some(nodes)
    }

    /// A node's disk is gone for good: it comes back as another one. Not where a majority of the
    /// voters would have lost theirs.
    fn lose_disk(&mut self, node: usize, restart: Option<Micros>) -> bool {
        let voters = self.voters();
        let whole = |v: &&usize| **v != node && !self.faults.reborn.contains(v);
        if voters.iter().filter(whole).count() <= voters.len() / 2 {
            return false;
        }
        // One that is never to come back does so all the same when everything is mended.
        let until = self.common.plan.duration.saturating_sub(self.now);
        self.end(node, false, Some(restart.unwrap_or(until)));
        self.hosts[node].lose_disk(&self.common.plan);
        self.faults.reborn.insert(node);
        self.note(node, What::Reborn);
        // Before it joins as another, somebody has to take the one that it was away.
        let all: Vec<String> = self.common.plan.nodes.iter().map(|n| n.name.clone()).collect();
        let (name, removed) = (all[node].clone(), Arc::new(AtomicBool::new(false)));
        self.faults.leaving.insert(node, Arc::clone(&removed));
        let (fabric, known) = (Arc::clone(&self.clients.fabric), Arc::clone(&self.common.seen));
        self.clients.runtime.spawn(async move {
            match remove(&fabric, &all, &name).await {
                Ok(()) => removed.store(true, Ordering::Relaxed),
                Err(reason) => {
                    let what = format!("{name}, whose disk was lost, was not removed: {reason}");
                    seen(&known).note(None, What::Doubt(what));
                }
            }
        });
        true
    }

    /// Whether a node may start: what it was before it lost its disk is no member any more.
    pub(super) fn may_start(&mut self, node: usize) -> bool {
        let leaving = self.faults.leaving.get(&node);
        let may = leaving.is_none_or(|removed| removed.load(Ordering::Relaxed));
        if may {
            self.faults.leaving.remove(&node);
        }
        may
    }

    /// Clients do so many times more than usual.
    fn burst(&self, factor: f64) -> Option<Vec<usize>> {
        let around = self.around.as_ref()?;
        around.burst.store((factor * 100.0) as u64, Ordering::Relaxed);
        Some(Vec::new())
    }

    fn begin_knocking(&mut self, at: usize, target: &Target) -> Option<Vec<usize>> {
        let nodes = self.up(at, target)?;
        self.faults.hit.insert(at, nodes.clone());
        self.push(self.now, Due::Knock(at));
        Some(nodes)
    }

    fn change_certificates(&self, at: usize, target: &Target) -> Option<Vec<usize>> {
        let nodes = self.up(at, target)?;
        for &node in &nodes {
            match self.hosts[node].new_certificate(&self.common) {
                Ok(()) => self.note(node, What::CertificateChanged),
                Err(error) => self.broken("X1", node, format!("a certificate: {error}")),
            }
        }
        Some(nodes)
    }

    /// Strangers knock again, while their fault lasts.
    pub(super) fn knocks(&mut self, at: usize) {
        if let Some(nodes) = self.faults.hit.get(&at).cloned() {
            self.knock(&nodes);
            self.push(self.now + strangers::EVERY, Due::Knock(at));
        }
    }

    fn hit_links(
        &mut self,
        at: usize,
        scope: &crate::plan::Scope,
        direction: Direction,
    ) -> Option<Vec<usize>> {
        let subject = self.faults.subjects.get(&at).copied();
        let pairs = self.links(at, scope, direction, subject);
        if pairs.is_empty() {
            return None;
        }
        self.faults.lasting.insert(at, pairs);
        self.set_links();
        if let Action::Flap(.., period) = &self.common.plan.faults[at].action {
            self.push(self.now + period, Due::Flap(at, false));
        }
        Some(Vec::new())
    }

    /// A flapping link changes.
    pub(super) fn flap(&mut self, at: usize, down: bool) {
        if !self.faults.lasting.contains_key(&at) {
            return;
        }
        if down {
            self.faults.whole.remove(&at);
        } else {
            self.faults.whole.insert(at);
        }
        self.set_links();
        if let Action::Flap(.., period) = &self.common.plan.faults[at].action {
            self.push(self.now + period, Due::Flap(at, !down));
        }
    }

    /// Works out the state of all links from the faults that last.
    fn set_links(&mut self) {
        let mut net = lock(&self.common.net);
        net.clear();
        for (at, pairs) in &self.faults.lasting {
            match &self.common.plan.faults[*at].action {
                Action::Flap(..) if self.faults.whole.contains(at) => {}
                Action::Partition(..) | Action::Flap(..) => net.hit(pairs, |t| t.cut = true),
                Action::Delay(_, by) => net.hit(pairs, |t| t.extra += by),
                Action::Loss(_, share) => net.hit(pairs, |t| t.loss = t.loss.max(*share)),
                Action::Clog(_) => net.hit(pairs, |t| t.clogged = true),
                _ => {}
            }
        }
        net.release();
    }

    fn fault_ends(&mut self, at: usize) {
        if self.faults.lasting.remove(&at).is_some() {
            self.faults.whole.remove(&at);
            self.set_links();
        }
        let nodes = self.faults.hit.remove(&at).unwrap_or_default();
        let plan = Arc::clone(&self.common.plan);
        match &plan.faults[at].action {
            Action::ClockDrift(..) => nodes.iter().for_each(|n| self.hosts[*n].rate = 1.0),
            Action::DiskSlow(..) => nodes.iter().for_each(|n| self.hosts[*n].slow_disk(&plan, 0)),
            Action::Burst(_) => drop(self.burst(1.0)),
            Action::Drain(Target::Region(name)) => self.order(orders::command(name, None)),
            _ => {}
        }
        self.note(None, What::FaultEnds { fault: at });
    }

    pub(super) fn resume(&mut self, at: usize) {
        if self.hosts[at].paused.is_some_and(|until| until <= self.now) {
            let paused = self.now - self.paused_at[at];
            self.hosts[at].resume(paused, &self.common.net);
            self.note(at, What::Resumed);
        }
    }

    /// The liveness phase: all links are mended, and the core is healthy.
    pub(super) fn heal(&mut self) {
        self.faults.healing = true;
        let plan = Arc::clone(&self.common.plan);
        self.faults.lasting.clear();
        self.faults.whole.clear();
        self.set_links();
        for at in 0..plan.faults.len() {
            let lasts = matches!(plan.faults[at].action, Action::Burst(_) | Action::Drain(_));
            if self.faults.hit.contains_key(&at) || lasts {
                self.fault_ends(at);
            }
        }
        let core = match plan.core {
            Core::All => (0..plan.nodes.len()).collect(),
            Core::RandomMajority => core(&plan, |_| false),
        };
        for &node in &core {
            if !self.hosts[node].is_up() {
                let life = self.hosts[node].incarnation;
                self.push(self.now + MILLI, Due::Restart(node, life));
            } else if self.hosts[node].paused.is_some() {
                self.hosts[node].paused = Some(self.now);
                self.resume(node);
            }
        }
        self.note(None, What::Heals { core });
    }
}
