//! Clients: each does one operation after the other at nodes of its choice, and tries again while
//! it makes sense. What it does and when follows from the seed, its place and the operation's
//! number.

use super::data::Batch;
use super::{Ask, Event, Told, World};
use crate::experiment::WorkloadKind;
use crate::journal::{self, Done, Truth, What};
use crate::operations::{self, request, said, skewed};
use crate::plan::{MILLI, Micros, Plan, PlannedWorkload, SECOND, unit};
use regions::threats::Status;
use std::rc::Rc;
use threat::entropy::mix64;

/// How long a client waits for one answer, and how long for an operation in all.
const PATIENCE: Micros = 5 * SECOND;
const GIVES_UP: Micros = 15 * SECOND;
/// Pause before it asks again.
const PAUSE: Micros = 200 * MILLI;
/// Before the end no operation begins, so that what is under way arrives.
const QUIET: Micros = 3 * SECOND;
/// The way to a node in its region.
const WAY: Micros = 120;

/// Purposes of drawn numbers.
const START: u64 = 50;
const WHAT: u64 = 51;
const EVENTS: u64 = 52;
const WHERE: u64 = 53;
const HOSTS: u64 = 54;

/// What it is doing.
struct Doing {
    op: u64,
    ask: Ask,
    said: journal::Ask,
    since: Micros,
    attempt: u64,
    ticket: u64,
    /// An attempt was not answered: it may have been done.
    unknown: bool,
}

/// One client.
pub struct Client {
    workload: usize,
    /// Its number in the workload.
    number: u32,
    doing: Option<Doing>,
    /// The offset after the last event that was judged or shed.
    offset: u64,
}

/// All clients of a plan.
pub fn all(plan: &Plan) -> Vec<Client> {
    let of = |(workload, planned): (usize, &PlannedWorkload)| {
        (0..planned.clients).map(move |number| Client { workload, number, doing: None, offset: 0 })
    };
    plan.workloads.iter().enumerate().flat_map(of).collect()
}

impl World<'_> {
    pub(super) fn start_clients(&mut self) {
        for client in 0..self.clients.len() {
            let every = self.plan.workloads[self.clients[client].workload].every;
            // Leases come first.
            let at = SECOND + self.plan.draw(START, client as u64, 0) % every;
            self.push(at, Event::Client { client, number: 0 });
        }
    }

    /// The next operation is due.
    pub(super) fn client_begins(&mut self, client: usize, number: u32) {
        let planned = &self.plan.workloads[self.clients[client].workload];
        let every = (planned.every as f64 / self.faults.burst) as Micros;
        if self.now + every.max(1) < self.plan.end().saturating_sub(QUIET) {
            self.push(self.now + every.max(1), Event::Client { client, number: number + 1 });
        }
        let Client { number: of, doing, .. } = &self.clients[client];
        let of = *of;
        // One after the other: what is due before is left out.
        if doing.is_some()
            || planned.only.as_ref().is_some_and(|only| !only.contains(&(of, number)))
        {
            return;
        }
        let Some((ask, said)) = self.operation(client, number) else { return };
        let op = (client as u64) << 32 | u64::from(number);
        let (since, ticket) = (self.now, self.ticket());
        let what = What::Asked { op, ask: said.clone() };
        self.note(self.nodes.len() + client, what);
        let (attempt, unknown) = (0, false);
        let doing = Doing { op, ask, said, since, attempt, ticket, unknown };
        self.clients[client].doing = Some(doing);
        self.attempt(client, 0);
    }

    fn operation(&mut self, client: usize, number: u32) -> Option<(Ask, journal::Ask)> {
        let planned = &self.plan.workloads[self.clients[client].workload];
        let drawn = self.plan.draw(WHAT, client as u64, number.into());
        let key = skewed(unit(mix64(drawn)), planned);
        match planned.kind {
            WorkloadKind::Ingest => {
                let batch = self.batch(client);
                let (source, start, end) = (batch.source, batch.start, batch.end());
                let said = journal::Ask::Judge { source, start, end };
                Some((Ask::Append(Rc::new(batch)), said))
            }
            WorkloadKind::Control => {
                let mix = planned.mix;
                let part = unit(drawn) * (mix.read + mix.write + mix.cas);
                if part < mix.read {
                    return Some((Ask::Read(key), journal::Ask::Read { key }));
                }
                if part < mix.read + mix.write {
                    let value = (client as u64) << 32 | u64::from(number);
                    let command = operations::write(key, value);
                    let ask = Ask::Propose(Rc::new(request(client, number, command)));
                    return Some((ask, journal::Ask::Write { key, value }));
                }
                let near = self.nodes[self.choose(client, 0)].run.as_ref()?;
                let command = operations::bundle_step(self.plan, &near.log, drawn)?;
                let ask = Ask::Propose(Rc::new(request(client, number, command)));
                Some((ask, journal::Ask::Activate))
            }
            WorkloadKind::Threats => {
                let id = *self.known.get(key as usize % self.known.len().max(1))?;
                let said = said(drawn);
                let closes = said.status == Some(Status::Closed);
                let ask = Ask::Handle(id, Rc::new(said));
                Some((ask, journal::Ask::Handle { threat: id, closes }))
            }
        }
    }

    /// The next events of a client's source: each follows from its offset, however often sent.
    fn batch(&self, client: usize) -> Batch {
        let planned = &self.plan.workloads[self.clients[client].workload];
        let mix = planned.mix;
        let total = mix.benign + mix.known_bad + mix.unusual;
        let start = self.clients[client].offset;
        let event = |offset: u64| {
            let drawn = self.plan.draw(EVENTS, client as u64, offset);
            let truth = match unit(drawn) * total {
                part if part < mix.benign => Truth::Benign,
                part if part < mix.benign + mix.known_bad => Truth::KnownBad,
                _ => Truth::Unusual,
            };
            // Events that follow one another are of few hosts.
            let few = self.plan.draw(HOSTS, client as u64, offset / u64::from(planned.batch));
            (skewed(unit(few), planned) & !1 | (drawn >> 20) as u32 & 1, truth)
        };
        let events = (start..start + u64::from(planned.batch)).map(event).collect();
        Batch { source: client as u32, start, events, hasty: client % 4 == 3 }
    }

    /// A node for an attempt: one near it first, then others.
    fn choose(&self, client: usize, attempt: u64) -> usize {
        let nodes = self.nodes.len() as u64;
        let home = self.plan.draw(WHERE, client as u64, 0);
        ((home + attempt * (1 + home / nodes % 3)) % nodes) as usize
    }

    /// Asks a node, after a pause.
    fn attempt(&mut self, client: usize, pause: Micros) {
        let Some(doing) = &self.clients[client].doing else { return };
        let (attempt, ticket, ask) = (doing.attempt, doing.ticket, doing.ask.clone());
        let node = self.choose(client, attempt);
        let at = self.now + pause;
        self.push(at + WAY, Event::FromClient { client, node, ticket, ask });
        self.push(at + PATIENCE, Event::Patience { client, ticket });
    }

    pub(super) fn asked_by_client(&mut self, client: usize, node: usize, ticket: u64, ask: Ask) {
        if self.nodes[node].down {
            let event = Event::ToClient { client, ticket, told: Told::Waits };
            return self.push(self.now + WAY, event);
        }
        let asker = super::consensus::Asker::Client(client, ticket);
        self.with(node, |world, run| world.asked(run, asker, ask));
    }

    pub(super) fn tell_client(&mut self, client: usize, ticket: u64, told: Told) {
        self.push(self.now + WAY, Event::ToClient { client, ticket, told });
    }

    /// Tells it once something is durable, if the node lives then.
    pub(super) fn tell_client_at(
        &mut self,
        node: usize,
        client: usize,
        ticket: u64,
        at: Micros,
        told: Told,
    ) {
        self.faults.promises.push((node, self.nodes[node].life, at, client, ticket));
        self.push(at + WAY, Event::ToClient { client, ticket, told });
    }

    pub(super) fn client_waited(&mut self, client: usize, ticket: u64) {
        let Some(doing) = &mut self.clients[client].doing else { return };
        if doing.ticket == ticket {
            doing.unknown = true;
            self.again(client);
        }
    }

    fn again(&mut self, client: usize) {
        let ticket = self.ticket();
        let now = self.now;
        let Some(doing) = &mut self.clients[client].doing else { return };
        // An analyst looks at what was written before writing again.
        let once = matches!(doing.said, journal::Ask::Handle { .. });
        if now > doing.since + GIVES_UP || (once && doing.unknown) || now + SECOND > self.plan.end()
        {
            let done = if doing.unknown { Done::Unknown } else { Done::Failed };
            return self.done(client, done);
        }
        doing.attempt += 1;
        doing.ticket = ticket;
        self.attempt(client, PAUSE);
    }

    pub(super) fn client_told(&mut self, client: usize, ticket: u64, told: Told) {
        if self.broke_promise(client, ticket) {
            return;
        }
        let Some(doing) = &self.clients[client].doing else { return };
        if doing.ticket != ticket {
            return;
        }
        let done = match told {
            Told::Reply(index, reply) => match reply.refusal() {
                Some(_) => Done::Refused,
                None => Done::At { index, value: None },
            },
            Told::Value(index, value) => Done::At { index, value },
            Told::Judged => Done::Judged,
            Told::Handled(node, stamp, stands) => Done::Handled { stamp, stands, node },
            Told::Refused => Done::Refused,
            Told::Waits => return self.again(client),
        };
        self.done(client, done);
    }

    /// Whether what is told was promised by a node that ended before it could be.
    fn broke_promise(&mut self, client: usize, ticket: u64) -> bool {
        let promises = &mut self.faults.promises;
        let found = promises.iter().position(|p| (p.3, p.4) == (client, ticket));
        let Some(found) = found else { return false };
        let (node, life, at, ..) = promises.swap_remove(found);
        self.nodes[node].life != life && self.nodes[node].ended <= at
    }

    fn done(&mut self, client: usize, done: Done) {
        let Some(doing) = self.clients[client].doing.take() else { return };
        if let (journal::Ask::Judge { end, .. }, Done::Judged | Done::Refused) =
            (&doing.said, &done)
        {
            // What was shed is not sent again.
            self.clients[client].offset = *end;
        }
        let who = self.nodes.len() + client;
        self.note(who, What::Answered { op: doing.op, done });
    }
}
