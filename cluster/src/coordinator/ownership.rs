//! Who owns what, for those who act or send by it.

use super::carried::Carried;
use super::clock::Clock;
use super::limits::{ASK_AGAIN, WORKLOADS};
use super::view::Held;
use regions::control_log::{ControlLog, Workloads};
use regions::lease::{Answer, Fence, Lease, Refused, Renewal, Terms};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// A workload with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Which.
    pub workload: u32,
    /// The owner's id.
    pub node: u64,
    /// The owner's name.
    pub name: String,
    /// The owner's region.
    pub region: String,
    /// Where the owner listens.
    pub address: String,
    /// Under which epoch it owns it.
    pub epoch: u64,
}

/// Who owns what as this node knows it, and for what it may act itself. Cheap to clone.
#[derive(Clone)]
pub struct Ownership(pub(super) Arc<Shared>);

pub(super) struct Shared {
    me: u64,
    terms: Terms,
    pub(super) clock: Arc<dyn Clock>,
    table: RwLock<Table>,
    leases: Mutex<BTreeMap<u32, Kept>>,
    told: watch::Sender<u64>,
    pub(super) carried: Mutex<Carried>,
}

#[derive(Default)]
struct Table {
    /// The workload of each shard that has one.
    shards: BTreeMap<u32, u32>,
    /// Those that have an owner.
    owned: BTreeMap<u32, Arc<Owned>>,
}

/// A lease of this node.
struct Kept {
    lease: Lease,
    asked: Option<Duration>,
    /// Whether it may act, as was told last.
    acts: bool,
}

impl Ownership {
    pub(crate) fn new(me: u64, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            me,
            terms: Terms::default(),
            clock,
            table: RwLock::default(),
            leases: Mutex::default(),
            told: watch::Sender::new(0),
            carried: Mutex::default(),
        }))
    }

    /// The owner of a shard's workload, if it has one.
    pub fn of_shard(&self, shard: u32) -> Option<Arc<Owned>> {
        // Nothing panics while it is held.
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.owned.get(table.shards.get(&shard)?).cloned()
    }

    /// The workload that a shard is in.
    pub fn workload_of(&self, shard: u32) -> Option<u32> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.shards.get(&shard).copied()
    }

    /// The epoch under which this node may begin an effect for the workload now; none when it holds
    /// no lease. To be asked right before each effect.
    pub fn acts(&self, workload: u32) -> Option<u64> {
        let now = self.0.clock.now();
        let leases = self.leases();
        let kept = leases.get(&workload)?;
        kept.lease.may_act(now).then(|| kept.lease.epoch())
    }

    /// All that this node may act for now, with the epoch.
    pub fn acting(&self) -> BTreeMap<u32, u64> {
        self.leases_held().into_iter().map(|(workload, held)| (workload, held.epoch)).collect()
    }

    /// Tells of each change: of owners, and of what this node may act for. That a lease has lapsed
    /// is told a little late; [`Self::acts`] knows it at once.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.told.subscribe()
    }

    pub(super) fn leases_held(&self) -> BTreeMap<u32, Held> {
        let now = self.0.clock.now();
        let held = |(workload, kept): (&u32, &Kept)| {
            let left = kept.lease.remaining(now);
            let left_ms = left.as_millis() as u64;
            (!left.is_zero()).then(|| (*workload, Held { epoch: kept.lease.epoch(), left_ms }))
        };
        self.leases().iter().filter_map(held).collect()
    }

    /// Takes note of what is applied. Gives the leases that are given up by it, which the leader
    /// has to be told.
    pub(crate) fn learn(&self, log: &ControlLog) -> Vec<(u32, u64)> {
        let me = self.0.me;
        let nodes = log.nodes().present();
        let mut new = Table::default();
        let mut given_up = Vec::new();
        let mut leases = self.leases();
        for (number, workload) in log.workloads().all() {
            new.shards.extend(workload.shards.iter().map(|shard| (*shard, *number)));
            if let Some((id, node)) = workload.owner.and_then(|id| Some((id, nodes.get(&id)?))) {
                let owned = Owned {
                    workload: *number,
                    node: id,
                    name: node.name.to_string(),
                    region: node.region.to_string(),
                    address: node.address.to_string(),
                    epoch: workload.epoch,
                };
                new.owned.insert(*number, Arc::new(owned));
            }
        }
        let mine = |n: &u32, epoch: u64| {
            log.workloads().all().get(n).is_some_and(|w| w.owner == Some(me) && w.epoch == epoch)
        };
        leases.retain(|number, kept| {
            let stays = mine(number, kept.lease.epoch());
            if !stays {
                given_up.push(kept.lease.give_up());
            }
            stays
        });
        for owned in new.owned.values().filter(|owned| owned.node == me) {
            leases.entry(owned.workload).or_insert_with(|| Kept {
                lease: Lease::new(owned.workload, owned.epoch, self.0.terms),
                asked: None,
                acts: false,
            });
        }
        drop(leases);
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        let changed = table.owned != new.owned || table.shards != new.shards;
        *table = new;
        drop(table);
        if changed || !given_up.is_empty() {
            self.tell();
        }
        given_up
    }

    /// Renewals that are due, to be sent at once.
    pub(crate) fn due(&self) -> Vec<Renewal> {
        let now = self.0.clock.now();
        let mut renewals = Vec::new();
        for kept in self.leases().values_mut() {
            let again = kept.asked.is_none_or(|at| now.saturating_sub(at) >= ASK_AGAIN);
            let due = kept.lease.due(now) || (again && !kept.lease.may_act(now));
            if due && renewals.len() < WORKLOADS {
                kept.asked = Some(now);
                renewals.extend(kept.lease.renew(now));
            }
        }
        renewals
    }

    /// What the leader said to renewals.
    pub(crate) fn answered(&self, answers: Vec<(Renewal, Answer)>) {
        let mut leases = self.leases();
        for (renewal, answer) in answers {
            if let (Answer::Acknowledged, Some(kept)) = (answer, leases.get_mut(&renewal.workload))
            {
                kept.lease.acknowledged(renewal);
            }
        }
        drop(leases);
        self.notice();
    }

    /// Tells of leases that came or lapsed since the last time.
    pub(crate) fn notice(&self) {
        let now = self.0.clock.now();
        let mut changed = false;
        for kept in self.leases().values_mut() {
            let acts = kept.lease.may_act(now);
            changed |= acts != kept.acts;
            kept.acts = acts;
        }
        if changed {
            self.tell();
        }
    }

    fn tell(&self) {
        self.0.told.send_modify(|count| *count += 1);
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<u32, Kept>> {
        // Nothing panics while it is held.
        self.0.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ownership").field(&self.acting()).finish()
    }
}

/// Refuses what former owners send: to be asked wherever something with an epoch comes in. It
/// learns from the applied log, too. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Fences(Arc<Mutex<Fence>>);

impl Fences {
    /// Lets through what the workload's owner under this epoch sends, or not.
    ///
    /// # Errors
    /// [`Refused`] when a later epoch is known.
    pub fn admit(&self, workload: u32, epoch: u64) -> Result<(), Refused> {
        self.lock().admit(workload, epoch)
    }

    /// How much was refused.
    pub fn refused(&self) -> u64 {
        self.lock().refused()
    }

    pub(crate) fn learn(&self, log: &Workloads) {
        self.lock().learn(log);
    }

    fn lock(&self) -> MutexGuard<'_, Fence> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
