//! Writes threats to a node's disk, and looks on while they are removed for good: nobody may remove
//! what others who count lack, and nothing that was removed may come back as it was. At the end of
//! a run both would be hidden by whatever was said of the threat later.

use super::World;
use super::node::Running;
use crate::journal::What;
use crate::plan::Micros;
use regions::threats::collection::Floor;
use regions::threats::{Handling, Record, Status};
use std::collections::{BTreeMap, BTreeSet};
use threat::{ThreatId, Timestamp};

/// Threats that were closed and removed.
#[derive(Debug, Default)]
pub struct Gone {
    /// As they were, and under which floor: one may be removed more than once, as others each time.
    all: BTreeMap<ThreatId, Vec<(Record, Timestamp)>>,
    /// Those that a node which was away has still, since they changed after it was compared with
    /// another one for the last time: it cannot tell that others had the change.
    kept: BTreeSet<ThreatId>,
    /// Records of lost disks that one other node had then, at most. Who has the last copy of
    /// something and was away throws it away, not knowing that: two failures at once.
    lost: BTreeMap<ThreatId, Vec<Record>>,
}

impl Gone {
    /// Whether it was removed anywhere.
    pub fn has(&self, id: ThreatId) -> bool {
        self.all.contains_key(&id)
    }
}

/// Whether joining the second with the first adds nothing to it.
fn has_all(first: &Record, second: &Record) -> bool {
    matches!(first.clone().join(second), Ok(false))
}

impl World<'_> {
    /// Writes what changed to the disk; when it is durable.
    pub(super) fn commit(&mut self, run: &mut Running) -> Micros {
        let disk = &mut self.nodes[run.me].disk;
        let gone = run.threats.take_gone();
        let removed: Vec<Record> =
            gone.iter().filter_map(|id| Some(disk.threats.remove(id)?.0)).collect();
        let (threats, mut came) = (&mut disk.threats, Vec::new());
        let changed = &mut disk.changed;
        run.threats.take_unstored(|record, sequence| {
            *changed = sequence.max(*changed);
            let is_new = threats.insert(record.id, (record.clone(), sequence)).is_none();
            if is_new && self.gone.has(record.id) {
                came.push(record.clone());
            }
        });
        if let Some(marks) = run.threats.take_marks() {
            (disk.marks, disk.compared) = (marks, run.compared.clone());
        }
        if !removed.is_empty() {
            self.removed(run, removed);
        }
        for record in came {
            self.came(run, &record);
        }
        self.nodes[run.me].disk.time(self.now)
    }

    /// Moves to the floor that is agreed on.
    pub(super) fn settle(&mut self, run: &mut Running) {
        let Some(floor) = Floor::of(run.log.settings()) else { return };
        if run.threats.floor() >= Some(floor.at) {
            return;
        }
        let members = run.log.nodes().present().keys().copied().filter(|id| *id != run.id);
        let members: BTreeSet<u64> = members.collect();
        let before = run.threats.collected();
        if run.threats.advance(&floor, run.id, &members) {
            run.stamps.pass(floor.at);
            let after = run.threats.collected();
            if after.collected > before.collected {
                self.note(run.me, What::Sometimes("closed-threat-collected"));
            }
            if after.thrown_away > before.thrown_away {
                self.note(run.me, What::Sometimes("away-node-threw-away"));
            }
            self.kept_back(run, &floor);
            self.commit(run);
        }
    }

    /// A node's disk was lost with all that it had.
    pub(super) fn lost(&mut self, threats: &BTreeMap<ThreatId, (Record, u64)>) {
        for (id, (record, _)) in threats {
            let has = |node: &&super::Node| {
                node.disk.threats.get(id).is_some_and(|(known, _)| has_all(known, record))
            };
            if self.nodes.iter().filter(has).count() < 2 {
                self.gone.lost.entry(*id).or_default().push(record.clone());
            }
        }
    }

    /// A node removed records from its disk, moving to the floor that is agreed on.
    pub(super) fn removed(&mut self, run: &Running, records: Vec<Record>) {
        let Some(floor) = Floor::of(run.log.settings()) else { return };
        let away = floor.away.contains(&run.id);
        let others = run.log.nodes().present().keys().filter(|id| **id != run.id);
        let others: Vec<(usize, bool)> =
            others.filter_map(|id| Some((self.place_of(*id)?, !floor.away.contains(id)))).collect();
        for record in records {
            let has_it = |known: &Record| has_all(known, &record);
            let has = |node: usize| {
                let there = self.nodes[node].disk.threats.get(&record.id).map(|(known, _)| known);
                let gone = self.gone.all.get(&record.id).into_iter().flatten();
                let gone = gone.map(|(known, _)| known);
                there.into_iter().chain(gone).any(has_it)
            };
            let lacks = others.iter().find(|(node, counts)| *counts && !has(*node));
            let lacks = lacks.map(|(node, _)| *node);
            // Who was away throws away what anybody else has: another one that was away may be the
            // last one left, since it took all of it back before those that count were lost.
            let mut lost = self.gone.lost.get(&record.id).into_iter().flatten();
            let fine = match away {
                true => others.iter().any(|(n, _)| has(*n)) || lost.any(has_it),
                false => lacks.is_none(),
            };
            if !fine {
                let node = lacks.unwrap_or(run.me);
                let what = format!("threat {} was removed, and node {node} lacks it", record.id);
                self.broken("C6", Some(run.me), what);
            }
            if record.status() == Status::Closed && !away {
                if let Some(stamp) = record.handling().and_then(Handling::last) {
                    self.note(run.me, What::Collected(record.id, stamp));
                }
                self.gone.all.entry(record.id).or_default().push((record, floor.at));
            }
        }
    }

    /// A node has moved to a floor. One that was away has what changed after it was compared with
    /// another one for the last time; what those who are away had counts no more.
    pub(super) fn kept_back(&mut self, run: &mut Running, floor: &Floor) {
        let present = run.log.nodes().present();
        run.compared.retain(|id, _| !floor.away.contains(id));
        if floor.away.contains(&run.id) {
            let known = run.compared.iter().filter(|(id, _)| present.contains_key(id));
            let upto = known.map(|(_, number)| *number).max().unwrap_or_default();
            let threats = self.nodes[run.me].disk.threats.iter();
            let late = threats.filter(|(_, (_, sequence))| *sequence > upto);
            self.gone.kept.extend(late.map(|(id, _)| *id));
        }
    }

    /// A node has a record that it did not have.
    pub(super) fn came(&mut self, run: &Running, record: &Record) {
        let Some(gone) = self.gone.all.get(&record.id) else { return };
        // Events make a threat anew; what people said of it before may not come with it.
        let said = record.handling().is_some() && !self.gone.kept.contains(&record.id);
        let was = |(gone, floor): &(Record, Timestamp)| {
            run.threats.floor() >= Some(*floor) && has_all(gone, record)
        };
        if said && gone.iter().any(was) {
            let what = format!("threat {} came back, which was removed for good", record.id);
            self.broken("C6", Some(run.me), what);
        }
    }
}
