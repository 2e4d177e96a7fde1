//! Faults begin and end.

use super::harness::{Due, Harness};
use super::means::clock_file;
use super::orders::order;
use super::{Error, clients};
use crate::experiment::{Direction, Role, Target};
use crate::journal::What;
use crate::operations::remove;
use crate::plan::{Action, Micros, Plan, When};
use crate::whom::Whom;
use crate::world::net::Trouble;
use regions::orders::Order;
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;

impl Whom for Harness<'_> {
    fn plan(&self) -> &Plan {
        self.plan
    }

    fn role(&self, role: &Role) -> Vec<usize> {
        let seen = self.shared.seen();
        let place = |id: u64| seen.nodes.iter().position(|node| node.id == id);
        match role {
            Role::Leader => seen.leader.map(|(_, node)| node).into_iter().collect(),
            Role::Owner(workload) => {
                seen.owners.get(workload).and_then(|id| place(*id)).into_iter().collect()
            }
            Role::Voter => self.voters().first().copied().into_iter().collect(),
            Role::Learner => {
                let voters = self.voters();
                (0..self.plan.nodes.len()).filter(|n| !voters.contains(n)).take(1).collect()
            }
        }
    }
}

impl Harness<'_> {
    pub(super) fn fault(&mut self, at: usize) -> Result<(), Error> {
        if self.healing {
            return Ok(());
        }
        let plan = self.plan;
        let fault = &plan.faults[at];
        if self.missing.iter().any(|(missing, _)| *missing == at) {
            self.note(None, What::FaultMissed { fault: at });
            return Ok(());
        }
        let subject = self.subjects.get(&at).copied();
        match self.begin(at, &fault.action, subject)? {
            Some(nodes) => self.note(None, What::FaultBegins { fault: at, nodes }),
            None => {
                self.note(None, What::FaultMissed { fault: at });
                return Ok(());
            }
        }
        if fault.lasts > 0 {
            self.active.push(at);
            self.after(fault.lasts, Due::Ends(at));
        }
        for (other, next) in plan.faults.iter().enumerate() {
            if let When::After(first, plus) = next.when
                && first == at
            {
                self.after(plus, Due::Begins(other));
            }
        }
        Ok(())
    }

    /// Does it; whom it hit, or nothing when there was nobody.
    fn begin(
        &mut self,
        at: usize,
        action: &Action,
        subject: Option<usize>,
    ) -> Result<Option<Vec<usize>>, Error> {
        match action {
            Action::Partition(scope, direction) | Action::Flap(scope, direction, _) => {
                let pairs = self.links(at, scope, *direction, subject);
                return Ok(self.hit_links(at, pairs));
            }
            Action::Delay(scope, _)
            | Action::Loss(scope, _)
            | Action::Duplicate(scope, _)
            | Action::Clog(scope) => {
                let pairs = self.links(at, scope, Direction::Both, subject);
                return Ok(self.hit_links(at, pairs));
            }
            Action::Burst(factor) => {
                self.shared.seen().burst = *factor;
                return Ok(Some(Vec::new()));
            }
            _ => {}
        }
        let (Action::Kill(target, _)
        | Action::PowerCut(target, _)
        | Action::DiskError(target, _)
        | Action::DiskLost(target, _)
        | Action::Pause(target)
        | Action::ClockStep(target, _)
        | Action::Drain(target)) = action
        else {
            return Ok(None);
        };
        let mut nodes = self.targets(at, target, subject);
        nodes.retain(|n| self.cluster.nodes[*n].is_there());
        if nodes.is_empty() {
            return Ok(None);
        }
        self.hit_nodes(action, &mut nodes)?;
        Ok((!nodes.is_empty()).then(|| {
            self.hit.insert(at, nodes.clone());
            nodes
        }))
    }

    fn hit_nodes(&mut self, action: &Action, nodes: &mut Vec<usize>) -> Result<(), Error> {
        match action {
            Action::Kill(_, restart) => {
                nodes.iter().for_each(|n| self.end(*n));
                self.restart_all(nodes, *restart);
            }
            Action::PowerCut(_, restart) => {
                self.cut_power(nodes)?;
                self.restart_all(nodes, *restart);
            }
            Action::DiskError(_, restart) => {
                for &node in &*nodes {
                    let (space, disk) = self.disk(node);
                    disk.fail(&space)?;
                    self.failing.insert(node, *restart);
                }
            }
            Action::DiskLost(_, restart) => {
                let mut lost = Vec::new();
                for &node in &*nodes {
                    if self.lose_disk(node, *restart)? {
                        lost.push(node);
                    }
                }
                *nodes = lost;
            }
            Action::Pause(_) => {
                for &node in &*nodes {
                    self.cluster.nodes[node].signal(Signal::STOP);
                    self.paused.push(node);
                    self.note(node, What::Paused);
                }
            }
            Action::ClockStep(_, by) => nodes.iter().try_for_each(|n| self.step_clock(*n, *by))?,
            Action::Drain(Target::Region(name)) => self.order(name, Some(Order::Drain)),
            _ => nodes.clear(),
        }
        Ok(())
    }

    /// All at one time: the network first, so that nobody hears that a process ends.
    fn cut_power(&mut self, nodes: &[usize]) -> Result<(), Error> {
        self.dark.extend(nodes);
        self.set_links();
        nodes.iter().for_each(|n| self.end(*n));
        for &node in nodes {
            let (space, disk) = self.disk(node);
            disk.fail(&space)?;
        }
        for &node in nodes {
            let (space, disk) = self.disk(node);
            disk.come_back(&space)?;
        }
        Ok(())
    }

    /// Its disk is gone: what comes back is another node. Whether it could be: what a majority of
    /// the voters has lost nobody can give back.
    fn lose_disk(&mut self, node: usize, restart: Option<Micros>) -> Result<bool, Error> {
        let voters = self.voters();
        let whole = |v: &&usize| **v != node && !self.reborn.contains(v);
        if voters.iter().filter(whole).count() <= voters.len() / 2 {
            return Ok(false);
        }
        self.end(node);
        self.reborn.insert(node);
        let (space, disk) = self.disk(node);
        disk.lose(&space)?;
        self.note(node, What::Reborn);
        // Before it joins as another, somebody has to take the one that it was away.
        let name = self.cluster.nodes[node].name.clone();
        let (fabric, addresses) = (self.fabric()?, Arc::clone(&self.cluster.addresses));
        let shared = Arc::clone(&self.shared);
        let life = self.cluster.nodes[node].life;
        // One that is never to come back does so all the same when everything is mended.
        let again = restart.map_or(self.plan.duration, |after| self.shared.record.now() + after);
        let restarts = self.restarts.clone();
        self.cluster.asker.start(async move {
            if let Err(reason) = remove(&fabric, &addresses, &name).await {
                let what = format!("{name}, whose disk was lost, was not removed: {reason}");
                shared.record.note(None, What::Doubt(what));
                return;
            }
            tokio::time::sleep(shared.record.until(again)).await;
            let _over = restarts.send((node, life));
        });
        Ok(true)
    }

    /// Has the clock of a node jump.
    fn step_clock(&mut self, node: usize, by: i64) -> Result<(), Error> {
        let off = self.clocks.entry(node).or_default();
        *off += by;
        let text = format!("{:+.6}", *off as f64 / 1e6);
        let file = clock_file(&self.cluster.folder.path, &self.cluster.nodes[node].name);
        // Whole or not at all: the node may read it right now.
        let new = file.with_extension("next");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &file));
        written.map_err(|e| Error::host("the file of a clock", e))
    }

    fn order(&self, region: &str, what: Option<Order>) {
        let Ok(fabric) = self.fabric() else { return };
        let addresses = Arc::clone(&self.cluster.addresses);
        let (shared, region) = (Arc::clone(&self.shared), region.to_owned());
        self.cluster.asker.start(async move {
            let done = order(&fabric, &addresses, &region, what);
            let patience = Duration::from_micros(2 * clients::GIVES_UP.as_micros() as u64);
            let done = tokio::time::timeout(patience, done).await;
            if !matches!(done, Ok(true)) {
                let what = format!("the order for region {region} was not taken");
                shared.record.note(None, What::Doubt(what));
            }
        });
    }

    fn hit_links(&mut self, at: usize, pairs: Vec<(usize, usize)>) -> Option<Vec<usize>> {
        if pairs.is_empty() {
            return None;
        }
        self.lasting.insert(at, pairs);
        self.set_links();
        if let Action::Flap(.., period) = &self.plan.faults[at].action {
            self.after(*period, Due::Flaps(at, true));
        }
        Some(Vec::new())
    }

    /// A flapping link changes.
    pub(super) fn flap(&mut self, at: usize, up: bool) {
        if !self.lasting.contains_key(&at) {
            return;
        }
        if up {
            self.mended.insert(at);
        } else {
            self.mended.remove(&at);
        }
        self.set_links();
        if let Action::Flap(.., period) = &self.plan.faults[at].action {
            self.after(*period, Due::Flaps(at, !up));
        }
    }

    /// Works out the state of all links from the faults that last.
    pub(super) fn set_links(&self) {
        self.cluster.emulator.trouble(|from, to| {
            let cut = self.dark.contains(&from) || self.dark.contains(&to);
            let mut trouble = Trouble { cut, ..Trouble::default() };
            for (at, _) in self.lasting.iter().filter(|(_, pairs)| pairs.contains(&(from, to))) {
                match &self.plan.faults[*at].action {
                    Action::Flap(..) if self.mended.contains(at) => {}
                    Action::Partition(..) | Action::Flap(..) => trouble.cut = true,
                    Action::Delay(_, by) => trouble.extra += by,
                    Action::Loss(_, share) => trouble.loss = trouble.loss.max(*share),
                    Action::Duplicate(_, share) => trouble.twice = *share,
                    Action::Clog(_) => trouble.clogged = true,
                    _ => {}
                }
            }
            trouble
        });
    }

    pub(super) fn fault_ends(&mut self, at: usize) {
        self.active.retain(|active| *active != at);
        if self.lasting.remove(&at).is_some() {
            self.mended.remove(&at);
            self.set_links();
        }
        let nodes = self.hit.remove(&at).unwrap_or_default();
        match &self.plan.faults[at].action {
            Action::Pause(_) => nodes.iter().for_each(|n| self.resume(*n)),
            Action::Burst(_) => self.shared.seen().burst = 1.0,
            Action::Drain(Target::Region(name)) => self.order(name, None),
            _ => {}
        }
        self.note(None, What::FaultEnds { fault: at });
    }

    /// A node goes on, unless another fault still holds it.
    fn resume(&mut self, node: usize) {
        let Some(at) = self.paused.iter().position(|paused| *paused == node) else { return };
        self.paused.swap_remove(at);
        if !self.paused.contains(&node) && self.cluster.nodes[node].is_there() {
            self.cluster.nodes[node].signal(Signal::CONT);
            self.note(node, What::Resumed);
        }
    }
}
