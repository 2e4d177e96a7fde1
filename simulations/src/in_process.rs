//! The in-process world: the very parts of which a node's process is made (consensus by openraft,
//! replication, coordination, the fabric with TLS, redb), each node on a runtime of its own with a
//! clock that stands still, over links and disks that the plan breaks. All on one thread, in turns
//! of one [`net::TICK`], or of some where nothing arrives ([`net::LAG`]), so that the same plan
//! gives the same run.
//!
//! Other than sockets and files, nothing is replaced: the ports are [`cluster::fabric::Transport`],
//! redb's `StorageBackend` ([`store::sim`]), the wall clock and the clock of leases. A process that
//! is killed is a runtime that is dropped; one that is paused is not stepped.
//!
//! turmoil would step hosts in the same way. Its links drop what a partition holds up without
//! sending it again, and it cannot pause a host nor let its clock drift, which experiments need.

mod clients;
mod detection;
mod faults;
mod host;
mod net;
mod part;
mod seen;
mod setting_up;
mod strangers;
mod stream;
mod trust;
mod turns;

use crate::experiment::Moment;
use crate::journal::What;
use crate::plan::{Action, MILLI, Micros, Plan, PlannedFault, PlannedNode, SECOND};
use crate::world::{NodeState, Outcome};
use clients::{Around, FOUNDER};
use cluster::coordinator::Fences;
use host::{CLUSTER, Clients, Common, Host};
use net::{Net, lock};
use regions::threats::Handling;
use seen::{Seen, seen};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use strangers::Strangers;
use threat::entropy::mix64;
use trust::Trust;

/// Time between two looks at all nodes.
const LOOK: Micros = 20 * MILLI;

/// A process that ended by itself is started again after this, as a service manager does.
const AGAIN: Micros = SECOND;

/// Whether a plan gives the same run again: tokio draws from a seed only in programs that were
/// built with this repository's `.cargo/config.toml`.
pub const REPEATS: bool = cfg!(tokio_unstable);

/// What is due at a time.
#[derive(Clone, Copy, Debug)]
enum Due {
    Fault(usize, bool),
    Flap(usize, bool),
    Restart(usize, u64),
    Resume(usize),
    Heal,
    Look,
    Knock(usize),
}

/// A run.
pub struct InProcess {
    common: Common,
    hosts: Vec<Host>,
    clients: Clients,
    strangers: Option<Strangers>,
    around: Option<Arc<Around>>,
    now: Micros,
    due: BTreeMap<(Micros, u64), Due>,
    order: u64,
    faults: faults::State,
    /// Term that each node led last, and for how many workloads it acted.
    led: Vec<Option<u64>>,
    acting: Vec<u32>,
    paused_at: Vec<Micros>,
    /// The receiver of effects that knows epochs.
    sink: Fences,
    /// Requests of the world itself.
    requests: u64,
    /// Nodes that have a turn now.
    woken: Vec<bool>,
}

/// Runs a plan.
///
/// # Errors
/// Why there is no run: its cluster did not come about.
pub fn run(plan: &Plan) -> Result<Outcome, String> {
    let mut world = InProcess::new(plan)?;
    world.set_up()?;
    world.run_until(plan.end());
    Ok(world.finish())
}

/// How all nodes are at a time of a run.
///
/// # Errors
/// As [`run`].
pub fn states(plan: &Plan, until: Micros) -> Result<Vec<NodeState>, String> {
    let mut world = InProcess::new(plan)?;
    world.set_up()?;
    world.run_until(until);
    let state = |(host, planned): (&Host, &PlannedNode)| {
        let status = host.within(|part| (part.status)()).flatten();
        let leads = world.led[host.at].is_some();
        let standing = match (host.is_up(), host.paused) {
            (false, _) => "down",
            (true, Some(_)) => "paused",
            (true, None) => "up",
        };
        let acting = world.acting[host.at];
        let mut state = NodeState { name: planned.name.clone(), standing, ..NodeState::default() };
        if let Some(status) = status {
            let threats = status.threats.records as usize;
            let (term, applied) = (status.term, status.applied);
            state = NodeState { term, leads, applied, acting, threats, ..state };
        }
        state
    };
    Ok(world.hosts.iter().zip(&plan.nodes).map(state).collect())
}

impl InProcess {
    fn new(plan: &Plan) -> Result<Self, String> {
        crate::mutants::plant(plan);
        cluster::consensus::seed_thread(plan.seed);
        let plan = Arc::new(plan.clone());
        let net = Arc::new(Mutex::new(Net::new(Arc::clone(&plan))));
        let named = plan.nodes.iter().enumerate().map(|(at, n)| (n.name.clone(), at));
        let common = Common {
            seen: Arc::new(Mutex::new(Seen::new(Arc::clone(&plan), Arc::clone(&net)))),
            trust: Trust::new(&plan).map_err(|e| e.to_string())?,
            addresses: Arc::new(named.collect()),
            rules: detection::rules(),
            net,
            plan,
        };
        let nodes = common.plan.nodes.len();
        let comes = |fault: &PlannedFault| matches!(fault.action, Action::Strangers(_));
        let strangers = if common.plan.faults.iter().any(comes) {
            Some(Strangers::new(&common, CLUSTER).map_err(|e| e.to_string())?)
        } else {
            None
        };
        Ok(Self {
            clients: Clients::new(&common)?,
            strangers,
            hosts: (0..nodes).map(|at| Host::new(&common.plan, at)).collect(),
            common,
            around: None,
            now: 0,
            due: BTreeMap::new(),
            order: 0,
            faults: faults::State::default(),
            led: vec![None; nodes],
            acting: vec![0; nodes],
            paused_at: vec![0; nodes],
            sink: Fences::default(),
            requests: 0,
            woken: vec![false; nodes],
        })
    }

    fn push(&mut self, at: Micros, due: Due) {
        self.order += 1;
        self.due.insert((at.max(self.now + 1), self.order), due);
    }

    fn note(&self, who: impl Into<Option<usize>>, what: What) {
        seen(&self.common.seen).note(who, what);
    }

    fn broken(&self, invariant: &'static str, who: usize, what: String) {
        self.note(who, What::Broken { invariant, what });
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Fault(fault, begins) => self.fault(fault, begins),
            Due::Flap(fault, down) => self.flap(fault, down),
            Due::Restart(at, life) => {
                if self.hosts[at].is_up() || self.hosts[at].incarnation != life {
                    return;
                }
                if self.may_start(at) {
                    self.boot(at);
                } else {
                    self.push(self.now + LOOK, Due::Restart(at, life));
                }
            }
            Due::Resume(at) => self.resume(at),
            Due::Heal => self.heal(),
            Due::Knock(fault) => self.knocks(fault),
            Due::Look => {
                self.look();
                self.push(self.now + LOOK, Due::Look);
            }
        }
    }

    /// Starts a node's process.
    fn boot(&mut self, at: usize) {
        match self.hosts[at].boot(&self.common) {
            Ok(()) => self.note(at, What::Up),
            Err(what) => {
                self.broken("X3", at, format!("does not start with what its disks have: {what}"));
            }
        }
    }

    /// A process ends, and starts again after a time.
    fn end(&mut self, at: usize, power: bool, restart: Option<Micros>) {
        if !self.hosts[at].is_up() {
            return;
        }
        self.hosts[at].end(power, &self.common.net);
        (self.led[at], self.acting[at]) = (None, 0);
        if let Some(around) = &self.around {
            around.views.lock().unwrap_or_else(PoisonError::into_inner)[at] = None;
        }
        self.note(at, What::Down);
        if let Some(after) = restart {
            let life = self.hosts[at].incarnation;
            self.push(self.now + after, Due::Restart(at, life));
        }
    }

    /// Looks at all nodes: who leads, who acts for what.
    fn look(&mut self) {
        for at in 0..self.hosts.len() {
            if self.hosts[at].paused.is_some() {
                continue;
            }
            let id = *self.hosts[at].told.id.lock().unwrap_or_else(PoisonError::into_inner);
            if id.is_some() {
                self.hosts[at].id = id;
                seen(&self.common.seen).ids[at] = id;
            }
            let Some((term, acting, view)) = self.hosts[at]
                .within(|part| (part.view.leads_in(), part.ownership.acting(), part.view.clone()))
            else {
                continue;
            };
            if let Some(around) = &self.around {
                around.views.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(view);
            }
            if let Some(term) = term.filter(|term| self.led[at] != Some(*term)) {
                self.note(at, What::Leads { term });
                self.moment(Moment::Leader, at);
            }
            self.led[at] = term;
            self.acts(at, &acting);
        }
        let installed = std::mem::take(&mut seen(&self.common.seen).installed);
        installed.into_iter().for_each(|at| self.moment(Moment::Snapshot, at));
    }

    fn acts(&mut self, at: usize, all: &BTreeMap<u32, u64>) {
        for (&workload, &epoch) in all {
            let mut known = seen(&self.common.seen);
            if known.agreed.acted.insert(workload, (epoch, at)) == Some((epoch, at)) {
                continue;
            }
            known.note(at, What::Effect { workload, epoch });
            let accepted = self.sink.admit(workload, epoch).is_ok();
            known.note(at, What::Received { workload, epoch, accepted });
            if !accepted {
                known.note(at, What::Sometimes("stale-owner-refused"));
            }
        }
        let acting = all.len() as u32;
        if acting != self.acting[at] {
            if acting < self.acting[at] {
                self.note(at, What::Sometimes("lease-lapsed"));
            }
            let more = acting > self.acting[at];
            self.acting[at] = acting;
            self.note(at, What::Acts { workloads: acting });
            if more {
                self.moment(Moment::Owner, at);
            }
        }
    }

    /// Tells what every node has, and gives the journal.
    fn finish(mut self) -> Outcome {
        for host in &self.hosts {
            let told = host.within(|part| {
                let status = (part.status)();
                let floor = part.replication.status().floor.map(|f| f.micros());
                let known = self.around.iter().flat_map(|a| &a.known);
                let word = |id: &threat::ThreatId| {
                    let record = part.replication.get(*id)?;
                    Some((*id, record.handling().and_then(Handling::last)?))
                };
                (status, floor, known.filter_map(word).collect::<Vec<_>>())
            });
            let Some((Some(status), floor, words)) = told else { continue };
            let number = |hex: &str| u64::from_str_radix(hex.get(..16).unwrap_or(hex), 16);
            let digest = number(&status.digest.unwrap_or_default()).unwrap_or_default();
            self.note(host.at, What::State { index: status.applied, digest });
            let digest = number(&status.threats.digest).unwrap_or_default();
            let threats = status.threats.records;
            self.note(host.at, What::Knows { digest, floor, threats });
            for (threat, stamp) in words {
                self.note(host.at, What::Word { threat, stamp });
            }
        }
        for at in 0..self.hosts.len() {
            self.hosts[at].end(false, &self.common.net);
            match self.hosts[at].kept() {
                Ok(kept) => kept.into_iter().for_each(|what| self.note(at, what)),
                Err(what) => {
                    self.broken("X3", at, format!("its file of events cannot be read: {what}"));
                }
            }
        }
        let (mut trace, steps) = {
            let net = lock(&self.common.net);
            (net.trace, net.steps)
        };
        let checked = seen(&self.common.seen).promises;
        self.note(None, What::Promised { checked });
        let mut journal = std::mem::take(&mut seen(&self.common.seen).journal);
        // Within a tick hosts take turns: what the second one did early is older than what the
        // first one did late.
        journal.entries.sort_by_key(|entry| entry.at);
        for entry in &journal.entries {
            let what = serde_json::to_vec(entry).unwrap_or_default();
            let word = |part: &[u8]| part.iter().fold(0, |word, b| word << 8 | u64::from(*b));
            trace = what.chunks(8).fold(trace, |trace, part| mix64(trace ^ word(part)));
        }
        Outcome { journal, trace, steps, skipped: Vec::new() }
    }

    fn around(&mut self, known: Vec<threat::ThreatId>) {
        let around = Arc::new(Around {
            plan: Arc::clone(&self.common.plan),
            seen: Arc::clone(&self.common.seen),
            fabric: Arc::clone(&self.clients.fabric),
            known,
            views: Mutex::new(vec![None; self.hosts.len()]),
            burst: AtomicU64::new(100),
        });
        self.around = Some(Arc::clone(&around));
        self.look();
        clients::start(&self.clients, &around);
    }

    /// The next request of the world itself.
    fn request(&mut self, command: regions::control_log::Command) -> regions::control_log::Request {
        self.requests += 1;
        regions::control_log::Request { client: FOUNDER, sequence: self.requests, command }
    }
}

#[cfg(test)]
mod tests;
