//! Who may act for a workload, and until when (after Gray, Cheriton: "Leases", SOSP 1989).
//!
//! Three machines. [`Lease`] is the owner's: it may act while its lease runs by its own clock, from
//! when the renewal was *sent*, since nobody knows how long the answer was on its way. [`Grantor`]
//! is the consensus leader's: it acknowledges renewals of the current epoch, and the first one of
//! a new owner only when the lease of the one before must have lapsed. [`Fence`] is the receiver's:
//! it refuses what an earlier epoch sends, because one that passed the check of its lease may be
//! stopped right after it, and act when it wakes.
//!
//! No clock is compared with another. What is assumed: over one lease no clock runs faster or
//! slower than true time by more than [`Terms::drift_permille`], and clocks count the time in which
//! a machine sleeps. Where that fails the fence still holds; only outside effects that nobody
//! fences, such as a firewall's, could then come from two owners.

mod fence;
mod grantor;

pub use fence::{FENCED, Fence, Refused};
pub use grantor::{Answer, Grantor};

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use threat::mutants::{Mutant, is_live};

/// Renewals on their way of which the sending time is kept: at four a second, twice what a lease
/// lasts. An answer to an older one would give nothing any more.
pub const RENEWALS: usize = 16;

/// What all nodes of a cluster know of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How long an owner may act after it sent a renewal that was acknowledged.
    pub length: Duration,
    /// By how many thousandths a clock may run fast or slow; under 1000.
    pub drift_permille: u32,
}

impl Default for Terms {
    /// Two seconds; five percent, which is more than any clock that ticks at all is wrong by.
    fn default() -> Self {
        Self { length: Duration::from_secs(2), drift_permille: 50 }
    }
}

impl Terms {
    /// How long a grantor waits by its own clock until a lease that it acknowledged has lapsed by
    /// any clock: the owner's may be slow, so that the lease lasts `length / (1 - drift)`, and its
    /// own fast, so that it counts `1 + drift` times as much. 2.21 s by default.
    pub fn lapse(&self) -> Duration {
        let drift = u128::from(self.drift_permille.min(999));
        let drift = if is_live(Mutant::LeaseWithoutDrift) { 0 } else { drift };
        let nanos = (self.length.as_nanos() * (1_000 + drift)).div_ceil(1_000 - drift);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A request to act for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// For which workload.
    pub workload: u32,
    /// Under which epoch.
    pub epoch: u64,
    /// Which request it is of this lease.
    pub sequence: u64,
}

/// The right of one node to act for one workload under one epoch. Made when the node sees that the
/// workload was assigned to it; a new assignment needs a new one.
#[derive(Clone, Debug)]
pub struct Lease {
    workload: u32,
    epoch: u64,
    terms: Terms,
    sent: VecDeque<(u64, Duration)>,
    next: u64,
    /// When the latest acknowledged renewal was sent.
    held_from: Option<Duration>,
    given_up: bool,
}

impl Lease {
    /// Nothing may be done yet: the first renewal has to be acknowledged.
    pub const fn new(workload: u32, epoch: u64, terms: Terms) -> Self {
        let sent = VecDeque::new();
        Self { workload, epoch, terms, sent, next: 0, held_from: None, given_up: false }
    }

    /// What effects carry.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A renewal to send at once; `now` is taken before it is. None after the lease was given up.
    pub fn renew(&mut self, now: Duration) -> Option<Renewal> {
        if self.given_up || (is_live(Mutant::RenewalsEnd) && self.next > 0) {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        if self.sent.len() >= RENEWALS {
            self.sent.pop_front();
        }
        self.sent.push_back((sequence, now));
        Some(Renewal { workload: self.workload, epoch: self.epoch, sequence })
    }

    /// The renewal was acknowledged. Of another lease, repeated or too old it has no effect.
    pub fn acknowledged(&mut self, renewal: Renewal) {
        if (renewal.workload, renewal.epoch) != (self.workload, self.epoch) || self.given_up {
            return;
        }
        let sent = self.sent.iter().find(|(n, _)| *n == renewal.sequence).map(|(_, at)| *at);
        self.held_from = self.held_from.max(sent);
        // Earlier ones that are still on their way could give nothing.
        self.sent.retain(|(n, _)| *n > renewal.sequence || sent.is_none());
    }

    /// Whether effects may be started now. To be asked right before each.
    pub fn may_act(&self, now: Duration) -> bool {
        !self.remaining(now).is_zero()
    }

    /// For how long effects may still be started; what takes longer must not begin.
    pub fn remaining(&self, now: Duration) -> Duration {
        let held = self.held_from.filter(|_| !self.given_up);
        if held.is_some() && is_live(Mutant::LeaseNeverLapses) {
            return self.terms.length;
        }
        held.map_or(Duration::ZERO, |from| (from + self.terms.length).saturating_sub(now))
    }

    /// When the next renewal is due: a quarter of a lease after the last one was sent, so that
    /// three may be lost.
    pub fn due(&self, now: Duration) -> bool {
        let last = self.sent.back().map(|(_, at)| *at).max(self.held_from);
        !self.given_up && last.is_none_or(|at| now.saturating_sub(at) >= self.terms.length / 4)
    }

    /// The owner has stopped, and acts no more whatever arrives. What this gives goes to
    /// [`Grantor::release`], so that the next owner need not wait.
    pub fn give_up(&mut self) -> (u32, u64) {
        (self.given_up, self.held_from) = (true, None);
        self.sent.clear();
        (self.workload, self.epoch)
    }
}

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
