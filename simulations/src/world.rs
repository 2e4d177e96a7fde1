//! The virtual world: the engine's machines for every node of a cluster in one queue of virtual
//! time, on one thread. The same plan gives the same run, bit by bit.
//!
//! Production code decides; what stands between its machines here (links, disks, clocks, clients,
//! consensus) is the world's. [`crate::plan::Plan`] says all that happens.

mod actors;
mod agreed;
mod clients;
mod collected;
mod consensus;
mod coordination;
mod data;
mod detection;
mod disk;
mod ending;
mod event;
mod faults;
mod gossip;
pub(crate) mod net;
mod node;
mod queue;
mod raft;
mod silences;
mod targets;
mod verdicts;

pub(crate) use verdicts::record;

use crate::agreed::Agreed;
use crate::journal::{Journal, What};
use crate::plan::{Micros, Plan};
use clients::Client;
use cluster::coordinator::Fences;
pub use ending::NodeState;
use event::{Ask, Body, Event, Timer, Told};
use net::{Lane, Net};
use node::{Node, Running};
use queue::Queue;
use regions::control_log::ControlLog;
use std::rc::Rc;
use threat::entropy::mix64;

/// Wall time at the start of a run: any, but the same for all.
pub const START: i64 = 1_790_000_000_000_000;

/// Events of one run at most for each virtual second and node; more is a storm, and ends the run.
const STORM: u64 = 20_000;

/// A run.
pub struct World<'a> {
    plan: &'a Plan,
    now: Micros,
    queue: Queue,
    trace: u64,
    steps: u64,
    shape: raft::Shape,
    nodes: Vec<Node>,
    net: Net,
    clients: Vec<Client>,
    journal: Journal,
    faults: faults::State,
    agreed: Agreed,
    /// The last snapshot that was read back, and what it gave.
    snapshot: Option<(ControlLog, Rc<Vec<u8>>)>,
    /// Known to all clients: threats that analysts may speak of.
    known: Vec<threat::ThreatId>,
    gone: collected::Gone,
    /// The receiver of effects that knows epochs.
    sink: Fences,
    tickets: u64,
    founding: Rc<ControlLog>,
    /// Cluster ids that were given out.
    ids: u64,
    stopped: bool,
    /// Rooms that are used again: messages of consensus, and leases that hold.
    sends: Vec<(usize, raft::Message, Micros)>,
    acting: Vec<(u32, u64)>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// All that happened.
    pub journal: Journal,
    /// Follows from every event that was delivered.
    pub trace: u64,
    /// Events that were delivered.
    pub steps: u64,
    /// What the plan asks for and the world does not do.
    pub skipped: Vec<String>,
}

impl<'a> World<'a> {
    /// A world before its first moment.
    pub fn new(plan: &'a Plan) -> Self {
        crate::mutants::plant(plan);
        let nodes = plan.nodes.len();
        let voters = (0..nodes).filter(|n| plan.nodes[*n].voter).collect();
        let founding = Rc::new(node::founding(plan));
        let mut world = Self {
            plan,
            now: 0,
            queue: Queue::default(),
            trace: mix64(plan.seed),
            steps: 0,
            shape: raft::Shape::new(nodes, voters, plan.tuning.clone()),
            nodes: (0..nodes).map(|n| Node::new(plan, n)).collect(),
            net: Net::new(nodes),
            clients: Vec::new(),
            journal: Journal::with_room(),
            faults: faults::State::default(),
            agreed: Agreed::default(),
            snapshot: None,
            known: Vec::new(),
            gone: collected::Gone::default(),
            sink: Fences::default(),
            tickets: 0,
            founding,
            ids: nodes as u64,
            stopped: false,
            sends: Vec::new(),
            acting: Vec::new(),
        };
        for node in 0..nodes {
            world.boot(node);
        }
        world.clients = clients::all(plan);
        world.start_clients();
        world.plan_faults();
        world.push(plan.duration, Event::Heal);
        world
    }

    /// Runs to the end.
    pub fn run(mut self) -> Outcome {
        self.run_until(self.plan.end());
        self.finish()
    }

    /// Runs up to a time; whether there is more.
    pub fn run_until(&mut self, end: Micros) -> bool {
        let most = STORM * self.nodes.len() as u64 * (self.plan.end() / crate::plan::SECOND + 1);
        while !self.stopped
            && let Some((at, event)) = self.queue.pop(end)
        {
            self.now = at;
            self.steps += 1;
            if self.steps > most {
                self.broken("X1", None, format!("a storm: over {most} events"));
                self.stopped = true;
            }
            self.step(event);
        }
        self.now = self.now.max(end.min(self.plan.end()));
        !self.stopped && !self.queue.is_empty()
    }

    fn push(&mut self, at: Micros, event: Event) {
        self.queue.push(at.max(self.now), event);
    }

    fn note(&mut self, who: impl Into<Option<usize>>, what: What) {
        self.journal.note(self.now, who, what);
    }

    fn broken(&mut self, invariant: &'static str, who: Option<usize>, what: String) {
        self.note(who, What::Broken { invariant, what });
    }

    fn trace(&mut self, kind: u64, a: usize, b: u64) {
        self.trace =
            mix64(self.trace ^ self.now.rotate_left(20) ^ kind << 56 ^ (a as u64) << 40 ^ b);
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Deliver { to, from, life, left, body } => {
                let sender = &self.nodes[from];
                // What was to leave after its sender had ended did not leave.
                if sender.life != life && sender.ended <= left {
                    return;
                }
                if self.net.trouble(from, to).cut {
                    return;
                }
                if self.nodes[to].paused.is_some() {
                    let event = Event::Deliver { to, from, life, left, body };
                    return self.nodes[to].held.push(event);
                }
                self.trace(1, to, from as u64);
                self.with(to, |world, run| world.deliver(run, from, body));
            }
            Event::Timer { node, life, timer } => {
                if self.nodes[node].life != life {
                    return;
                }
                if self.nodes[node].paused.is_some() {
                    return self.nodes[node].held.push(Event::Timer { node, life, timer });
                }
                self.trace(2, node, 0);
                self.with(node, |world, run| world.on_timer(run, timer));
            }
            Event::FromClient { client, node, ticket, ask } => {
                if self.nodes[node].paused.is_some() {
                    let event = Event::FromClient { client, node, ticket, ask };
                    return self.nodes[node].held.push(event);
                }
                self.trace(3, node, client as u64);
                self.asked_by_client(client, node, ticket, ask);
            }
            Event::ToClient { client, ticket, told } => {
                self.trace(4, client, ticket);
                self.client_told(client, ticket, told);
            }
            Event::Client { client, number } => {
                self.trace(5, client, u64::from(number));
                self.client_begins(client, number);
            }
            Event::Patience { client, ticket } => self.client_waited(client, ticket),
            Event::Fault(fault, begins) => {
                self.trace(6, fault, u64::from(begins));
                self.fault(fault, begins);
            }
            Event::Flap(fault, up) => self.flap(fault, up),
            Event::Restart { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].run.is_none() {
                    self.trace(7, node, 0);
                    self.boot(node);
                }
            }
            Event::Resume { node } => self.resume(node),
            Event::Effect { node, workload, epoch } => self.received(node, workload, epoch),
            Event::Heal => self.heal(),
            Event::EndOrder(fault) => self.end_order(fault),
        }
    }

    /// Does something with a node that runs.
    fn with(&mut self, node: usize, act: impl FnOnce(&mut Self, &mut Running)) {
        let Some(mut run) = self.nodes[node].run.take() else { return };
        let life = self.nodes[node].life;
        run.clocks.set(self.nodes[node].local(self.now));
        act(self, &mut run);
        // A node that was ended by what it did stays so.
        if self.nodes[node].life == life && !self.nodes[node].down {
            self.nodes[node].run = Some(run);
        } else {
            self.leave_disk(node, &run);
        }
    }

    fn deliver(&mut self, run: &mut Running, from: usize, body: Body) {
        match body {
            Body::Raft(message) => self.raft_message(run, from, message),
            Body::Beat(beat) => self.heard(run, from, &beat),
            Body::Renew(renewals) => self.renew(run, from, renewals),
            Body::Renewed(index, answers) => self.renewed(run, index, &answers),
            Body::Released(given_up) => run.coordinator.release(&given_up, &run.log),
            Body::Ask(ticket, ask) => self.asked(run, consensus::Asker::Node(from, ticket), ask),
            Body::Told(ticket, told) => self.told(run, ticket, told),
            Body::Records { batch, floor, records } => {
                self.records(run, (from, batch), floor, &records);
            }
            Body::Stored { batch, taken } => self.stored(run, (from, batch), taken),
            Body::Compare { of, floor, message } => self.compare(run, from, (floor, of), message),
            Body::Compared(compared) => self.compared(run, from, &compared),
            Body::Part(part) => self.part(run, from, &part),
            Body::Parted(ticket, parted) => self.parted(run, from, ticket, parted),
            Body::Keep(ticket, copies) => self.keep(run, from, ticket, &copies),
            Body::Kept(ticket) => self.kept(run, from, ticket),
        }
    }

    fn on_timer(&mut self, run: &mut Running, timer: Timer) {
        match timer {
            Timer::Look => self.look(run),
            Timer::Beat => {
                self.tell_all(run);
                self.timer(run, 500 * crate::plan::MILLI, Timer::Beat);
            }
            Timer::Raft(rings) if rings == run.asking.rings => self.raft_timer(run),
            Timer::Raft(_) => {}
            Timer::Synced => self.raft_synced(run),
            Timer::Detection => self.detection_due(run),
            Timer::Recorded(ticket) => self.recorded(run, ticket),
            Timer::Again(ticket) => self.append_again(run, ticket),
            Timer::Compare => self.compare_due(run),
        }
    }

    /// A timer of a node that rings after a time by the node's own clock.
    fn timer(&mut self, run: &Running, after: Micros, timer: Timer) {
        let node = &self.nodes[run.me];
        // Rounded up: it must not ring before its time.
        let after = (after as f64 / node.rate) as Micros + 1;
        let event = Event::Timer { node: run.me, life: node.life, timer };
        self.push(self.now + after, event);
    }

    /// A timer that rings at a true time: a disk's or a detector's, not the node's.
    fn timer_at(&mut self, run: &Running, at: Micros, timer: Timer) {
        let event = Event::Timer { node: run.me, life: self.nodes[run.me].life, timer };
        self.push(at, event);
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}

#[cfg(test)]
mod tests;
