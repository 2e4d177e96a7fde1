//! How closed records go for good.
//!
//! A closed record is a tombstone: a node that does not know that it was closed would bring it back
//! open. So nodes agree on a **floor** in the control log ([`Floor`]): a time, the retention before
//! now. Records that were closed and last spoken of at or before it are gone at every node whose
//! floor that is. Nodes exchange records only while their floors are equal (who is behind reads the
//! log first), so digests of those that collected and of those that did not are never compared.
//!
//! Why nothing comes back. A node counts its changes, keeps with each record the number of its last
//! change, and notes for each other node up to which number that one has all of it on its disk: it
//! does when a comparison went through ([`ThreatState::told`]). With a new floor it removes a
//! record below it only if each member has it as it is. A record that some member may lack is
//! *lifted* instead: its close counts as made just after the floor, and the next floor finds it
//! again. So whoever moves to the floor has each record that another one removed as closed as that
//! one, or closed later, or opened again, and a join never undoes what was said. A message that is
//! late or repeated bears its sender's floor and is refused under a newer one. (This is causal
//! stability: Baquero, Almeida, Shoker, "Making operation-based CRDTs operation-based", 2014. What
//! it lacks, and Cassandra's `gc_grace_seconds` has, is that a dead node must not hold up
//! collection for ever.)
//!
//! So the floor names who is **away**: a member that does not answer the leader, and that lacks
//! what the leader knew at the floor. Others do not wait for it. When it is back, the first thing
//! that it reads in the log is that it was away. It throws away all that some other member had of
//! it, since any of that may have been closed and removed meanwhile, and takes from others what is
//! there still. What changed here since nobody else can have: it stays, and merges. Of that, what
//! was closed is lifted; the one thing that can get lost is that somebody else opened the very same
//! threat again before the floor. Who was away stays so for later floors until a comparison under
//! this one went through: notes of what it has are void.
//!
//! Choosing the floor, and who is away, is a matter of use and not of safety: whatever the leader
//! chooses, records that were not told are kept. It takes the earliest of the times at which
//! members that answer had all of it, by the clocks of both, so that one wrong clock does not
//! collect early.
//!
//! Not covered: a file that is put back from a backup older than the retention.

use super::limits::FLOOR_STEPS;
use super::{Kept, Record, Status, ThreatState, hash};
use crate::control_log::Settings;
use crate::digest::Place;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use threat::mutants::{Mutant, is_live};
use threat::{Text, ThreatId, Timestamp};

/// Below what closed records are gone, as all agree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Floor {
    /// What was closed and last spoken of then or before is gone.
    pub at: Timestamp,
    /// Members that were not waited for.
    pub away: BTreeSet<u64>,
}

impl Floor {
    /// The flag of the control log that has it. Nobody sets it but [`Command::RaiseFloor`].
    ///
    /// [`Command::RaiseFloor`]: crate::control_log::Command::RaiseFloor
    pub const FLAG: &str = "threats.floor";

    /// The floor that is agreed on, if any is.
    pub fn of(settings: &Settings) -> Option<Self> {
        let (at, away) = settings.flags().get(Self::FLAG)?.split_once(' ')?;
        let away = away.split(',').filter(|id| !id.is_empty()).map(str::parse);
        Some(Self {
            at: Timestamp::from_micros(at.parse().ok()?),
            away: away.collect::<Result<_, _>>().ok()?,
        })
    }

    /// The value of its flag.
    pub(crate) fn text(&self) -> Text {
        let away: Vec<String> = self.away.iter().map(u64::to_string).collect();
        format!("{} {}", self.at.micros(), away.join(",")).into()
    }
}

/// Up to where another node has all that is known here on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The number of the last change that it has.
    sequence: u64,
    /// When it had it, by the earlier of both clocks.
    at: Timestamp,
}

/// What has to be stored beside the records, with them or after them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The floor, if there was any.
    floor: Option<Timestamp>,
    /// By node.
    told: BTreeMap<u64, Told>,
}

/// Where a state was when a comparison began.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    sequence: u64,
    floor: Option<Timestamp>,
    at: Timestamp,
}

/// What became of records by collection, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Closed, and removed since all have them.
    pub collected: u64,
    /// Closed, and kept for one more floor since not all have them.
    pub kept: u64,
    /// Thrown away since this node was away for too long.
    pub thrown_away: u64,
    /// Told by others although they lie below the floor, and refused.
    pub below: u64,
}

/// Where collection stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Collection {
    pub floor: Option<Timestamp>,
    /// The number of the last change.
    pub sequence: u64,
    told: BTreeMap<u64, Told>,
    /// Removed here and not yet from the disk.
    gone: BTreeSet<ThreatId>,
    unstored: bool,
    stored: Option<Timestamp>,
    pub counts: Collected,
}

/// Seconds between two times at which notes are stored that say nothing but a later time.
const STORE_AGAIN_SECS: f64 = 600.0;

impl ThreatState {
    /// Below what closed records are gone here.
    pub const fn floor(&self) -> Option<Timestamp> {
        self.collection.floor
    }

    /// What became of records by collection.
    pub const fn collected(&self) -> Collected {
        self.collection.counts
    }

    /// Where the state is at wall time `now`.
    pub const fn mark(&self, now: Timestamp) -> Mark {
        Mark { sequence: self.collection.sequence, floor: self.collection.floor, at: now }
    }

    /// Notes that a node has on its disk all that was known here at a mark: a comparison that began
    /// then went through with nothing left out. `theirs` is that node's wall time when it began.
    pub fn told(&mut self, node: u64, mark: Mark, theirs: Timestamp) {
        let own = &mut self.collection;
        if mark.floor != own.floor {
            return;
        }
        let told = Told { sequence: mark.sequence, at: mark.at.min(theirs) };
        let before = own.told.insert(node, told);
        let late = own.stored.is_none_or(|at| told.at.since(at) > STORE_AGAIN_SECS);
        own.unstored |= late || before.is_none_or(|b| b.sequence != told.sequence);
    }

    /// The floor to be agreed on next, of those that lie `retention` back; none when it would be of
    /// no use, or when a member that answers is not known to have all of it yet.
    pub fn next_floor(
        &self,
        now: Timestamp,
        retention: Duration,
        members: &BTreeSet<u64>,
        answering: &BTreeSet<u64>,
    ) -> Option<Floor> {
        let told = |node: &u64| self.collection.told.get(node).map(|told| told.at);
        let mut sure = now;
        for member in members.intersection(answering) {
            sure = sure.min(told(member)?);
        }
        let back = |from: Timestamp, by: Duration| {
            Timestamp::from_micros(from.micros().saturating_sub_unsigned(by.as_micros() as u64))
        };
        let at = back(sure, retention);
        let soon = self.floor().is_some_and(|floor| back(at, retention / FLOOR_STEPS) < floor);
        if soon || !self.iter().any(|record| is_below(record, at)) {
            return None;
        }
        let silent = members.difference(answering);
        let away = silent.filter(|node| told(node).is_none_or(|has| has < at)).copied().collect();
        Some(Floor { at, away })
    }

    /// Moves to a floor that is agreed on, as the node `me` of these members; false when it is
    /// there already.
    pub fn advance(&mut self, floor: &Floor, me: u64, members: &BTreeSet<u64>) -> bool {
        if self.floor() >= Some(floor.at) {
            return false;
        }
        let others = members.iter().filter(|id| **id != me && !floor.away.contains(id));
        let told = others.map(|id| self.collection.told.get(id).map(|told| told.sequence));
        let away = floor.away.contains(&me) && !is_live(Mutant::AwayKeepsAll);
        // Absent is less than any number.
        let has = if away { told.max().flatten() } else { told.min().unwrap_or(Some(u64::MAX)) };
        let has = if is_live(Mutant::ClosedRemovedEarly) { Some(u64::MAX) } else { has };
        let below = |kept: &Kept| is_below(&kept.record, floor.at);
        let touched = self.records.iter().filter(|(_, kept)| away || below(kept));
        let touched: Vec<(ThreatId, bool, bool)> =
            touched.map(|(id, kept)| (*id, has >= Some(kept.sequence), below(kept))).collect();
        self.collection.floor = Some(floor.at);
        self.collection.told.retain(|node, _| !floor.away.contains(node));
        self.collection.unstored = true;
        for (id, known, below) in touched {
            let counts = &mut self.collection.counts;
            match (known, below) {
                (true, _) if away => counts.thrown_away += 1,
                (true, _) => counts.collected += 1,
                (false, true) => counts.kept += 1,
                (false, false) => continue,
            }
            let kept =
                if known || !is_live(Mutant::KeptNotLifted) { self.remove(id) } else { None };
            if let Some(kept) = kept
                && !known
            {
                self.lift(kept.record, floor.at);
            }
        }
        true
    }

    fn remove(&mut self, id: ThreatId) -> Option<Kept> {
        let kept = self.records.remove(&id)?;
        self.digests.toggle(Place::of(id), kept.hash);
        self.bytes -= kept.bytes as usize;
        self.changed.remove(&id);
        self.unstored.remove(&id);
        self.collection.gone.insert(id);
        Some(*kept)
    }

    fn lift(&mut self, mut record: Record, floor: Timestamp) {
        let id = record.id;
        record.lift(floor);
        // A record that had bytes has them.
        let Ok((hash, bytes)) = hash(&self.key, &record) else { return };
        self.collection.sequence += 1;
        let sequence = self.collection.sequence;
        self.digests.toggle(Place::of(id), hash);
        self.bytes += bytes as usize;
        self.records.insert(id, Box::new(Kept { record, hash, bytes, sequence }));
        self.changed.insert(id);
        self.unstored.insert(id);
        self.collection.gone.remove(&id);
    }

    /// Goes on from what was stored, before any record is restored.
    pub fn resume(&mut self, marks: Marks) {
        let last = marks.told.values().map(|told| told.sequence).max();
        self.collection.sequence = self.collection.sequence.max(last.unwrap_or_default());
        (self.collection.floor, self.collection.told) = (marks.floor, marks.told);
    }

    /// The records to be removed from the disk, before others are stored.
    pub fn take_gone(&mut self) -> BTreeSet<ThreatId> {
        std::mem::take(&mut self.collection.gone)
    }

    /// What is to be stored beside the records of [`Self::take_unstored`], if it changed.
    pub fn take_marks(&mut self) -> Option<Marks> {
        let own = &mut self.collection;
        if !std::mem::replace(&mut own.unstored, false) {
            return None;
        }
        own.stored = own.told.values().map(|told| told.at).max();
        Some(Marks { floor: own.floor, told: own.told.clone() })
    }
}

/// Whether a record is closed and was last spoken of at a time or before. The join of two that are
/// not is not, either: who closed it last is one of them.
pub(super) fn is_below(record: &Record, at: Timestamp) -> bool {
    (record.status() == Status::Closed || is_live(Mutant::OpenRemovedToo))
        && record.handling().and_then(super::Handling::last).is_some_and(|last| last.wall <= at)
}

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
