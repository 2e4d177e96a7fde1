//! The cluster comes about, as it does in production: the first node founds it, the others ask it
//! for ids and are taken in.

use super::net::lock;
use super::seen::seen;
use super::{Due, InProcess};
use crate::journal::Truth;
use crate::plan::{MILLI, Micros, SECOND};
use crate::world::{START, record};
use cluster::control::{self, Ask, Told};
use regions::control_log::Command;
use regions::spread::WORKLOADS;
use regions::threats::{Count, Record};
use std::sync::Arc;
use std::time::Duration;

/// When setting up is given up.
const GIVES_UP: Micros = 120 * SECOND;

/// For one command to be agreed on.
const AGREES: Duration = Duration::from_secs(10);

/// Threats that analysts speak of, at most.
const THREATS: u32 = 256;

impl InProcess {
    /// Founds the cluster, and waits until it is whole.
    pub(super) fn set_up(&mut self) -> Result<(), String> {
        self.boot(0);
        self.wait("the first node founds a cluster", |world| world.acting_in_all() > 0)?;
        // One after the other has its id before the next one asks, so that ids follow places.
        for at in 1..self.hosts.len() {
            self.boot(at);
            self.wait("a node gets its id", |world| world.hosts[at].id.is_some())?;
        }
        self.wait("all take part", |world| world.is_whole())?;
        self.bundles()?;
        let known = self.threats();
        let settled = self.now + SECOND;
        self.wait("threats are told", |world| world.now >= settled)?;
        seen(&self.common.seen).began = Some(lock(&self.common.net).now());
        self.now = 0;
        self.due.clear();
        self.plan_faults();
        self.push(self.common.plan.duration, Due::Heal);
        self.push(0, Due::Look);
        self.around(known.iter().map(|record| record.id).collect());
        Ok(())
    }

    fn wait(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), String> {
        let until = self.now + GIVES_UP;
        loop {
            for _ in 0..20 {
                self.tick();
            }
            self.look();
            if holds(self) {
                return Ok(());
            }
            if self.now > until {
                return Err(format!("not within {} s: {what}", GIVES_UP / SECOND));
            }
        }
    }

    fn acting_in_all(&self) -> u32 {
        self.acting.iter().sum()
    }

    /// Whether all nodes are members, all voters vote, and all workloads have an owner that acts.
    fn is_whole(&self) -> bool {
        let plan = &self.common.plan;
        let voters = plan.nodes.iter().filter(|n| n.voter).count().max(1);
        let knows = |host: &super::Host| {
            let status = host.within(|part| (part.status)()).flatten();
            status.is_some_and(|status| {
                status.members.len() == plan.nodes.len()
                    && status.members.values().all(|member| member.admitted)
                    && status.voters.len() == voters
            })
        };
        self.acting_in_all() == WORKLOADS && self.hosts.iter().all(knows)
    }

    /// Three bundles that all nodes have, as [`crate::world`] begins with.
    fn bundles(&mut self) -> Result<(), String> {
        let evidence = || threat::Text::from("a trial");
        for bundle in 1..=3u8 {
            let version = u64::from(bundle);
            let mut all = vec![
                Command::RegisterBundle { hash: [bundle; 32], evidence: evidence() },
                Command::ShadowBundle { version, evidence: evidence() },
            ];
            let ids: Vec<u64> = self.hosts.iter().filter_map(|host| host.id).collect();
            let ready = |node| Command::ReadyBundle { version, node, evidence: evidence() };
            all.extend(ids.into_iter().map(ready));
            for command in all {
                self.order(command);
            }
        }
        let (fabric, first) =
            (Arc::clone(&self.clients.fabric), vec![self.common.plan.nodes[0].name.clone()]);
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = Arc::clone(&done);
        self.clients.runtime.spawn(async move {
            let ask = Ask::Flags { linearizable: true };
            let answer = control::ask_leader(&fabric, &first, &ask, AGREES).await;
            let fine = matches!(answer, Ok(Told::Flags(..)));
            told.store(fine, std::sync::atomic::Ordering::Relaxed);
        });
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        self.wait("bundles are known", |_| done.load(relaxed))
    }

    /// Has a command done by the cluster, some time.
    pub(super) fn order(&mut self, command: Command) {
        let ask = Ask::Propose(Box::new(self.request(command)));
        let fabric = Arc::clone(&self.clients.fabric);
        let all: Vec<String> = self.common.plan.nodes.iter().map(|n| n.name.clone()).collect();
        self.clients.runtime.spawn(async move {
            // Whether it was done is seen in the log.
            let _ = control::ask_leader(&fabric, &all, &ask, AGREES).await;
        });
    }

    /// Threats that nodes found, and tell each other of.
    fn threats(&self) -> Vec<Record> {
        let keys = self.common.plan.workloads.iter().map(|w| w.keys).max().unwrap_or_default();
        let mut all = Vec::new();
        for key in 0..keys.min(THREATS) {
            let at = key as usize % self.hosts.len();
            let count = Count { source: u64::from(key), segment: 0, offset: 1, verdicts: 1 };
            let wall = START + (self.now / MILLI * MILLI) as i64;
            let record = record(key, Truth::KnownBad, wall, count);
            all.push(record.clone());
            let Some(part) = self.hosts[at].told.part() else { continue };
            self.hosts[at].spawn(async move {
                // What is not taken is not known, and words on it are refused.
                let _ = part.replication.fold(vec![record]).await;
            });
        }
        all
    }
}
