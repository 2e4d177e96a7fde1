//! Clients: each does one operation after the other through the fabric, as an operator's commands
//! do, and tries again while it makes sense. What it asks for and when follows from the seed, its
//! place and the operation's number.

use super::host::Clients;
use super::seen::{Seen, seen};
use crate::agreed::KEY;
use crate::experiment::WorkloadKind;
use crate::ingest::{Log, Sender};
use crate::journal::{Ask, Done, What};
use crate::operations::{bundle_step, request, said, skewed, write};
use crate::plan::{MILLI, Micros, Plan, SECOND, unit};
use cluster::control::{self, Told};
use cluster::fabric::Fabric;
use cluster::member::View;
use regions::control_log::Client as Name;
use regions::threats::{Handling, Status};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use threat::ThreatId;
use threat::entropy::mix64;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a client waits for one answer, and how long for an operation in all.
const PATIENCE: Duration = Duration::from_secs(5);
const GIVES_UP: Micros = 15 * SECOND;
/// Pause before it asks again.
const PAUSE: Duration = Duration::from_millis(200);
/// Before the end no operation begins, so that what is under way arrives.
const QUIET: Micros = 3 * SECOND;

/// Purposes of drawn numbers.
const START: u64 = 50;
const WHAT: u64 = 51;
const WHERE: u64 = 53;

/// What all clients share.
pub struct Around {
    pub plan: Arc<Plan>,
    pub seen: Arc<Mutex<Seen>>,
    pub fabric: Arc<Fabric>,
    /// Threats that analysts may speak of.
    pub known: Vec<ThreatId>,
    /// What each node that takes part has applied.
    pub views: Mutex<Vec<Option<View>>>,
    /// How many times more often they ask, in percent.
    pub burst: AtomicU64,
}

/// Starts all clients of a plan.
pub fn start(clients: &Clients, around: &Arc<Around>) {
    let mut number = 0;
    for (workload, planned) in around.plan.workloads.iter().enumerate() {
        for of in 0..planned.clients {
            let client = Client { around: Arc::clone(around), client: number, workload, of };
            clients.runtime.spawn(client.run());
            number += 1;
        }
    }
}

struct Client {
    around: Arc<Around>,
    /// Its number of all.
    client: usize,
    workload: usize,
    /// Its number in the workload.
    of: u32,
}

/// How one attempt ended.
enum Answer {
    Done(Done),
    /// It was not done: again.
    Again,
    /// It may have been done.
    Unknown,
}

impl Client {
    async fn run(self) {
        let plan = Arc::clone(&self.around.plan);
        let planned = &plan.workloads[self.workload];
        let first = SECOND + plan.draw(START, self.client as u64, 0) % planned.every;
        let mut due = Instant::now() + Duration::from_micros(first);
        let mut log = Log::default();
        for number in 0u32.. {
            sleep_until(due).await;
            if seen(&self.around.seen).now() > plan.end().saturating_sub(QUIET) {
                return;
            }
            let burst = self.around.burst.load(Ordering::Relaxed).max(1);
            due += Duration::from_micros((planned.every * 100 / burst).max(MILLI));
            let only = planned.only.as_ref();
            if only.is_none_or(|only| only.contains(&(self.of, number))) {
                if planned.kind == WorkloadKind::Ingest {
                    self.ingest(number, &mut log).await;
                } else {
                    self.operate(number).await;
                }
            }
            // One after the other: what was due meanwhile is left out.
            due = due.max(Instant::now());
        }
    }

    async fn ingest(&self, number: u32, log: &mut Log) {
        let plan = &self.around.plan;
        let (client, workload) = (self.client, self.workload);
        let op = (client as u64) << 32 | u64::from(number);
        let who = plan.nodes.len() + client;
        let ask = log.more(client, plan.workloads[workload].batch);
        seen(&self.around.seen).note(who, What::Asked { op, ask });
        let mut nodes: Vec<String> = plan.nodes.iter().map(|node| node.name.clone()).collect();
        nodes.rotate_left(self.choose(0));
        let done = log.send(Sender { plan, client, workload, fabric: &self.around.fabric, nodes });
        let done = done.await;
        seen(&self.around.seen).note(who, What::Answered { op, done });
    }

    async fn operate(&self, number: u32) {
        let Some((ask, says)) = self.operation(number) else { return };
        let op = (self.client as u64) << 32 | u64::from(number);
        let who = self.around.plan.nodes.len() + self.client;
        let once = matches!(says, Ask::Handle { .. });
        let since = {
            let mut all = seen(&self.around.seen);
            all.note(who, What::Asked { op, ask: says.clone() });
            all.now()
        };
        let (mut attempt, mut unknown) = (0, false);
        let done = loop {
            match self.attempt(&ask, &says, attempt).await {
                Answer::Done(done) => break done,
                Answer::Again => {}
                Answer::Unknown => unknown = true,
            }
            let now = seen(&self.around.seen).now();
            let late = now > since + GIVES_UP || now + SECOND > self.around.plan.end();
            // An analyst looks at what was written before writing again.
            if late || (once && unknown) {
                break if unknown { Done::Unknown } else { Done::Failed };
            }
            attempt += 1;
            sleep(PAUSE).await;
        };
        seen(&self.around.seen).note(who, What::Answered { op, done });
    }

    fn operation(&self, number: u32) -> Option<(control::Ask, Ask)> {
        let plan = &self.around.plan;
        let planned = &plan.workloads[self.workload];
        let drawn = plan.draw(WHAT, self.client as u64, number.into());
        let key = skewed(unit(mix64(drawn)), planned);
        if planned.kind == WorkloadKind::Threats {
            let known = &self.around.known;
            let id = *known.get(key as usize % known.len().max(1))?;
            let said = said(drawn);
            let closes = said.status == Some(Status::Closed);
            let ask = control::Ask::Handle { id, said: Box::new(said) };
            return Some((ask, Ask::Handle { threat: id, closes }));
        }
        let mix = planned.mix;
        let part = unit(drawn) * (mix.read + mix.write + mix.cas);
        if part < mix.read {
            return Some((control::Ask::Flags { linearizable: true }, Ask::Read { key }));
        }
        let (command, says) = if part < mix.read + mix.write {
            let value = (self.client as u64) << 32 | u64::from(number);
            (write(key, value), Ask::Write { key, value })
        } else {
            let views = self.around.views.lock().unwrap_or_else(PoisonError::into_inner);
            let near = views[self.choose(0)].clone()?;
            (near.read(|log| bundle_step(plan, log, drawn)).flatten()?, Ask::Activate)
        };
        let request = request(self.client, number, command);
        Some((control::Ask::Propose(Box::new(request)), says))
    }

    /// A node for an attempt: one near it first, then others.
    fn choose(&self, attempt: u64) -> usize {
        let nodes = self.around.plan.nodes.len() as u64;
        let home = self.around.plan.draw(WHERE, self.client as u64, 0);
        ((home + attempt * (1 + home / nodes % 3)) % nodes) as usize
    }

    async fn attempt(&self, ask: &control::Ask, says: &Ask, attempt: u64) -> Answer {
        let plan = &self.around.plan;
        let node = self.choose(attempt);
        let mut address = plan.nodes[node].name.clone();
        let fabric = &self.around.fabric;
        let mut told = control::ask(fabric, &address, ask, PATIENCE).await;
        if let Ok(Told::Elsewhere { leader }) = &told {
            let Some(leader) = leader.clone() else { return Answer::Again };
            address = leader;
            told = control::ask(fabric, &address, ask, PATIENCE).await;
        }
        match told {
            Ok(Told::Reply(reply)) => match reply.refusal() {
                Some(_) => Answer::Done(Done::Refused),
                // The reply does not say where it lies; the journal of what was applied does.
                None => Answer::Done(Done::At { index: 0, value: None }),
            },
            Ok(Told::Flags(index, flags)) => {
                let Ask::Read { key } = says else { return Answer::Again };
                let value = flags.get(&format!("{KEY}{key}")).and_then(|v| v.parse().ok());
                Answer::Done(Done::At { index, value })
            }
            Ok(Told::Threat(record)) => {
                let Some(stamp) = record.handling().and_then(Handling::last) else {
                    return Answer::Done(Done::Failed);
                };
                let id = seen(&self.around.seen).ids[node];
                let stands = id == Some(stamp.replica.node);
                Answer::Done(Done::Handled { stamp, stands, node })
            }
            Ok(Told::Elsewhere { .. }) => Answer::Again,
            Ok(Told::Refused(_)) => Answer::Done(Done::Refused),
            Ok(_) => Answer::Unknown,
            // What was not connected was not asked.
            Err(control::Error::Link(cluster::fabric::Error::NotConnected(_))) => Answer::Again,
            Err(_) => Answer::Unknown,
        }
    }
}

/// Who set the cluster up.
pub const FOUNDER: Name = Name { opened: 0, nonce: 1 };
