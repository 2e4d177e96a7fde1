//! Drives a run: what is due when, whom it hits, and what happens to nodes meanwhile.

use super::clients::Client;
use super::cluster::Cluster;
use super::disk::Disk;
use super::means::Means;
use super::seen::Shared;
use super::space::Space;
use super::watch::watch;
use super::{Error, Options, Progress};
use crate::experiment::Core;
use crate::journal::What;
use crate::plan::{MILLI, Micros, Plan, SECOND, When};
use cluster::fabric::Fabric;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Clients that share a connection to each node: a node works on so many requests of one at a time.
const CLIENTS_PER_LINK: usize = 16;

/// Time between two looks at processes and moments.
const LOOK: Duration = Duration::from_millis(20);

/// Purposes of drawn numbers, as in the virtual world.
const CORE: u64 = 71;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A fault begins.
    Begins(usize),
    /// A fault ends.
    Ends(usize),
    /// A flapping link is mended, or is down again.
    Flaps(usize, bool),
    /// A node starts again, if it did not since this life.
    Restarts(usize, u32),
    /// The liveness phase begins.
    Heals,
}

/// A run under way.
pub struct Harness<'a> {
    pub plan: &'a Plan,
    pub options: &'a Options<'a>,
    pub cluster: &'a mut Cluster,
    pub shared: Arc<Shared>,
    /// Faults that the host cannot apply.
    pub missing: Vec<(usize, String)>,
    due: BinaryHeap<Reverse<(Micros, u64, Due)>>,
    order: u64,
    /// Faults that last, for the progress line.
    pub active: Vec<usize>,
    /// Faults of links that last: which pairs.
    pub lasting: BTreeMap<usize, Vec<(usize, usize)>>,
    /// Flapping links that are up now.
    pub mended: BTreeSet<usize>,
    /// Nodes that each lasting fault hit.
    pub hit: BTreeMap<usize, Vec<usize>>,
    /// Nodes without power.
    pub dark: BTreeSet<usize>,
    /// Nodes that stand still, once for each fault.
    pub paused: Vec<usize>,
    /// Nodes whose disk failed, and when they start again once they ended.
    pub failing: BTreeMap<usize, Option<Micros>>,
    /// Nodes that lost their disk.
    pub reborn: BTreeSet<usize>,
    /// How far clocks are off, in microseconds.
    pub clocks: BTreeMap<usize, i64>,
    /// How often each fault that waits for a moment has begun, and whom it waited for.
    times: BTreeMap<usize, u32>,
    pub subjects: BTreeMap<usize, usize>,
    pub healing: bool,
    /// Nodes that may start now, by those that waited for it.
    pub restarts: mpsc::Sender<(usize, u32)>,
    restarting: mpsc::Receiver<(usize, u32)>,
}

impl<'a> Harness<'a> {
    pub fn new(
        plan: &'a Plan,
        options: &'a Options<'a>,
        cluster: &'a mut Cluster,
        means: Means,
    ) -> Self {
        let (restarts, restarting) = mpsc::channel();
        let mut harness = Self {
            plan,
            options,
            cluster,
            shared: Arc::new(Shared::new(plan.nodes.len())),
            missing: means.missing,
            due: BinaryHeap::new(),
            order: 0,
            active: Vec::new(),
            lasting: BTreeMap::new(),
            mended: BTreeSet::new(),
            hit: BTreeMap::new(),
            dark: BTreeSet::new(),
            paused: Vec::new(),
            failing: BTreeMap::new(),
            reborn: BTreeSet::new(),
            clocks: BTreeMap::new(),
            times: BTreeMap::new(),
            subjects: BTreeMap::new(),
            healing: false,
            restarts,
            restarting,
        };
        for (at, fault) in plan.faults.iter().enumerate() {
            if let When::At(time) = fault.when {
                harness.at(time, Due::Begins(at));
            }
        }
        harness.at(plan.duration, Due::Heals);
        harness
    }

    pub fn note(&self, who: impl Into<Option<usize>>, what: What) {
        self.shared.record.note(who, what);
    }

    fn at(&mut self, at: Micros, due: Due) {
        self.order += 1;
        self.due.push(Reverse((at, self.order, due)));
    }

    pub fn after(&mut self, time: Micros, due: Due) {
        self.at(self.shared.record.now() + time, due);
    }

    /// A way to ask nodes.
    pub fn fabric(&self) -> Result<Arc<Fabric>, Error> {
        self.cluster.fabric()
    }

    pub fn disk(&self, node: usize) -> (Arc<Space>, Disk) {
        let node = &self.cluster.nodes[node];
        (Arc::clone(&node.space), node.disk.clone())
    }

    /// Starts clients and those who watch, and lets everything happen until the plan's end.
    ///
    /// # Errors
    /// [`Error`]; what was under way is ended by whoever drops the cluster.
    pub fn run(&mut self) -> Result<(), Error> {
        for (fault, reason) in &self.missing {
            let id = &self.plan.faults[*fault].id;
            let what = format!("fault {id} cannot be applied on this host: {reason}");
            self.note(None, What::Doubt(what));
        }
        for node in 0..self.cluster.nodes.len() {
            self.shared.seen().nodes[node].process = self.cluster.nodes[node].process();
            self.note(node, What::Up);
        }
        self.start_tasks()?;
        let mut told = 0;
        loop {
            let now = self.shared.record.now();
            while let Some(Reverse((at, _, due))) = self.due.peek().copied() {
                if at > now {
                    break;
                }
                self.due.pop();
                self.happens(due)?;
            }
            self.look_at_processes()?;
            self.look_at_moments();
            while let Ok((node, life)) = self.restarting.try_recv() {
                self.happens(Due::Restarts(node, life))?;
            }
            if self.options.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if now >= self.plan.end() {
                return Ok(());
            }
            if now >= told {
                told = now + SECOND / 2;
                self.tell();
            }
            let next = self.due.peek().map_or(self.plan.end(), |Reverse((at, ..))| *at);
            std::thread::sleep(self.shared.record.until(next).min(LOOK));
        }
    }

    fn tell(&self) {
        let faults = self.active.iter().map(|at| self.plan.faults[*at].id.as_str()).collect();
        let (now, end) = (self.shared.record.now(), self.plan.end());
        let phase = if self.healing { "healing" } else { "faults" };
        let memory = self.shared.seen().nodes.iter().map(|n| n.memory).max().unwrap_or_default();
        (self.options.told)(&Progress { seed: self.plan.seed, phase, now, end, faults, memory });
    }

    fn start_tasks(&self) -> Result<(), Error> {
        let watchers = self.fabric()?;
        for (place, address) in self.cluster.addresses.iter().enumerate() {
            let (shared, fabric) = (Arc::clone(&self.shared), Arc::clone(&watchers));
            self.cluster.asker.start(watch(shared, fabric, place, address.clone()));
        }
        let plan = Arc::new(self.plan.clone());
        let workloads = plan.workloads.iter().enumerate();
        let all = workloads.flat_map(|(w, work)| (0..work.clients).map(move |of| (w, of)));
        let mut fabric = self.fabric()?;
        for (number, (workload, of)) in all.enumerate() {
            if number % CLIENTS_PER_LINK == 0 {
                fabric = self.fabric()?;
            }
            let client = Client {
                number,
                workload,
                of,
                plan: Arc::clone(&plan),
                shared: Arc::clone(&self.shared),
                fabric: Arc::clone(&fabric),
                addresses: Arc::clone(&self.cluster.addresses),
            };
            self.cluster.asker.start(client.run());
        }
        Ok(())
    }

    fn happens(&mut self, due: Due) -> Result<(), Error> {
        match due {
            Due::Begins(fault) => self.fault(fault),
            Due::Ends(fault) => {
                if self.active.contains(&fault) {
                    self.fault_ends(fault);
                }
                Ok(())
            }
            Due::Flaps(fault, up) => {
                self.flap(fault, up);
                Ok(())
            }
            Due::Restarts(node, life) => {
                let same = self.cluster.nodes[node].life == life;
                if same && !self.cluster.nodes[node].is_there() { self.boot(node) } else { Ok(()) }
            }
            Due::Heals => self.heal(),
        }
    }

    /// Ends a node without notice.
    pub fn end(&mut self, node: usize) {
        self.cluster.nodes[node].kill();
        self.is_down(node);
    }

    fn is_down(&mut self, node: usize) {
        self.paused.retain(|paused| *paused != node);
        let mut seen = self.shared.seen();
        (seen.nodes[node].process, seen.nodes[node].acts) = (None, 0);
        self.shared.record.note(node, What::Down);
    }

    pub fn restart_all(&mut self, nodes: &[usize], after: Option<Micros>) {
        let Some(after) = after else { return };
        for &node in nodes {
            self.after(after, Due::Restarts(node, self.cluster.nodes[node].life));
        }
    }

    fn boot(&mut self, node: usize) -> Result<(), Error> {
        if self.failing.remove(&node).is_some() {
            let (space, disk) = self.disk(node);
            disk.come_back(&space)?;
        }
        if self.dark.remove(&node) {
            self.set_links();
        }
        self.cluster.nodes[node].start(false)?;
        self.shared.seen().nodes[node].process = self.cluster.nodes[node].process();
        self.note(node, What::Up);
        Ok(())
    }

    /// A node that ends by itself does so since its disk failed, or should not.
    fn look_at_processes(&mut self) -> Result<(), Error> {
        for node in 0..self.cluster.nodes.len() {
            let Some(status) = self.cluster.nodes[node].ended() else { continue };
            self.is_down(node);
            match self.failing.get(&node).copied() {
                Some(restart) => {
                    self.note(node, What::Sometimes("disk-error-ended-node"));
                    self.restart_all(&[node], restart);
                }
                None => {
                    let said = self.cluster.nodes[node].said();
                    let last = said.lines().next_back().unwrap_or_default().trim().to_owned();
                    let what = format!("the node ended by itself ({status}): {last}");
                    self.note(node, What::Broken { invariant: "X1", what });
                }
            }
        }
        Ok(())
    }

    /// What faults wait for may have happened.
    fn look_at_moments(&mut self) {
        let moments = std::mem::take(&mut self.shared.seen().moments);
        if self.shared.record.now() < SECOND || self.healing {
            return;
        }
        for (moment, node) in moments {
            for at in 0..self.plan.faults.len() {
                let When::On(on, plus, times) = self.plan.faults[at].when else { continue };
                let begun = self.times.entry(at).or_default();
                if on == moment && *begun < times {
                    *begun += 1;
                    self.subjects.insert(at, node);
                    self.after(plus, Due::Begins(at));
                }
            }
        }
    }

    /// The liveness phase: all links are mended, and the core is healthy.
    fn heal(&mut self) -> Result<(), Error> {
        self.healing = true;
        let core = self.core();
        for at in std::mem::take(&mut self.active) {
            let stays = self.hit.get(&at).is_some_and(|hit| hit.iter().all(|n| !core.contains(n)));
            if !stays {
                self.fault_ends(at);
            }
        }
        self.lasting.clear();
        self.set_links();
        for &node in &core {
            if self.failing.contains_key(&node) && self.cluster.nodes[node].is_there() {
                let what = "it went on for seconds with a disk that fails every write";
                self.note(node, What::Broken { invariant: "X3", what: what.into() });
                self.end(node);
            }
            // One that lost its disk starts once the one that it was is removed.
            if !self.cluster.nodes[node].is_there() && !self.reborn.contains(&node) {
                self.after(MILLI, Due::Restarts(node, self.cluster.nodes[node].life));
            }
        }
        self.note(None, What::Heals { core });
        Ok(())
    }

    /// Who is healthy from now on.
    fn core(&self) -> Vec<usize> {
        let all: Vec<usize> = (0..self.plan.nodes.len()).collect();
        if self.plan.core == Core::All {
            return all;
        }
        let lot = |n: &usize| self.plan.draw(CORE, *n as u64, 0);
        let mut core: BTreeSet<usize> = BTreeSet::new();
        for region in 0..self.plan.regions.len() {
            let here = all.iter().filter(|n| self.plan.nodes[**n].region == region);
            let mut here: Vec<usize> = here.copied().collect();
            here.sort_by_key(lot);
            // With fewer than a majority of its nodes a region cannot acknowledge events.
            let majority = here.len() / 2 + 1;
            core.extend(here.into_iter().take(majority));
        }
        let votes = |n: &usize| self.plan.nodes[*n].voter;
        let need = all.iter().filter(|n| votes(n)).count() / 2 + 1;
        let mut voters: Vec<usize> =
            all.into_iter().filter(|v| votes(v) && !self.reborn.contains(v)).collect();
        voters.sort_by_key(lot);
        core.extend(voters.into_iter().take(need));
        core.into_iter().collect()
    }
}
