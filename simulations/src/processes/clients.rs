//! Clients: each does one operation after the other at nodes of its choice, over the fabric and
//! with a certificate, as any client does. What it does follows from the seed, its place and the
//! operation's number, as in the virtual world.

use super::seen::Shared;
pub use crate::agreed::KEY;
use crate::experiment::WorkloadKind;
use crate::ingest::{Log, Sender};
use crate::journal::{self, Done, What};
use crate::operations::{said, skewed};
use crate::plan::{MILLI, Micros, Plan, PlannedWorkload, SECOND, unit};
use cluster::control::{Ask, Told, ask};
use cluster::fabric::Fabric;
use regions::control_log::{Client as Name, Command, Request};
use regions::threats::{Handling, Status};
use std::sync::Arc;
use std::time::Duration;
use threat::entropy::mix64;
use tokio::time::sleep;

/// How long a client waits for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// And for an operation in all.
pub const GIVES_UP: Duration = Duration::from_secs(15);
/// Pause before it asks again.
const PAUSE: Duration = Duration::from_millis(200);
/// Before the end no operation begins, so that what is under way arrives.
const QUIET: Micros = 3 * SECOND;

/// Purposes of drawn numbers, as in the virtual world.
const START: u64 = 50;
const WHAT: u64 = 51;
const WHERE: u64 = 53;

/// One client.
pub struct Client {
    /// Its place among all.
    pub number: usize,
    /// Its work, by place.
    pub workload: usize,
    /// Its number there.
    pub of: u32,
    /// What is to happen.
    pub plan: Arc<Plan>,
    /// What is known.
    pub shared: Arc<Shared>,
    /// The way to nodes.
    pub fabric: Arc<Fabric>,
    /// Addresses, by place.
    pub addresses: Arc<Vec<String>>,
}

/// How one attempt went.
enum Attempt {
    /// It is over.
    Over(Done),
    /// It was not done; another node may do it.
    Again,
    /// Nobody knows whether it was done.
    Unknown,
}

impl Client {
    fn work(&self) -> &PlannedWorkload {
        &self.plan.workloads[self.workload]
    }

    /// Does its work until the run is nearly over.
    pub async fn run(self) {
        let mut log = Log::default();
        let every = self.work().every;
        let mut at = SECOND / 4 + self.plan.draw(START, self.number as u64, 0) % every;
        for number in 0u32.. {
            sleep(self.shared.record.until(at)).await;
            if at + QUIET >= self.plan.end() {
                return;
            }
            let only = self.work().only.as_ref();
            if only.is_none_or(|only| only.contains(&(self.of, number))) {
                self.operate(number, &mut log).await;
            }
            // One after the other: what was due meanwhile is left out.
            let every = ((every as f64 / self.shared.seen().burst) as Micros).max(MILLI);
            let late = self.shared.record.now().saturating_sub(at);
            at += every * (late / every).max(1);
        }
    }

    async fn operate(&self, number: u32, log: &mut Log) {
        let op = (self.number as u64) << 32 | u64::from(number);
        let who = self.plan.nodes.len() + self.number;
        let asks = |ask: journal::Ask| self.shared.record.note(who, What::Asked { op, ask });
        let done = match self.work().kind {
            WorkloadKind::Ingest => {
                asks(log.more(self.number, self.work().batch));
                log.send(self.sender()).await
            }
            WorkloadKind::Control => {
                let (ask, said) = self.command(number);
                asks(said.clone());
                self.control(&ask, &said).await
            }
            WorkloadKind::Threats => {
                let drawn = self.plan.draw(WHAT, self.number as u64, number.into());
                let Some(id) = self.threat(drawn) else { return };
                let said = said(drawn);
                asks(journal::Ask::Handle {
                    threat: id,
                    closes: said.status == Some(Status::Closed),
                });
                self.handle(Ask::Handle { id, said: Box::new(said) }).await
            }
        };
        self.shared.record.note(who, What::Answered { op, done });
    }

    fn sender(&self) -> Sender<'_> {
        let (plan, client, workload) = (&*self.plan, self.number, self.workload);
        let mut nodes = self.addresses.to_vec();
        nodes.rotate_left(self.choose(0));
        Sender { plan, client, workload, fabric: &self.fabric, nodes }
    }

    /// A node for an attempt: one near it first, then others.
    pub fn choose(&self, attempt: u64) -> usize {
        let nodes = self.plan.nodes.len() as u64;
        let home = self.plan.draw(WHERE, self.number as u64, 0);
        ((home + attempt * (1 + home / nodes % 3)) % nodes) as usize
    }

    /// A read, or a write of a value that no other write has. Writes that expect what was read
    /// before need bundles, which these clients have none of: they are plain writes here.
    fn command(&self, number: u32) -> (Ask, journal::Ask) {
        let drawn = self.plan.draw(WHAT, self.number as u64, number.into());
        let key = skewed(unit(mix64(drawn)), self.work());
        let mix = self.work().mix;
        if unit(drawn) * (mix.read + mix.write + mix.cas) < mix.read {
            return (Ask::Flags { linearizable: true }, journal::Ask::Read { key });
        }
        let value = (self.number as u64) << 32 | u64::from(number);
        let name = format!("{KEY}{key}").into();
        let command = Command::SetFlag { name, value: Some(value.to_string().into()) };
        let client = Name { opened: 0, nonce: 1_000 + self.number as u64 };
        let request = Request { client, sequence: number.into(), command };
        (Ask::Propose(Box::new(request)), journal::Ask::Write { key, value })
    }

    /// Has it answered by one node after the other: each repetition is known as one.
    async fn control(&self, asked: &Ask, said: &journal::Ask) -> Done {
        let since = self.shared.record.now();
        let mut unknown = false;
        for attempt in 0.. {
            match self.attempt(&self.addresses[self.choose(attempt)], asked, said).await {
                Attempt::Over(done) => return done,
                Attempt::Again => {}
                Attempt::Unknown => unknown = true,
            }
            if self.shared.record.now() > since + GIVES_UP.as_micros() as Micros {
                break;
            }
            sleep(PAUSE).await;
        }
        if unknown { Done::Unknown } else { Done::Failed }
    }

    async fn attempt(&self, address: &str, asked: &Ask, said: &journal::Ask) -> Attempt {
        let mut told = ask(&self.fabric, address, asked, PATIENCE).await;
        if let Ok(Told::Elsewhere { leader: Some(leader) }) = &told {
            told = ask(&self.fabric, leader, asked, PATIENCE).await;
        }
        match told {
            Ok(Told::Reply(reply)) if reply.refusal().is_some() => Attempt::Over(Done::Refused),
            // Where it lies in the log is read from the log afterwards.
            Ok(Told::Reply(_)) => Attempt::Over(Done::At { index: 0, value: None }),
            Ok(Told::Flags(index, flags)) => {
                let journal::Ask::Read { key } = said else { return Attempt::Again };
                let value = flags.get(&format!("{KEY}{key}")).and_then(|v| v.parse().ok());
                Attempt::Over(Done::At { index, value })
            }
            Ok(Told::Elsewhere { .. } | Told::Refused(_)) => Attempt::Again,
            _ => Attempt::Unknown,
        }
    }

    /// A threat that nodes know.
    fn threat(&self, drawn: u64) -> Option<threat::ThreatId> {
        let key = skewed(unit(mix64(drawn)), self.work()) as usize;
        let seen = self.shared.seen();
        seen.threats.get(key % seen.threats.len().max(1)).copied()
    }

    /// Writes what an analyst says, once: an analyst looks at what is there before writing again.
    async fn handle(&self, asked: Ask) -> Done {
        for attempt in 0..self.addresses.len() as u64 {
            let node = self.choose(attempt);
            match ask(&self.fabric, &self.addresses[node], &asked, PATIENCE).await {
                Ok(Told::Threat(record)) => {
                    let Some(stamp) = record.handling().and_then(Handling::last) else {
                        return Done::Handled { stamp: NEVER, stands: false, node };
                    };
                    return Done::Handled { stamp, stands: true, node };
                }
                // It may not know the threat yet.
                Ok(Told::Refused(_)) => {}
                _ => return Done::Unknown,
            }
        }
        Done::Refused
    }
}

/// Older than any other.
const NEVER: regions::clock::Stamp = regions::clock::Stamp {
    wall: threat::Timestamp::from_micros(0),
    counter: 0,
    replica: regions::clock::Replica { node: 0, incarnation: 0 },
};
