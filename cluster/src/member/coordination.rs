//! Performs what the coordinator decides: tells others that this node is there, renews its leases,
//! and, while it leads, grants leases and moves workloads.

use super::answers::Failure;
use super::{Inner, Member};
use crate::consensus::Role;
use crate::control::{self, Ask, Told};
use crate::coordinator::limits::{
    AT_ONCE, BEAT_EVERY, BEAT_TIME, LEAD_EVERY, LOOK_EVERY, ROUND_TIME, WORKLOADS,
};
use crate::coordinator::{Beat, Clock, Coordinator, Fences, Load, Ownership, View};
use crate::fabric::{Caller, Who};
use regions::control_log::ControlLog;
use regions::lease::{Answer, Renewal, Terms};
use regions::orders::Order;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A member's part in the coordination of regions.
pub(super) struct Part {
    clock: Arc<dyn Clock>,
    coordinator: Mutex<Coordinator>,
    ownership: Ownership,
    fences: Fences,
    /// Something was learnt that others should hear of at once.
    news: Notify,
    /// Something was learnt that the leader should look at.
    duty: Notify,
}

impl Part {
    pub(super) fn new(me: u64, incarnation: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            coordinator: Mutex::new(Coordinator::new(me, incarnation)),
            ownership: Ownership::new(me, Arc::clone(&clock)),
            clock,
            fences: Fences::default(),
            news: Notify::new(),
            duty: Notify::new(),
        }
    }

    /// Where the log is read, too, the log comes first.
    fn coordinator(&self) -> MutexGuard<'_, Coordinator> {
        // Nothing panics while it is held.
        self.coordinator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node that gets nothing new while this is there.
pub(super) struct Leaving<'a> {
    part: &'a Part,
    node: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.part.coordinator().set_leaving(self.node, false);
    }
}

impl Member {
    /// Who owns what, and what this node may act for.
    pub fn ownership(&self) -> Ownership {
        self.inner.part.ownership.clone()
    }

    /// Refuses what former owners send.
    pub fn fence(&self) -> Fences {
        self.inner.part.fences.clone()
    }

    /// Whether the node wants workloads: it does from its start on, unless it says otherwise. One
    /// that wants none keeps what it has.
    pub fn set_ready(&self, ready: bool) {
        self.inner.part.coordinator().set_ready(ready);
        self.inner.part.news.notify_one();
    }

    /// What the node can bear and what it bears, from now on.
    pub fn set_load(&self, load: Load) {
        self.inner.part.coordinator().set_load(load);
    }

    /// Regions, workloads and leases, as this node sees them.
    pub fn regions(&self) -> View {
        self.inner.regions()
    }
}

impl Inner {
    pub(super) fn regions(&self) -> View {
        let leads = self.consensus.status().role == Role::Leader;
        let part = &self.part;
        let view = |log: &ControlLog| {
            part.coordinator().view(part.clock.now(), leads, log, &part.ownership)
        };
        self.consensus.read(view).1
    }

    pub(super) fn would_move(&self, region: &str, order: Option<Order>) -> Told {
        let now = self.part.clock.now();
        let (_, moves) = self.consensus.read(|log| {
            log.nodes().regions().contains(region).then(|| {
                let coordinator = self.part.coordinator();
                coordinator.would_move(now, log, region, order)
            })
        });
        match moves {
            Some(moves) => Told::Moves(Box::new(moves)),
            None => Told::Refused(format!("there is no region {region}")),
        }
    }

    /// The node whose certificate the caller has shown.
    fn id_of(&self, caller: &Caller) -> Option<u64> {
        let Who::Node { name, region } = &caller.identity.who else { return None };
        let same = |n: &regions::control_log::Node| *n.name == **name && *n.region == **region;
        let look = |log: &ControlLog| {
            log.nodes().present().iter().find(|(_, n)| same(n)).map(|(id, _)| *id)
        };
        self.consensus.read(look).1
    }

    /// A node that the log does not have is not listened to.
    pub(super) fn heard(&self, caller: &Caller, beat: Beat) -> Told {
        if let Some(from) = self.id_of(caller).filter(|from| *from != self.me.id) {
            let now = self.part.clock.now();
            if self.part.coordinator().hear(now, from, beat) {
                self.part.duty.notify_one();
            }
        }
        Told::Done
    }

    pub(super) fn released(&self, caller: &Caller, given_up: &[(u32, u64)]) -> Told {
        if self.id_of(caller).is_none() {
            return Told::Refused("an operator has no lease".into());
        }
        self.release(given_up);
        Told::Done
    }

    fn release(&self, given_up: &[(u32, u64)]) {
        self.consensus.read(|log| self.part.coordinator().release(given_up, log));
    }

    pub(super) async fn renewed(
        &self,
        caller: &Caller,
        renewals: Vec<Renewal>,
    ) -> Result<(u64, Vec<(Renewal, Answer)>), Failure> {
        let Some(node) = self.id_of(caller).filter(|_| renewals.len() <= WORKLOADS) else {
            return Err(Failure::Refused("no node, or too much at once".into()));
        };
        self.grant(node, &renewals).await
    }

    /// Empties a node that is about to leave, and keeps it empty while what this gives is there.
    pub(super) async fn emptied(&self, node: u64) -> Leaving<'_> {
        self.part.coordinator().set_leaving(node, true);
        let leaving = Leaving { part: &self.part, node };
        let mut changes = self.consensus.followed();
        loop {
            self.part.duty.notify_one();
            let owns = |log: &ControlLog| {
                log.workloads().all().values().any(|workload| workload.owner == Some(node))
            };
            if !self.consensus.read(owns).1 || changes.changed().await.is_err() {
                return leaving;
            }
        }
    }

    /// Answers renewals after a majority has said that this node leads still. The term is looked at
    /// after that: what was granted in another one must not count.
    async fn grant(
        &self,
        node: u64,
        renewals: &[Renewal],
    ) -> Result<(u64, Vec<(Renewal, Answer)>), Failure> {
        self.consensus.read_linearizable(Terms::default().length, |_| ()).await?;
        let Some(term) = self.consensus.term_led().await else {
            return Err(crate::consensus::Error::NotLeader { leader: None, address: None }.into());
        };
        let now = self.part.clock.now();
        let answer = |log: &ControlLog| {
            let answers = self.part.coordinator().grant(now, term, node, renewals, log);
            (log.applied(), answers)
        };
        Ok(self.consensus.read(answer).1)
    }

    /// Takes note of what is applied; what this node gave up by it goes to the leader.
    fn learn(&self) -> Vec<(u32, u64)> {
        let (part, voters) = (&self.part, self.consensus.status().voters);
        let learn = |log: &ControlLog| {
            part.coordinator().learn(part.clock.now(), log, &voters);
            part.fences.learn(log.workloads());
            part.ownership.learn(log)
        };
        self.consensus.read(learn).1
    }

    /// The leader and where it is, as far as this node knows; no address if it is this one.
    fn leader(&self) -> Option<(u64, Option<String>)> {
        let leader = self.consensus.status().leader?;
        if leader == self.me.id {
            return Some((leader, None));
        }
        let address =
            |log: &ControlLog| log.nodes().present().get(&leader).map(|n| n.address.to_string());
        Some((leader, Some(self.consensus.read(address).1?)))
    }

    /// What a leader has to see to, each after the other; nothing when it does not lead.
    async fn see_to_duties(&self) {
        let (part, consensus) = (&self.part, &self.consensus);
        let duties = |sure: bool| {
            move |log: &ControlLog| part.coordinator().duties(part.clock.now(), log, sure)
        };
        if consensus.status().role != Role::Leader || consensus.read(duties(false)).1.is_empty() {
            return;
        }
        // A leader that was replaced finds out here; the plan is made on all that was answered.
        let Ok((_, commands)) = consensus.read_linearizable(ROUND_TIME, duties(true)).await else {
            return;
        };
        for some in commands.chunks(AT_ONCE) {
            let mut asked = JoinSet::new();
            for request in some.iter().map(|command| self.request(command.clone())) {
                asked.spawn(consensus.proposal(request, ROUND_TIME));
            }
            while let Some(Ok(told)) = asked.join_next().await {
                match told {
                    Ok(reply) => {
                        if let Some(refusal) = reply.refusal() {
                            tracing::info!(leader = self.me.id, "overtaken: {refusal}");
                        }
                    }
                    // What was not done is looked at again.
                    Err(_) => return,
                }
            }
        }
    }
}

/// Leads whenever this node is the leader.
pub(super) async fn lead(inner: Arc<Inner>) {
    let mut changes = inner.consensus.followed();
    loop {
        // A grantor waits from when it began, so that it should begin early.
        if inner.consensus.status().role == Role::Leader
            && let Some(term) = inner.consensus.term_led().await
        {
            let now = inner.part.clock.now();
            inner.part.coordinator().leads(now, term);
        }
        inner.see_to_duties().await;
        let told = async {
            tokio::select! {
                // In order: a simulation has to run the same way again.
                biased;
                () = inner.part.duty.notified() => true,
                changed = changes.changed() => changed.is_ok(),
            }
        };
        if timeout(LEAD_EVERY, told).await == Ok(false) {
            return;
        }
    }
}

/// Listens for silence, tells others that this node is there, and keeps its leases.
pub(super) async fn attend(inner: Arc<Inner>) {
    let mut changes = inner.consensus.followed();
    let (mut look, mut beat) = (interval(LOOK_EVERY), interval(BEAT_EVERY));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            _ = look.tick() => {
                let now = inner.part.clock.now();
                if inner.part.coordinator().tick(now) {
                    inner.part.news.notify_one();
                    inner.part.duty.notify_one();
                }
            }
            _ = beat.tick() => tell_all(&inner, &mut asked),
            () = inner.part.news.notified() => tell_all(&inner, &mut asked),
            Some(_) = asked.join_next() => continue,
        }
        let given_up = inner.learn();
        if !given_up.is_empty() {
            asked.spawn(give_back(Arc::clone(&inner), given_up));
        }
        let due = inner.part.ownership.due();
        if !due.is_empty() {
            asked.spawn(renew(Arc::clone(&inner), due));
        }
        inner.part.ownership.notice();
    }
}

/// Tells all others that this node is there. Nobody waits for an answer.
fn tell_all(inner: &Arc<Inner>, asked: &mut JoinSet<()>) {
    let now = inner.part.clock.now();
    let (_, (beat, others)) = inner.consensus.read(|log| {
        let present = log.nodes().present().iter();
        let others = present.filter(|(id, _)| **id != inner.me.id);
        let others: Vec<_> = others.map(|(id, n)| (*id, n.address.to_string())).collect();
        (inner.part.coordinator().beat(now, log), others)
    });
    let ask = Arc::new(Ask::Beat(Box::new(beat)));
    for (id, address) in others {
        let (inner, ask) = (Arc::clone(inner), Arc::clone(&ask));
        asked.spawn(async move {
            // One that does not arrive is what the failure detector is for.
            let _ = control::ask_node(&inner.fabric, &address, id, &ask, BEAT_TIME).await;
        });
    }
}

/// Renewals count from when they were made, which was just before.
async fn renew(inner: Arc<Inner>, renewals: Vec<Renewal>) {
    let answers = match inner.leader() {
        None => return,
        Some((me, None)) => inner.grant(me, &renewals).await.ok(),
        Some((leader, Some(address))) => {
            match ask_leader(&inner, leader, &address, Ask::Renew(renewals)).await {
                Some(Told::Renewed(index, answers)) => Some((index, answers)),
                _ => None,
            }
        }
    };
    if let Some((index, answers)) = answers {
        let (_, applied) = inner.consensus.read(ControlLog::applied);
        inner.part.ownership.answered(applied, index, answers);
    }
}

/// Best effort: where it does not arrive, the next owner waits until the lease has lapsed.
async fn give_back(inner: Arc<Inner>, given_up: Vec<(u32, u64)>) {
    match inner.leader() {
        None => {}
        Some((_, None)) => inner.release(&given_up),
        Some((leader, Some(address))) => {
            ask_leader(&inner, leader, &address, Ask::Release(given_up)).await;
        }
    }
}

async fn ask_leader(inner: &Inner, leader: u64, address: &str, ask: Ask) -> Option<Told> {
    let within: Duration = Terms::default().length;
    control::ask_node(&inner.fabric, address, leader, &ask, within).await.ok()
}
