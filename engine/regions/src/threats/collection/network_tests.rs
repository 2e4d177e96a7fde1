//! Nodes over a bad network, with disks that lose what was not stored.

use super::super::tests::fresh;
use super::super::{Count, Error, Said, Status, Taken, ThreatState};
use super::*;
use crate::anti_entropy::{answer, begin};
use crate::clock::{HybridClock, Replica, Stamp};
use std::collections::VecDeque;
use threat::entropy::Rng;

/// Seconds for which closed records are kept in these tests.
const RETENTION: i64 = 40;
const NODES: usize = 5;
const THREATS: u8 = 60;
pub(super) const SECOND: i64 = 1_000_000;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND)
}

/// What is on a node's disk.
#[derive(Default)]
struct Disk {
    records: BTreeMap<ThreatId, (Record, u64)>,
    marks: Marks,
}

pub(super) struct Node {
    id: u64,
    pub(super) state: ThreatState,
    clock: HybridClock,
    disk: Disk,
    /// With whom it can speak.
    part: usize,
    /// When each record last became another one, as it was seen.
    changed: BTreeMap<ThreatId, (i64, Record)>,
    /// When each other node last had all of it on its disk.
    whole: [i64; NODES],
}

impl Node {
    pub(super) fn new(id: u64) -> Self {
        let clock = HybridClock::new(Replica { node: id, incarnation: 1 }, Stamp::default());
        let (state, disk, changed) = (ThreatState::new([1; 32]), Disk::default(), BTreeMap::new());
        Self { id, state, clock, disk, part: 0, changed, whole: [-1; NODES] }
    }

    pub(super) fn store(&mut self) {
        for id in self.state.take_gone() {
            self.disk.records.remove(&id);
        }
        let records = &mut self.disk.records;
        self.state.take_unstored(|record, sequence| {
            records.insert(record.id, (record.clone(), sequence));
        });
        if let Some(marks) = self.state.take_marks() {
            self.disk.marks = marks;
        }
    }

    /// What was not on the disk is lost.
    pub(super) fn crash(&mut self) {
        let counts = self.state.collection.counts;
        self.state = ThreatState::new([1; 32]);
        self.state.resume(self.disk.marks.clone());
        for (record, sequence) in self.disk.records.values() {
            self.state.restore(record.clone(), *sequence).unwrap();
        }
        self.state.collection.counts = counts;
    }
}

struct World {
    rng: Rng,
    now: i64,
    nodes: Vec<Node>,
    /// The floor that is agreed on.
    log: Option<Floor>,
    wire: Vec<(usize, Option<Timestamp>, Record)>,
    /// All that was ever said, joined.
    truth: ThreatState,
    /// What a node that was away knew alone, which may come back.
    news: BTreeSet<ThreatId>,
    closed: BTreeSet<ThreatId>,
    /// Under which floor a node first removed it as closed.
    removed: BTreeMap<ThreatId, Timestamp>,
    refused: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            now: 0,
            nodes: (0..NODES as u64).map(Node::new).collect(),
            log: None,
            wire: Vec::new(),
            truth: ThreatState::new([1; 32]),
            news: BTreeSet::new(),
            closed: BTreeSet::new(),
            removed: BTreeMap::new(),
            refused: 0,
        }
    }

    /// A node sees something, or a person says something there.
    fn work(&mut self, who: usize) {
        let newest = (self.now / 12).min(i64::from(THREATS) - 1);
        let n = (newest - self.rng.below(6) as i64).max(0) as u8;
        let node = &mut self.nodes[who];
        let mut record = fresh(n, 0);
        let id = record.id;
        if self.rng.below(2) == 0 {
            let count = Count { source: node.id, segment: 0, offset: self.now as u64, verdicts: 1 };
            record.count(count);
            node.state.take(record.clone()).unwrap();
            self.truth.take(record).unwrap();
        } else {
            let status = if self.rng.below(8) == 0 { Status::InProgress } else { Status::Closed };
            let stamp = node.clock.tick(at(self.now));
            let said = Said { status: Some(status), ..Said::default() };
            if matches!(node.state.handle(id, &said, stamp), Err(Error::Unknown { .. })) {
                return;
            }
            self.truth.handle(id, &said, stamp).unwrap();
            if status == Status::Closed {
                self.closed.insert(id);
            }
        }
        // What is acknowledged is on the disk.
        node.store();
    }

    /// Tells what changed: lost, once or twice; it arrives at some time, in any order.
    fn tell(&mut self, who: usize) {
        let floor = self.nodes[who].state.floor();
        for told in self.nodes[who].state.take_changed(8, usize::MAX) {
            for to in (0..NODES).filter(|to| *to != who) {
                if self.nodes[to].part == self.nodes[who].part {
                    for _ in 0..self.rng.below(8).saturating_sub(5) {
                        self.wire.push((to, floor, told.clone()));
                    }
                }
            }
        }
    }

    fn deliver(&mut self, most: usize) {
        while self.wire.len() > most {
            let at_ = self.rng.below(self.wire.len());
            let (to, floor, told) = self.wire.swap_remove(at_);
            let node = &mut self.nodes[to];
            if floor != node.state.floor() {
                self.refused += 1;
                continue;
            }
            let taken = node.state.receive(told, &mut node.clock, at(self.now)).unwrap();
            assert_ne!(taken, Taken::Below, "nobody keeps what is below its floor");
        }
    }

    /// A comparison that `a` begins; it may end anywhere.
    fn compare(&mut self, a: usize, b: usize) {
        let [one, two] = self.nodes.get_disjoint_mut([a, b]).unwrap();
        if one.part != two.part || one.state.floor() != two.state.floor() {
            return;
        }
        let now = at(self.now);
        let (mark, mut whole) = (one.state.mark(now), true);
        let mut queue = VecDeque::from([begin(&one.state)]);
        while let Some(message) = queue.pop_front() {
            if self.rng.below(12) == 0 {
                return;
            }
            let there = answer(&mut two.state, &mut two.clock, now, message);
            two.store();
            whole &= !there.cut && !there.lacks;
            for message in there.messages {
                let here = answer(&mut one.state, &mut one.clock, now, message);
                one.store();
                whole &= !here.cut;
                queue.extend(here.messages);
            }
        }
        if whole {
            one.state.told(two.id, mark, now);
            one.store();
            one.whole[b] = self.now;
        }
    }

    fn raise(&mut self) {
        // Only the part of the majority has a leader, which has applied what was agreed on.
        let leader = self.rng.below(3);
        self.apply(leader);
        let members: BTreeSet<u64> = (0..NODES as u64).filter(|id| *id != leader as u64).collect();
        let part = self.nodes[leader].part;
        let answers = self.nodes.iter().filter(|n| n.part == part).map(|n| n.id);
        let answers = answers.filter(|_| self.rng.below(10) > 0).collect();
        let retention = Duration::from_secs(RETENTION as u64);
        let state = &self.nodes[leader].state;
        if let Some(next) = state.next_floor(at(self.now), retention, &members, &answers) {
            self.log = Some(next);
        }
    }

    fn apply(&mut self, who: usize) {
        let Some(floor) = &self.log else { return };
        let node = &mut self.nodes[who];
        let members = (0..NODES as u64).collect();
        let before: BTreeSet<ThreatId> = node.state.iter().map(|r| r.id).collect();
        if !node.state.advance(floor, node.id, &members) {
            return;
        }
        if floor.away.contains(&node.id) {
            let others = (0..NODES as u64).filter(|id| !floor.away.contains(id));
            let contact = others.map(|id| node.whole[id as usize]).max().unwrap();
            let changed = node.changed.iter().filter(|(_, (when, _))| *when >= contact);
            self.news.extend(changed.map(|(id, _)| *id));
        } else {
            for id in before.into_iter().filter(|id| node.state.get(*id).is_none()) {
                self.removed.entry(id).or_insert(floor.at);
            }
        }
    }

    /// Takes note of what is another record than it was.
    fn watch(&mut self) {
        for node in &mut self.nodes {
            for record in node.state.iter() {
                if node.changed.get(&record.id).is_none_or(|(_, known)| known != record) {
                    node.changed.insert(record.id, (self.now, record.clone()));
                }
            }
        }
    }

    /// Cuts the last two nodes off, or one of them, for a short or a long time.
    fn cut(&mut self, until: &mut i64) {
        if self.now >= *until {
            self.nodes.iter_mut().for_each(|n| n.part = 0);
            let long = self.rng.below(2) as i64 * 2 * RETENTION;
            *until = self.now + 20 + self.rng.below(60) as i64;
            if self.rng.below(2) == 0 {
                *until += long;
                let alone = 3 + self.rng.below(2);
                for who in if long > 0 { 3..NODES } else { alone..alone + 1 } {
                    self.nodes[who].part = 1;
                }
            }
        }
    }

    fn step(&mut self, works: bool) {
        self.now += 1;
        for who in 0..NODES {
            if works && self.rng.below(3) == 0 {
                self.work(who);
            }
            self.tell(who);
            if self.rng.below(3) == 0 {
                self.nodes[who].store();
            }
            if self.rng.below(100) == 0 {
                self.nodes[who].crash();
            }
            if self.nodes[who].part == 0 && self.rng.below(3) == 0 {
                self.apply(who);
            }
            let other = self.rng.below(NODES);
            if other != who && (!works || self.rng.below(8) == 0) {
                self.compare(who, other);
            }
        }
        self.deliver(40);
        // When it is quiet there is time between two floors for all to compare, as in use.
        if self.now % (if works { 3 } else { 25 }) == 0 {
            self.raise();
        }
        self.watch();
        self.check();
    }

    /// Nothing that was removed is open again, but for news.
    fn check(&self) {
        for (id, under) in &self.removed {
            let is_closed = self.truth.get(*id).is_some_and(|r| r.status() == Status::Closed);
            if is_closed && !self.news.contains(id) {
                for node in self.nodes.iter().filter(|n| n.state.floor() >= Some(*under)) {
                    let status = node.state.get(*id).map(Record::status);
                    assert!(
                        status.is_none_or(|s| s == Status::Closed),
                        "{id} is back at {} at {}",
                        node.id,
                        self.now
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_collected_returns_and_nothing_else_is_lost_whatever_the_network_does() {
    let (mut collected, mut thrown_away, mut refused, mut news, mut kept) = (0, 0, 0, 0, 0);
    for seed in 0..30 {
        let mut world = World::new(seed);
        let mut until = 50;
        for _ in 0..900 {
            world.cut(&mut until);
            world.step(true);
        }
        world.nodes.iter_mut().for_each(|n| n.part = 0);
        for _ in 0..8 * RETENTION {
            world.step(false);
        }
        // What is on its way arrives, if it may, and all compare.
        world.deliver(0);
        for _ in 0..200 {
            let (a, b) = (world.rng.below(NODES), world.rng.below(NODES));
            world.apply(a);
            if a != b {
                world.compare(a, b);
            }
        }
        let all = world.nodes[0].state.digests();
        assert!(world.nodes.iter().all(|n| n.state.digests() == all), "seed {seed}");
        for record in world.truth.iter() {
            let (id, is_news) = (record.id, world.news.contains(&record.id));
            let found = world.nodes[0].state.get(id);
            if !world.closed.contains(&id) {
                assert_eq!(found, Some(record), "seed {seed}: changed or lost");
            } else if record.status() == Status::Closed {
                assert!(found.is_none() || is_news, "seed {seed}: not collected");
            } else if !is_news && !world.removed.contains_key(&id) {
                assert_eq!(found, Some(record), "seed {seed}: opened again and lost");
            }
            news += usize::from(is_news && found.is_some());
        }
        let counts = world.nodes.iter().map(|n| n.state.collected());
        for count in counts {
            collected += count.collected;
            thrown_away += count.thrown_away;
            kept += count.kept;
        }
        refused += world.refused;
    }
    assert!(collected > 1_000 && thrown_away > 100 && kept > 0 && refused > 100 && news > 0);
}
