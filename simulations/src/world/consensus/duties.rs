//! What a node asks of the log by itself: its duties while it leads, and to be a member.

use super::{Asker, Look};
use crate::experiment::Target;
use crate::plan::{Action, Micros, SECOND};
use crate::world::node::{Running, joining};
use crate::world::{Ask, Event, World};
use regions::control_log::{Command, Request};
use regions::orders::{self, Order};
use std::rc::Rc;

/// Pause before a person tries again to end a drain.
const ORDER_AGAIN: Micros = SECOND;

impl World<'_> {
    /// What a leader has to see to.
    pub(in crate::world) fn see_to_duties(&mut self, run: &mut Running) {
        let local = self.nodes[run.me].local(self.now);
        if run.raft.leads().is_none() {
            return;
        }
        if let Some((_, since)) = run.asking.duties {
            if local < since + 2_000_000 {
                return;
            }
            run.asking.duties = None;
        }
        if !run.asking.urgent && local < run.asking.looked + 500_000 {
            return;
        }
        (run.asking.looked, run.asking.urgent) = (local, false);
        let now = std::time::Duration::from_micros(local);
        let some = !run.coordinator.duties(now, &run.log, false).is_empty();
        if some || self.next_floor(run).is_some() {
            run.asking.duties = Some((0, local));
            self.confirm(run, Look::Duties);
        }
    }

    pub(super) fn do_duties(&mut self, run: &mut Running) {
        let local = self.nodes[run.me].local(self.now);
        let now = std::time::Duration::from_micros(local);
        let mut commands = run.coordinator.duties(now, &run.log, true);
        if let Some(command) = self.next_floor(run) {
            run.links.raised = local;
            commands.push(command);
        }
        if commands.is_empty() {
            run.asking.duties = None;
            return;
        }
        let some = cluster::coordinator::limits::AT_ONCE;
        let requests: Vec<Rc<Request>> =
            commands.into_iter().take(some).map(|c| Rc::new(own(run, c))).collect();
        run.asking.duties = Some((requests.len(), local));
        self.propose(run, Asker::Own, requests);
    }

    /// Asks to be a member in this life, until the log says that it is; one that is new is let in.
    pub(in crate::world) fn join(&mut self, run: &mut Running) {
        let incarnation = self.nodes[run.me].disk.opened;
        let known = run.log.nodes().present().get(&run.id);
        let command = match known {
            Some(node) if node.incarnation == incarnation && node.admitted => return,
            Some(node) if node.incarnation == incarnation => Command::AdmitNode { node: run.id },
            _ => joining(self.plan, run.me, run.id, incarnation),
        };
        let local = self.nodes[run.me].local(self.now);
        let waits = run.asking.joining.is_some_and(|at| local < at + 500_000);
        if waits || (run.raft.leader.is_none() && run.raft.leads().is_none()) {
            return;
        }
        run.asking.joining = Some(local);
        let request = Rc::new(own(run, command));
        self.asked(run, Asker::Own, Ask::Propose(request));
    }

    /// A drain begins or ends, by order of a person at the first node that runs.
    pub(in crate::world) fn order(&mut self, fault: usize, begins: bool) {
        let Action::Drain(Target::Region(name)) = &self.plan.faults[fault].action else { return };
        let command = orders::command(name, begins.then_some(Order::Drain));
        if !begins {
            self.push(self.now + ORDER_AGAIN, Event::EndOrder(fault));
        }
        let Some(node) = self.first_that_runs() else { return };
        self.with(node, |world, run| {
            let request = Rc::new(own(run, command));
            world.asked(run, Asker::Own, Ask::Propose(request));
        });
    }

    /// Nobody leaves a drain standing since no node ran, or none led, when it was to end.
    pub(in crate::world) fn end_order(&mut self, fault: usize) {
        let Action::Drain(Target::Region(name)) = &self.plan.faults[fault].action else { return };
        let runs = self.first_that_runs().and_then(|node| self.nodes[node].run.as_ref());
        let known = runs.map(|run| orders::all(run.log.settings()));
        let stands = known.is_none_or(|all| all.keys().any(|region| **region == **name));
        if stands {
            self.order(fault, false);
        }
    }

    fn first_that_runs(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|n| self.nodes[*n].run.is_some())
    }
}

/// A command of the node itself.
fn own(run: &mut Running, command: Command) -> Request {
    run.asking.sequence += 1;
    Request { client: run.asking.client, sequence: run.asking.sequence, command }
}
