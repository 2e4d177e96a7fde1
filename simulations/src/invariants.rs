//! What must hold in every run, whatever breaks: each invariant with its name, where it comes from,
//! and a checker that reads a [`Journal`]. To add one: a file in `invariants/` and its line in
//! [`CATALOGUE`].

mod bundles_in_use;
mod certificates_change;
mod converges;
mod counts_once;
mod effects_in_order;
mod epochs_grow;
mod events_in_order;
mod every_event_judged;
mod falls_back;
mod gone_for_good;
mod judged_once;
mod kept_on_disk;
mod learned_returns;
mod nothing_lost;
mod one_history;
mod one_owner;
mod promises_kept;
mod queues_bounded;
mod registry_linearizable;
mod serves_again;
mod shedding_counted;
mod sound;
mod strangers_stay_out;
mod tree_whole;
mod two_of_three;
mod words_kept;

use crate::experiment::{Invariants, World};
use crate::journal::{Entry, Journal, What};
use crate::plan::{Micros, Plan};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// An invariant.
pub struct Invariant {
    /// Its short name, as in reports.
    pub id: &'static str,
    /// What must hold.
    pub says: &'static str,
    /// Where the promise is made.
    pub source: &'static str,
    /// Of liveness: how long it may take.
    pub bound: Option<Duration>,
    /// Looks for a violation.
    pub check: fn(&Case<'_>) -> Finding,
}

/// What a checker sees.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What happened.
    pub journal: &'a Journal,
    /// The bound of this invariant, in this experiment.
    pub bound: Micros,
}

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It held, in so many cases.
    Held(u64),
    /// It did not.
    Broken {
        /// When, first.
        at: Micros,
        /// What happened.
        what: String,
        /// Entries of the journal that show it.
        evidence: Vec<usize>,
    },
    /// Nothing of it can be seen in the world of the run.
    NotJudged,
}

impl Finding {
    fn broken(at: Micros, what: impl Into<String>, evidence: impl Into<Vec<usize>>) -> Self {
        Self::Broken { at, what: what.into(), evidence: evidence.into() }
    }

    /// Whether it held.
    pub const fn held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Whether it did not.
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }
}

impl Case<'_> {
    fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.journal.entries.iter().enumerate()
    }

    /// When the liveness phase began.
    fn healed(&self) -> Option<Micros> {
        let heals = |e: &&Entry| matches!(e.what, What::Heals { .. });
        self.journal.entries.iter().rev().find(heals).map(|e| e.at)
    }

    /// Nodes that were up and ran at the end, and since when without a break.
    fn up_at_end(&self) -> Vec<Option<Micros>> {
        let mut up = vec![None; self.plan.nodes.len()];
        for (_, entry) in self.entries() {
            let Some(node) = entry.who.map(|w| w as usize).filter(|w| *w < up.len()) else {
                continue;
            };
            match entry.what {
                What::Up | What::Resumed => up[node] = Some(entry.at),
                What::Down | What::Paused => up[node] = None,
                _ => {}
            }
        }
        up
    }

    /// Whether what one node knows must have reached all others by the end: words that were
    /// forgotten are found by comparisons alone, and of those there must have been enough.
    fn spreads(&self) -> bool {
        let tuning = &self.plan.tuning;
        tuning.gossip_forgotten <= 0.0 || self.plan.heal >= ROUNDS * tuning.compare_every
    }

    /// Nodes that have been up, with all links mended, for the bound.
    fn settled(&self) -> BTreeSet<u32> {
        let Some(healed) = self.healed() else { return BTreeSet::new() };
        let long = |since: &Option<Micros>| {
            since.is_some_and(|since| since.max(healed) + self.bound <= self.plan.end())
        };
        let up = self.up_at_end();
        (0u32..).zip(up).filter(|(_, since)| long(since)).map(|(node, _)| node).collect()
    }
}

/// Rounds of comparisons after which what one node knows has reached all: with each node comparing
/// itself with a random other one, those who lack it more than halve in a round (Demers et al.:
/// "Epidemic algorithms for replicated database maintenance", PODC 1987); of nine nodes some may
/// be down, and are asked in vain.
const ROUNDS: Micros = 6;

macro_rules! catalogue {
    ($($module:ident),+ $(,)?) => {
        /// All of them.
        pub const CATALOGUE: &[Invariant] = &[$($module::INVARIANT),+];
    };
}

catalogue![
    registry_linearizable,
    nothing_lost,
    one_history,
    promises_kept,
    bundles_in_use,
    epochs_grow,
    converges,
    words_kept,
    gone_for_good,
    counts_once,
    every_event_judged,
    judged_once,
    kept_on_disk,
    events_in_order,
    effects_in_order,
    one_owner,
    falls_back,
    learned_returns,
    two_of_three,
    tree_whole,
    queues_bounded,
    shedding_counted,
    strangers_stay_out,
    certificates_change,
    sound,
    serves_again,
];

/// What should happen in some run, or the runs say nothing of it.
pub const SOMETIMES: [(&str, &str); 16] = [
    ("leader-changed", "another node began to lead"),
    ("split-vote", "an election ended without a leader"),
    ("stale-owner-refused", "an effect of a former owner was refused"),
    ("lease-lapsed", "an owner stopped since its lease had lapsed"),
    ("renewal-refused", "a node asked for a lease of what it does not own"),
    ("snapshot-installed", "a node was so far behind that it got a snapshot"),
    ("shed", "events found no room and were shed"),
    ("known-record-told-again", "a record was told that was known"),
    ("difference-repaired", "a comparison repaired a difference"),
    ("closed-threat-collected", "a closed threat was removed for good"),
    ("away-node-threw-away", "a node that was away for long threw its state away"),
    ("gossip-of-another-floor-refused", "nodes with different floors met"),
    ("event-known-by-its-offset", "events came again and were not judged again"),
    ("supervisor-escalated", "a supervisor gave up and its own one mended it"),
    ("disk-error-ended-node", "a disk failed and its node ended"),
    ("rules-decided", "the rules decided alone"),
];

/// Invariants of which real processes show enough, seen from outside.
const FROM_OUTSIDE: &[&str] = &["R1", "R2", "R3", "R6", "C3", "C4", "E4", "O2", "M1", "X1", "X2"];

/// Invariants that are about what lies on disks: of processes, and of nodes in one process.
const OF_DISKS: &[&str] = &["E4", "R4"];

/// Invariants of what stands between nodes and others, of which the virtual world has nothing.
const OF_DOORS: &[&str] = &["A1", "A2"];

/// Invariants of nodes in one process, whose detection has no learned models there.
const OF_NODES: &[&str] = &[
    "R1", "R2", "R3", "R4", "R6", "C3", "C4", "E1", "E2", "E3", "E4", "D3", "O1", "O2", "A1", "A2",
    "X1", "X2",
];

/// Goals that nodes in one process can reach.
const GOALS_OF_NODES: &[&str] = &[
    "leader-changed",
    "split-vote",
    "stale-owner-refused",
    "lease-lapsed",
    "snapshot-installed",
    "disk-error-ended-node",
];

/// Goals that are seen from outside.
const GOALS_FROM_OUTSIDE: &[&str] = &["leader-changed", "split-vote", "disk-error-ended-node"];

/// Whether an invariant is judged in a world.
pub fn is_judged(id: &str, world: World) -> bool {
    match world {
        World::Processes => FROM_OUTSIDE.contains(&id),
        World::InProcess => OF_NODES.contains(&id),
        _ => !OF_DISKS.contains(&id) && !OF_DOORS.contains(&id),
    }
}

/// Whether a goal can be seen in a world.
pub fn is_seen(goal: &str, world: World) -> bool {
    match world {
        World::Processes => GOALS_FROM_OUTSIDE.contains(&goal),
        World::InProcess => GOALS_OF_NODES.contains(&goal),
        World::Virtual | World::All => true,
    }
}

/// The finding of each invariant.
pub fn check(plan: &Plan, journal: &Journal, said: &Invariants) -> Vec<(&'static str, Finding)> {
    let one = |invariant: &Invariant| {
        let bound = said.bound(invariant.id, invariant.bound.unwrap_or_default());
        let bound = bound.as_micros() as Micros;
        if !is_judged(invariant.id, plan.world) {
            return (invariant.id, Finding::NotJudged);
        }
        (invariant.id, (invariant.check)(&Case { plan, journal, bound }))
    };
    CATALOGUE.iter().map(one).collect()
}

#[cfg(test)]
mod test_bench;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_has_its_own_name_and_lists_name_no_other() {
        let all: BTreeSet<&str> = CATALOGUE.iter().map(|i| i.id).collect();
        assert_eq!(all.len(), CATALOGUE.len(), "two have one name");
        for list in [FROM_OUTSIDE, OF_DISKS, OF_DOORS, OF_NODES] {
            assert!(list.iter().all(|id| all.contains(id)), "{list:?}");
        }
        let goals: BTreeSet<&str> = SOMETIMES.iter().map(|(id, _)| *id).collect();
        for list in [GOALS_OF_NODES, GOALS_FROM_OUTSIDE] {
            assert!(list.iter().all(|id| goals.contains(id)), "{list:?}");
        }
    }
}
