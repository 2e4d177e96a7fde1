//! How evenly the cluster bears its work, as one number, and a few moves that raise it.
//!
//! The score is the product of three shares of all demand, each from 0 to 1, so that it is 1 only
//! when nothing is left to wish for:
//!
//! - *served*: what has a sound owner;
//! - *quick*: of that, what is owned in its home region, or in one that is within the latency bound
//!   of it;
//! - *even*: of that, what would stay where it is if every sound node bore the same share of its
//!   capacity: `1 - sum |load - mean fill * capacity| / (2 * sum load)`.
//!
//! Moves are found by steepest ascent: the move that raises the score most, then the next on the
//! state after it. A move costs its workload a change of owner, so each has to be worth it, few are
//! made at a time, and what has just moved stays. What has lost its owner is failover's.

mod score;

pub use score::Score;

use crate::control_log::{Command, ControlLog, Workload};
use crate::failover::{FULL, HOME_FULL};
use crate::placement::{Placement, Situation, Standing};
use score::Weights;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;
use threat::Text;

/// Moves in one round. Each loads a checkpoint; a round is over before the next one is planned.
pub const MOVES: usize = 8;

/// By how much each move has to raise the score: half of what one of as many equal workloads as
/// there may be can raise it by.
pub const MOVE_GAIN: f64 = 0.000_5;

/// By how much a round has to raise the score, or none of it is made: below, demand changes more
/// from one minute to the next.
pub const ROUND_GAIN: f64 = 0.005;

/// A workload that changed its owner stays for so long, so that what is measured of it is of this
/// owner.
pub const STAY: Duration = Duration::from_secs(60);

/// How far apart regions are, and how far is too far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Round trip from one region to another. One that is not known is taken for too far.
    pub between: BTreeMap<(Text, Text), Duration>,
    /// What a workload's events may take from their home to their owner and back.
    pub bound: Duration,
}

impl Latency {
    fn of(&self, home: &Text, region: &Text) -> Duration {
        if home == region {
            return Duration::ZERO;
        }
        let known = self.between.get(&(home.clone(), region.clone()));
        known.copied().unwrap_or(Duration::MAX)
    }

    fn quick(&self, home: &Text, region: &Text) -> bool {
        self.of(home, region) <= self.bound
    }
}

/// One workload's move between sound nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// Which.
    pub workload: u32,
    /// Its owner.
    pub from: u64,
    /// Its new owner.
    pub to: u64,
    /// The epoch that was seen; the log refuses the move when it is another by then.
    pub expected_epoch: u64,
    /// By how much it raises the score, after the moves before it.
    pub gain: f64,
}

impl Move {
    /// What to ask of the log.
    pub const fn command(&self) -> Command {
        let (workload, expected_epoch) = (self.workload, self.expected_epoch);
        Command::AssignWorkload { workload, owner: Some(self.to), expected_epoch }
    }
}

impl Display for Move {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { workload, from, to, expected_epoch, gain } = self;
        write!(f, "workload {workload}: node {from} -> node {to}, balance +{gain:.4}")?;
        write!(f, " (epoch {expected_epoch})")
    }
}

/// The balance of a cluster, and what would better it.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// As it is.
    pub before: Score,
    /// As it would be after the moves.
    pub after: Score,
    /// At most [`MOVES`], in this order, each workload at most once.
    pub moves: Vec<Move>,
}

impl Display for Round {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "balance {}", self.before)?;
        self.moves.iter().try_for_each(|m| writeln!(f, "{m}"))?;
        if self.moves.is_empty() { Ok(()) } else { writeln!(f, "balance then {}", self.after) }
    }
}

/// Plans one round. `moved` is when workloads changed their owners; `now` is of the same clock.
pub fn round(
    log: &ControlLog,
    situation: &Situation,
    latency: &Latency,
    moved: &BTreeMap<u32, Duration>,
    now: Duration,
) -> Round {
    let mut place = Placement::new(log, situation);
    let mut weights = Weights::of(&place, latency);
    let before = weights.score();
    let settled = |n: &u32| moved.get(n).is_none_or(|at| now.saturating_sub(*at) >= STAY);
    let mut may: BTreeSet<u32> = log.workloads().all().keys().copied().filter(settled).collect();
    let mut moves = Vec::new();
    while moves.len() < MOVES {
        let Some(best) = best_move(&place, &weights, latency, &may) else { break };
        may.remove(&best.workload);
        place.moved(best.workload, Some(best.from), best.to);
        weights = weights.after(&place, latency, &best);
        moves.push(best);
    }
    let after = weights.score();
    if after.value() - before.value() < ROUND_GAIN {
        return Round { before, after: before, moves: Vec::new() };
    }
    Round { before, after, moves }
}

/// The score as it is, without looking for moves.
pub fn score(log: &ControlLog, situation: &Situation, latency: &Latency) -> Score {
    Weights::of(&Placement::new(log, situation), latency).score()
}

fn best_move(
    place: &Placement<'_>,
    weights: &Weights,
    latency: &Latency,
    may: &BTreeSet<u32>,
) -> Option<Move> {
    let mut best: Option<Move> = None;
    for number in may {
        let workload = place.log.workloads().all().get(number)?;
        let Some(from) = workload.owner.filter(|o| place.standing(*o) == Standing::Sound) else {
            continue;
        };
        for region in targets(place, *number, workload, from, latency) {
            for to in place.takers(Some(region)).filter(|to| *to != from) {
                let demand = place.situation.demand(*number);
                if place.fill_with(to, demand) > HOME_FULL {
                    continue;
                }
                let expected_epoch = workload.epoch;
                let new = Move { workload: *number, from, to, expected_epoch, gain: 0.0 };
                let gain = weights.gain(place, latency, &new);
                if gain >= best.as_ref().map_or(MOVE_GAIN, |b| b.gain.next_up()) {
                    best = Some(Move { gain, ..new });
                }
            }
        }
    }
    best
}

/// Regions that the workload may be moved to: where it is; home, when home has its state; and the
/// failover region, when its owner bears too much and nobody at home has room. Failover would take
/// it home again otherwise. None where it would be too far, unless it was as far before.
fn targets<'a>(
    place: &Placement<'a>,
    number: u32,
    workload: &'a Workload,
    from: u64,
    latency: &Latency,
) -> Vec<&'a Text> {
    let Some(here) = place.region(from) else { return Vec::new() };
    let Workload { home, failover, .. } = workload;
    let mut targets = Vec::new();
    if here == home || here == failover {
        targets.push(here);
    }
    let demand = place.situation.demand(number);
    let has_state = |region| place.situation.has_state(number, region);
    if here != home && has_state(home) {
        targets.push(home);
    }
    let full = || place.fill_with(from, 0) > FULL;
    let no_room = || place.least_full(Some(home), demand, HOME_FULL).is_none();
    if here == home && failover != home && has_state(failover) && full() && no_room() {
        targets.push(failover);
    }
    let now = latency.of(home, here);
    targets.retain(|r| latency.quick(home, r) || latency.of(home, r) <= now);
    targets
}

#[cfg(test)]
mod tests;
