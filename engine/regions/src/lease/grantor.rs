//! Acknowledges renewals so that no two owners of a workload may act at once.

use super::{Renewal, Terms};
use crate::control_log::Workloads;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use threat::mutants::{Mutant, is_live};

/// What becomes of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To be told to the owner.
    Acknowledged,
    /// The workload has another owner, or none, or this one gave it up.
    NotTheOwner,
    /// An earlier owner may still act; to be asked again after so long.
    TooEarly(Duration),
}

/// What was granted for one workload.
#[derive(Clone, Copy, Debug)]
struct Grant {
    epoch: u64,
    /// From when on no earlier epoch may act.
    free: Duration,
    /// When this epoch was last acknowledged.
    last: Option<Duration>,
    released: bool,
}

/// The consensus leader's part, for one term. It keeps nothing on disk: one that begins to lead
/// waits as if every lease had been renewed just before.
///
/// Each answer has to be confirmed: after a renewal arrived, a majority of the voters has to agree
/// that this leader leads still, and then the answer is worked out from the state that was applied
/// by then. One that was replaced without knowing it can then not acknowledge what was sent after
/// its successor began to lead.
#[derive(Clone, Debug)]
pub struct Grantor {
    terms: Terms,
    began: Duration,
    /// By workload; no more than the log has.
    grants: BTreeMap<u32, Grant>,
}

impl Grantor {
    /// Begins to lead now.
    pub const fn new(now: Duration, terms: Terms) -> Self {
        Self { terms, began: now, grants: BTreeMap::new() }
    }

    /// Forgets what was granted for workloads that the log has no more. To be called before the
    /// renewals of a message are answered.
    pub fn forget_removed(&mut self, log: &Workloads) {
        // Both are in order: looking for each of them took as long as all answers.
        let mut all = log.all().keys();
        if !self.grants.keys().all(|workload| all.any(|known| known == workload)) {
            self.grants.retain(|workload, _| log.all().contains_key(workload));
        }
    }

    /// Answers a renewal of `node`, by the applied state; see above for what to do before. `now`
    /// is taken after that.
    pub fn renewal(
        &mut self,
        now: Duration,
        node: u64,
        renewal: Renewal,
        log: &Workloads,
    ) -> Answer {
        let current = log.all().get(&renewal.workload);
        if current.is_none_or(|w| w.owner != Some(node) || w.epoch != renewal.epoch) {
            return Answer::NotTheOwner;
        }
        let grant = self.grant(renewal.workload, renewal.epoch);
        if grant.released {
            return Answer::NotTheOwner;
        }
        if now < grant.free && !is_live(Mutant::NewOwnerDoesNotWait) {
            return Answer::TooEarly(grant.free - now);
        }
        grant.last = grant.last.max(Some(now));
        Answer::Acknowledged
    }

    /// The owner of this epoch has stopped and will not act again, nor be acknowledged.
    pub fn release(&mut self, (workload, epoch): (u32, u64), log: &Workloads) {
        if log.all().get(&workload).is_some_and(|w| w.epoch >= epoch) {
            let known = self.grants.get(&workload).map(|g| g.epoch);
            let any = is_live(Mutant::ReleaseOfAnyEpoch);
            if any || known.is_none_or(|known| known <= epoch) {
                let grant = self.grant(workload, epoch);
                (grant.last, grant.released) = (None, true);
            }
        }
    }

    /// When the owner of a workload was last acknowledged; none since this leader began.
    pub fn last(&self, workload: u32) -> Option<Duration> {
        self.grants.get(&workload)?.last
    }

    /// The grant of the epoch, begun when it is a new one.
    fn grant(&mut self, workload: u32, epoch: u64) -> &mut Grant {
        let lapse = self.terms.lapse();
        let unknown = Grant { epoch, free: self.began + lapse, last: None, released: false };
        let grant = self.grants.entry(workload).or_insert(unknown);
        if grant.epoch < epoch {
            let free = grant.last.map_or(grant.free, |last| grant.free.max(last + lapse));
            *grant = Grant { epoch, free, last: None, released: false };
        }
        grant
    }
}
