//! Who owns what, for those who act or send by it.

use super::carried::Carried;
use super::clock::Clock;
use super::limits::{ASK_AGAIN, WORKLOADS};
use super::table::{Owned, Table};
use super::view::Held;
use regions::control_log::{ControlLog, Workloads};
use regions::lease::{Answer, Fence, Lease, Refused, Renewal, Terms};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use threat::mutants::{Mutant, is_live};
use tokio::sync::watch;

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

/// A lease of this node.
struct Kept {
    lease: Lease,
    asked: Option<Duration>,
    /// A renewal that was acknowledged at this index of the log, which is not applied here yet.
    ahead: Option<(u64, Renewal)>,
    /// Whether it may act, as was told last.
    acts: bool,
}

impl Ownership {
    /// Of this node, by this clock.
    pub fn new(me: u64, clock: Arc<dyn Clock>) -> Self {
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
        let mut all = BTreeMap::new();
        self.each_acting(|workload, epoch| {
            all.insert(workload, epoch);
        });
        all
    }

    /// Tells of each change: of owners, and of what this node may act for. That a lease has lapsed
    /// is told a little late; [`Self::acts`] knows it at once.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.told.subscribe()
    }

    /// Tells of all that this node may act for now, with the epoch, by number.
    pub fn each_acting(&self, mut tell: impl FnMut(u32, u64)) {
        let now = self.0.clock.now();
        for (workload, kept) in self.leases().iter() {
            if kept.lease.may_act(now) {
                tell(*workload, kept.lease.epoch());
            }
        }
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
    pub fn learn(&self, log: &ControlLog) -> Vec<(u32, u64)> {
        let me = self.0.me;
        let changed = {
            let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
            !table.is_of(log)
        };
        let mut given_up = Vec::new();
        let mut leases = self.leases();
        let mine = |n: &u32, epoch: u64| {
            log.workloads().all().get(n).is_some_and(|w| w.owner == Some(me) && w.epoch == epoch)
        };
        // Most of the time all stay.
        if !leases.iter().all(|(number, kept)| mine(number, kept.lease.epoch())) {
            leases.retain(|number, kept| {
                let stays = mine(number, kept.lease.epoch());
                if !stays {
                    given_up.push(kept.lease.give_up());
                }
                stays
            });
        }
        let present = log.nodes().present().contains_key(&me);
        let owned = log.workloads().all().iter().filter(|(_, w)| present && w.owner == Some(me));
        for (number, workload) in owned {
            leases.entry(*number).or_insert_with(|| Kept {
                lease: Lease::new(*number, workload.epoch, self.0.terms),
                asked: None,
                ahead: None,
                acts: false,
            });
        }
        drop(leases);
        self.caught_up(log.applied());
        if changed {
            self.0.table.write().unwrap_or_else(PoisonError::into_inner).follow(log);
        }
        if changed || !given_up.is_empty() {
            self.tell();
        }
        given_up
    }

    /// So much is applied: renewals count that were acknowledged by then. Enough for commands that
    /// say nothing of nodes and owners; [`Self::learn`] does it, too.
    pub fn caught_up(&self, applied: u64) {
        for kept in self.leases().values_mut() {
            if let Some((_, renewal)) = kept.ahead.take_if(|(index, _)| *index <= applied) {
                kept.lease.acknowledged(renewal);
            }
        }
    }

    /// Renewals that are due, to be sent at once.
    pub fn due(&self) -> Vec<Renewal> {
        let now = self.0.clock.now();
        let mut leases = self.leases();
        // Mostly all of them at once, or none.
        let (mut renewals, all) = (Vec::new(), leases.len().min(WORKLOADS));
        for kept in leases.values_mut() {
            let again = kept.asked.is_none_or(|at| now.saturating_sub(at) >= ASK_AGAIN);
            let due = kept.lease.due(now) || (again && !kept.lease.may_act(now));
            if due && renewals.len() < WORKLOADS {
                renewals.reserve_exact(all - renewals.len());
                kept.asked = Some(now);
                renewals.extend(kept.lease.renew(now));
            }
        }
        renewals
    }

    /// What the leader said to renewals, having applied the log up to an index. They count once
    /// this node has applied as much: one that hears the leader's answers and not its entries would
    /// act on for ever by what was agreed on long ago.
    pub fn answered(&self, applied: u64, at: u64, answers: Vec<(Renewal, Answer)>) {
        let current = applied >= at || is_live(Mutant::StaleRenewalsCount);
        let mut leases = self.leases();
        for (renewal, answer) in answers {
            if let (Answer::Acknowledged, Some(kept)) = (answer, leases.get_mut(&renewal.workload))
            {
                if current {
                    kept.lease.acknowledged(renewal);
                } else {
                    kept.ahead = Some((at, renewal));
                }
            }
        }
        drop(leases);
        self.notice();
    }

    /// Tells of leases that came or lapsed since the last time.
    pub fn notice(&self) {
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

    /// Takes note of what is applied.
    pub fn learn(&self, log: &Workloads) {
        self.lock().learn(log);
    }

    fn lock(&self) -> MutexGuard<'_, Fence> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regions::control_log::{Client, Command, Request};

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Duration {
            Duration::from_secs(10)
        }
    }

    fn apply(log: &mut ControlLog, command: Command) {
        let sequence = log.applied() + 1;
        let request = Request { client: Client::default(), sequence, command };
        assert_eq!(log.apply(sequence, &request).refusal(), None);
    }

    /// A log in which node 1 owns workload 7.
    fn log() -> ControlLog {
        let mut log = ControlLog::default();
        let region = || "eu".into();
        apply(&mut log, Command::AddRegion { region: region() });
        let (name, address, incarnation) = ("one".into(), "h:1".into(), 1);
        let join = Command::JoinNode { node: 1, name, region: region(), address, incarnation };
        apply(&mut log, join);
        apply(&mut log, Command::AdmitNode { node: 1 });
        let (shards, home, failover) = ([7].into(), region(), region());
        apply(&mut log, Command::DefineWorkload { workload: 7, shards, home, failover });
        let (owner, expected_epoch) = (Some(1), 0);
        apply(&mut log, Command::AssignWorkload { workload: 7, owner, expected_epoch });
        log
    }

    #[test]
    fn a_renewal_counts_once_all_that_the_leader_had_is_applied_here() {
        let (mut log, ownership) = (log(), Ownership::new(1, Arc::new(Still)));
        ownership.learn(&log);
        let renewal = ownership.due()[0];
        let applied = log.applied();
        ownership.answered(applied, applied + 1, vec![(renewal, Answer::Acknowledged)]);
        assert_eq!(ownership.acts(7), None, "the leader knows of an entry that is not here");
        ownership.learn(&log);
        assert_eq!(ownership.acts(7), None);
        apply(&mut log, Command::SetFlag { name: "a".into(), value: None });
        ownership.learn(&log);
        assert_eq!(ownership.acts(7), Some(1));
    }

    #[test]
    fn the_table_follows_the_log() {
        let (mut log, ownership) = (log(), Ownership::new(2, Arc::new(Still)));
        ownership.learn(&log);
        assert_eq!(ownership.of_shard(7).map(|o| (o.node, o.epoch)), Some((1, 1)));
        let changes = ownership.changes();
        ownership.learn(&log);
        assert!(!changes.has_changed().unwrap(), "nothing changed");
        let address = "h:2".into();
        let (name, region) = ("one".into(), "eu".into());
        apply(&mut log, Command::JoinNode { node: 1, name, region, address, incarnation: 2 });
        ownership.learn(&log);
        assert_eq!(ownership.of_shard(7).unwrap().address, "h:2");
        apply(&mut log, Command::AssignWorkload { workload: 7, owner: None, expected_epoch: 1 });
        ownership.learn(&log);
        assert_eq!(ownership.of_shard(7), None);
        assert_eq!(ownership.workload_of(7), Some(7));
        apply(&mut log, Command::RemoveWorkload { workload: 7, expected_epoch: 2 });
        ownership.learn(&log);
        assert_eq!((ownership.workload_of(7), changes.has_changed().unwrap()), (None, true));
    }
}
