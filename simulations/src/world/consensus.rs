//! What a node does with consensus: commands and reads go to the leader, what is agreed on is
//! applied, and whoever asked is told.

mod duties;

use super::node::Running;
use super::{Ask, Body, Lane, Timer, Told, World, raft};
use crate::agreed::KEY;
use crate::experiment::Moment;
use crate::journal::What;
use crate::plan::Micros;
use regions::control_log::{Client, ControlLog, Request};
use regions::lease::Renewal;
use std::collections::BTreeMap;
use std::rc::Rc;
use threat::entropy::mix64;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// A node that asks for one of its clients, with its ticket.
    Node(usize, u64),
    /// A client of this node.
    Client(usize, u64),
    /// This node itself.
    Own,
}

/// What is looked at once it is sure that this node leads.
#[derive(Debug)]
enum Look {
    Read(Asker, u32),
    Grant(usize, Rc<Vec<Renewal>>),
    Duties,
}

/// What a node has asked and was asked.
#[derive(Debug)]
pub struct Asking {
    pub client: Client,
    pub sequence: u64,
    waiting: BTreeMap<(Client, u64), Vec<Asker>>,
    looks: Vec<(u64, Look)>,
    forwarded: BTreeMap<u64, Asker>,
    /// Own commands of duties that were not answered yet, and since when.
    duties: Option<(usize, Micros)>,
    /// When duties were looked at last.
    looked: Micros,
    pub urgent: bool,
    /// When it asked to be a member last.
    joining: Option<Micros>,
    /// The raft timer that counts.
    pub rings: u64,
}

/// Requests of others that one node remembers; more are clients that gave up.
const FORWARDED: usize = 1_024;

impl Asking {
    pub const fn new(id: u64, applied: u64, seed: u64) -> Self {
        Self {
            client: Client { opened: applied, nonce: mix64(seed ^ id) },
            sequence: 0,
            waiting: BTreeMap::new(),
            looks: Vec::new(),
            forwarded: BTreeMap::new(),
            duties: None,
            looked: 0,
            urgent: false,
            joining: None,
            rings: 0,
        }
    }
}

impl World<'_> {
    pub(super) fn raft_message(&mut self, run: &mut Running, from: usize, message: raft::Message) {
        let (now, local) = (self.now, self.nodes[run.me].local(self.now));
        let mut out = self.raft_out();
        let disk = &mut self.nodes[run.me].disk;
        run.raft.take((now, local), (from, message), disk, &self.shape, &mut out);
        self.after_raft(run, out);
    }

    pub(super) fn raft_timer(&mut self, run: &mut Running) {
        let (now, local) = (self.now, self.nodes[run.me].local(self.now));
        let mut out = self.raft_out();
        if run.raft.leads().is_some() {
            run.raft.beat(now, &self.shape, &mut out);
        } else {
            let disk = &mut self.nodes[run.me].disk;
            run.raft.stand((now, local), disk, &self.shape, &mut out);
        }
        let leads = out.leads;
        self.after_raft(run, out);
        if !leads {
            self.raft_rings(run);
        }
    }

    /// Nothing yet.
    fn raft_out(&mut self) -> raft::Out {
        raft::Out { sends: std::mem::take(&mut self.sends), ..raft::Out::default() }
    }

    fn raft_rings(&mut self, run: &mut Running) {
        let local = self.nodes[run.me].local(self.now);
        let wait = if run.raft.leads().is_some() {
            self.plan.tuning.consensus.0
        } else {
            run.raft.deadline.saturating_sub(local).max(1)
        };
        run.asking.rings += 1;
        self.timer(run, wait, Timer::Raft(run.asking.rings));
    }

    pub(super) fn raft_synced(&mut self, run: &mut Running) {
        let disk = &mut self.nodes[run.me].disk;
        run.raft.advance(self.now, disk, &self.shape);
        let out = self.raft_out();
        self.after_raft(run, out);
    }

    fn after_raft(&mut self, run: &mut Running, out: raft::Out) {
        let me = run.me;
        if self.nodes[me].disk.fails {
            // A failed sync ends the node: whether the data is there nobody can know.
            self.note(me, What::Sometimes("disk-error-ended-node"));
            let restart = self.faults.disk_restart.remove(&me).flatten();
            return self.end(me, true, restart);
        }
        let mut sends = out.sends;
        for (to, message, at) in sends.drain(..) {
            self.send((me, to), Lane::Raft, at.max(self.now), Body::Raft(message));
        }
        self.sends = sends;
        if let Some(at) = out.synced {
            self.timer_at(run, at, Timer::Synced);
        }
        if let Some(snapshot) = out.installed {
            self.note(me, What::Sometimes("snapshot-installed"));
            match ControlLog::decode(&snapshot.state) {
                Ok(log) => run.log = log,
                Err(error) => self.broken("X3", Some(me), format!("a snapshot: {error}")),
            }
            (run.applied, run.chain) = (snapshot.last.0, self.agreed.chain_at(snapshot.last.0));
            self.note(me, What::Installed { index: run.applied, chain: run.chain });
            self.learn(run);
            self.moment(Moment::Snapshot, me);
        }
        if out.voted {
            self.moment(Moment::Vote, me);
        }
        if out.leads {
            let term = run.raft.term();
            self.note(me, What::Leads { term });
            let now = std::time::Duration::from_micros(self.nodes[me].local(self.now));
            run.coordinator.leads(now, term);
            run.asking.looks.clear();
            run.asking.duties = None;
            self.moment(Moment::Leader, me);
            self.raft_rings(run);
        }
        self.apply(run);
        self.look_at_reads(run);
    }

    /// Applies what is committed, and tells who waits for it.
    fn apply(&mut self, run: &mut Running) {
        let mut followed = false;
        while run.applied < run.raft.commit {
            let index = run.applied + 1;
            let Some(entry) = run.raft.entry(index).map(Rc::clone) else { break };
            (run.applied, run.chain) = (index, mix64(run.chain ^ entry.print));
            self.note(run.me, What::Applied { index, chain: run.chain });
            let first = self.agreed.is_first(index, run.chain);
            for request in &entry.requests {
                let reply = run.log.apply(index, request);
                followed |= request.command.is_followed();
                if first {
                    self.tell_agreed(run, index, request, &reply);
                }
                let key = (request.client, request.sequence);
                if let Some(waiting) = run.asking.waiting.remove(&key) {
                    let reply = Rc::new(reply);
                    for asker in waiting {
                        self.answer(run, asker, Told::Reply(index, Rc::clone(&reply)));
                    }
                }
            }
        }
        if followed {
            self.learn(run);
            run.asking.urgent = true;
        }
        if run.raft.wants_snapshot(run.applied, &self.shape) {
            match run.log.encode() {
                Ok(state) => {
                    // Nodes make the same one, each when it is there: it is read back once.
                    let known = self.snapshot.as_ref();
                    let known = known.filter(|(log, known)| **known == state && *log == run.log);
                    let known = known.map(|(_, known)| Rc::clone(known));
                    let state = known.unwrap_or_else(|| self.read_back(run, state));
                    run.raft.compact(run.applied, state, &mut self.nodes[run.me].disk);
                }
                Err(error) => self.broken("X3", Some(run.me), format!("a snapshot: {error}")),
            }
        }
    }

    /// Whether a snapshot gives what it was made of.
    fn read_back(&mut self, run: &Running, state: Vec<u8>) -> Rc<Vec<u8>> {
        let state = Rc::new(state);
        match ControlLog::decode(&state) {
            Ok(log) if log == run.log => self.snapshot = Some((log, Rc::clone(&state))),
            _ => self.broken("X3", Some(run.me), "a snapshot is not what it is of".into()),
        }
        state
    }

    /// The place of the node that has this id now.
    pub(super) fn place_of(&self, id: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// Answers what waited for this node to be sure that it leads.
    fn look_at_reads(&mut self, run: &mut Running) {
        if run.asking.looks.is_empty() {
            return;
        }
        if run.raft.leads().is_none() {
            for (_, look) in std::mem::take(&mut run.asking.looks) {
                if let Look::Read(asker, _) = look {
                    self.answer(run, asker, Told::Waits);
                }
            }
            run.asking.duties = None;
            return;
        }
        let Some(round) = run.raft.confirmed(&self.shape) else { return };
        // Rounds grow.
        let due = run.asking.looks.partition_point(|(r, _)| *r <= round);
        let due: Vec<_> = run.asking.looks.drain(..due).collect();
        for (_, look) in due {
            match look {
                Look::Read(asker, key) => {
                    let flags = run.log.settings().flags();
                    let value = flags.get(&threat::Text::from(format!("{KEY}{key}")));
                    let value = value.and_then(|v| v.parse().ok());
                    self.answer(run, asker, Told::Value(run.applied, value));
                }
                Look::Grant(node, renewals) => self.grant(run, node, &renewals),
                Look::Duties => self.do_duties(run),
            }
        }
    }

    fn confirm(&mut self, run: &mut Running, look: Look) -> bool {
        let mut out = self.raft_out();
        let Some(round) = run.raft.confirm(self.now, &self.shape, &mut out) else { return false };
        run.asking.looks.push((round, look));
        self.after_raft(run, out);
        true
    }

    /// A node asks for renewals, or this one does.
    pub(super) fn confirm_grant(
        &mut self,
        run: &mut Running,
        from: usize,
        renewals: Rc<Vec<Renewal>>,
    ) {
        self.confirm(run, Look::Grant(from, renewals));
    }

    /// Somebody asks for what the leader alone can answer, or what this node can.
    pub(super) fn asked(&mut self, run: &mut Running, asker: Asker, ask: Ask) {
        match ask {
            Ask::Propose(request) => {
                if run.raft.leads().is_some() {
                    return self.propose(run, asker, vec![request]);
                }
                self.forward(run, asker, Ask::Propose(request));
            }
            Ask::Read(key) => {
                if run.raft.leads().is_some() {
                    if !self.confirm(run, Look::Read(asker, key)) {
                        self.answer(run, asker, Told::Waits);
                    }
                    return;
                }
                self.forward(run, asker, Ask::Read(key));
            }
            Ask::Append(batch) => self.append(run, asker, batch),
            Ask::Handle(threat, said) => self.handle(run, asker, threat, &said),
        }
    }

    fn propose(&mut self, run: &mut Running, asker: Asker, requests: Vec<Rc<Request>>) {
        for request in &requests {
            let key = (request.client, request.sequence);
            run.asking.waiting.entry(key).or_default().push(asker);
        }
        let mut out = self.raft_out();
        let disk = &mut self.nodes[run.me].disk;
        run.raft.propose((self.now, requests), disk, &self.shape, &mut out);
        self.after_raft(run, out);
    }

    /// Hands on to the leader. Only who was asked by a client does: nothing goes round in circles.
    fn forward(&mut self, run: &mut Running, asker: Asker, ask: Ask) {
        let leader = run.raft.leader.filter(|l| *l != run.me);
        let (Some(leader), Asker::Client(..) | Asker::Own) = (leader, asker) else {
            return self.answer(run, asker, Told::Waits);
        };
        let ticket = self.ticket();
        run.asking.forwarded.insert(ticket, asker);
        if run.asking.forwarded.len() > FORWARDED {
            run.asking.forwarded.pop_first();
        }
        self.send((run.me, leader), Lane::Control, self.now, Body::Ask(ticket, ask));
    }

    pub(super) fn told(&mut self, run: &mut Running, ticket: u64, told: Told) {
        if let Some(asker) = run.asking.forwarded.remove(&ticket) {
            self.answer(run, asker, told);
        }
    }

    pub(super) fn answer(&mut self, run: &mut Running, asker: Asker, told: Told) {
        match asker {
            Asker::Node(node, ticket) => {
                self.send((run.me, node), Lane::Control, self.now, Body::Told(ticket, told));
            }
            Asker::Client(client, ticket) => self.tell_client(client, ticket, told),
            Asker::Own => {
                if let Some((left, _)) = &mut run.asking.duties {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        run.asking.duties = None;
                    }
                }
            }
        }
    }
}
