//! The way of events: a node takes a batch in, hands each event to the owner of its entity, the
//! owner judges it, writes the verdict down, has copies placed and answers. As `node::datapath`
//! does it.

use super::consensus::Asker;
use super::node::Running;
use super::{Body, Event, Lane, Timer, Told, World};
use crate::journal::{Judged, Truth, What};
use crate::plan::{MILLI, Micros, SECOND};
use flow::admission::{Decision, Patience, Priority};
use regions::threats::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use threat::entropy::mix64;

/// How long an append is worked on before its sender hears that it waits.
const APPEND_TIME: Micros = 3 * SECOND;
/// Pause before events are offered again whose owner did not take them.
const AGAIN: Micros = 100 * MILLI;
/// Appends that a node works on at a time.
const APPENDS: usize = 32;
/// Parts that wait for copies to be placed; older ones are forgotten, and asked for again.
const PLACING: usize = 256;

/// Events of one source, after one another.
#[derive(Debug)]
pub struct Batch {
    pub source: u32,
    pub start: u64,
    /// Hosts, and what each event is.
    pub events: Vec<(u32, Truth)>,
    /// Whether the source cannot wait.
    pub hasty: bool,
}

impl Batch {
    pub fn end(&self) -> u64 {
        self.start + self.events.len() as u64
    }
}

/// Some events of a batch, for one owner.
#[derive(Debug)]
pub struct Part {
    pub ticket: u64,
    pub batch: Rc<Batch>,
    /// Places of the events in the batch.
    pub rows: Vec<u32>,
    pub taken: Micros,
}

/// What an owner says of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    Judged,
    NotOwner,
    Waits,
    Shed,
}

/// Copies of verdicts for another node.
#[derive(Debug)]
pub struct Copies {
    pub ledger: Vec<((u32, u32), u64)>,
    pub threats: Vec<Record>,
}

#[derive(Debug)]
struct Append {
    client: (usize, u64),
    batch: Rc<Batch>,
    taken: Micros,
    began: Micros,
    pending: Vec<bool>,
    /// Parts on their way: ticket and rows.
    asked: BTreeMap<u64, Vec<u32>>,
    shed: bool,
    /// It will be offered again.
    retries: bool,
}

/// A part whose verdicts are on this disk and whose copies are placed.
#[derive(Debug)]
struct Placing {
    from: (usize, u64),
    need: usize,
}

/// A part that was judged and is being written.
#[derive(Debug)]
pub struct Recorded {
    pub part: Rc<Part>,
    pub from: usize,
    pub verdicts: Vec<Judged>,
    pub threats: Vec<Record>,
    pub ends: Vec<((u32, u32), u64)>,
}

/// What a node has of events.
#[derive(Debug, Default)]
pub struct Data {
    appends: BTreeMap<u64, Append>,
    /// Whose part a ticket is.
    parts: BTreeMap<u64, u64>,
    placing: BTreeMap<u64, Placing>,
    pub recording: BTreeMap<u64, Recorded>,
}

/// The shard of a host.
pub fn shard(host: u32) -> u32 {
    (mix64(u64::from(host)) % u64::from(regions::spread::SHARDS)) as u32
}

impl World<'_> {
    /// A client's batch.
    pub(super) fn append(&mut self, run: &mut Running, asker: Asker, batch: Rc<Batch>) {
        let Asker::Client(client, ticket) = asker else { return };
        if run.data.appends.len() >= APPENDS {
            return self.tell_client(client, ticket, Told::Waits);
        }
        let began = self.nodes[run.me].local(self.now);
        let append = Append {
            client: (client, ticket),
            pending: vec![true; batch.events.len()],
            batch,
            taken: self.now,
            began,
            asked: BTreeMap::new(),
            shed: false,
            retries: false,
        };
        let own = self.ticket();
        run.data.appends.insert(own, append);
        self.timer(run, APPEND_TIME, Timer::Again(own));
        self.offer(run, own);
    }

    /// Hands what is pending to the owners.
    fn offer(&mut self, run: &mut Running, ticket: u64) {
        let Some(append) = run.data.appends.get(&ticket) else { return };
        let (batch, taken) = (Rc::clone(&append.batch), append.taken);
        let mut portions: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (row, _) in append.pending.iter().enumerate().filter(|(_, p)| **p) {
            if let Some(owner) = run.ownership.of_shard(shard(batch.events[row].0)) {
                portions.entry(owner.node).or_default().push(row as u32);
            }
        }
        for (owner, rows) in portions {
            let Some(to) = self.place_of(owner) else { continue };
            let part = self.ticket();
            let Some(append) = run.data.appends.get_mut(&ticket) else { return };
            append.asked.insert(part, rows.clone());
            run.data.parts.insert(part, ticket);
            let part = Rc::new(Part { ticket: part, batch: Rc::clone(&batch), rows, taken });
            if to == run.me {
                self.part(run, run.me, &part);
            } else {
                self.send((run.me, to), Lane::Data, self.now, Body::Part(part));
            }
        }
        self.offer_again(run, ticket);
    }

    /// Once nobody is asked any more, what is pending is offered again after a pause.
    fn offer_again(&mut self, run: &mut Running, ticket: u64) {
        let Some(append) = run.data.appends.get_mut(&ticket) else { return };
        if append.asked.is_empty() && !append.retries {
            append.retries = true;
            self.timer(run, AGAIN, Timer::Again(ticket));
        }
    }

    /// Tries again what is pending, or gives up.
    pub(super) fn append_again(&mut self, run: &mut Running, ticket: u64) {
        let local = self.nodes[run.me].local(self.now);
        let Some(append) = run.data.appends.get_mut(&ticket) else { return };
        append.retries = false;
        if local >= append.began + APPEND_TIME {
            return self.finish_append(run, ticket, Told::Waits);
        }
        if append.asked.is_empty() {
            self.offer(run, ticket);
        }
    }

    fn finish_append(&mut self, run: &mut Running, ticket: u64, told: Told) {
        if let Some(append) = run.data.appends.remove(&ticket) {
            for part in append.asked.keys() {
                run.data.parts.remove(part);
            }
            self.tell_client(append.client.0, append.client.1, told);
        }
    }

    /// An owner has answered for a part.
    pub(super) fn parted(&mut self, run: &mut Running, _from: usize, part: u64, told: Parted) {
        let Some(ticket) = run.data.parts.remove(&part) else { return };
        let Some(append) = run.data.appends.get_mut(&ticket) else { return };
        let rows = append.asked.remove(&part).unwrap_or_default();
        match told {
            Parted::Judged => rows.iter().for_each(|row| append.pending[*row as usize] = false),
            Parted::Shed => append.shed = true,
            Parted::NotOwner | Parted::Waits => {}
        }
        let (left, shed) = (append.asked.len(), append.shed);
        let pending = append.pending.iter().any(|p| *p);
        if left > 0 {
            return;
        }
        if shed {
            self.finish_append(run, ticket, Told::Refused);
        } else if pending {
            self.offer_again(run, ticket);
        } else {
            self.finish_append(run, ticket, Told::Judged);
        }
    }

    fn answer_part(&mut self, run: &mut Running, (to, part): (usize, u64), told: Parted) {
        if to == run.me {
            self.parted(run, to, part, told);
        } else {
            self.send((run.me, to), Lane::Data, self.now, Body::Parted(part, told));
        }
    }

    /// Events for this node as their owner.
    pub(super) fn part(&mut self, run: &mut Running, from: usize, part: &Rc<Part>) {
        let back = (from, part.ticket);
        let mut epochs = BTreeMap::new();
        for row in &part.rows {
            let shard = shard(part.batch.events[*row as usize].0);
            let Some(workload) = run.ownership.workload_of(shard) else {
                return self.answer_part(run, back, Parted::NotOwner);
            };
            let Some(epoch) = run.ownership.acts(workload) else {
                return self.answer_part(run, back, Parted::NotOwner);
            };
            epochs.insert(workload, epoch);
        }
        let worst = part.rows.iter().map(|r| part.batch.events[*r as usize].1);
        let urgent = worst.clone().any(|truth| truth == Truth::KnownBad);
        let priority = if urgent { Priority::High } else { Priority::Normal };
        let patience = if part.batch.hasty { Patience::Cannot } else { Patience::Waits };
        let events = part.rows.len() as u64;
        match run.detection.offer(priority, events, patience) {
            Decision::Wait => self.answer_part(run, back, Parted::Waits),
            Decision::Shed(_) => {
                self.note(run.me, What::Sometimes("shed"));
                self.answer_part(run, back, Parted::Shed);
            }
            Decision::Accept => self.judge(run, from, Rc::clone(part), epochs),
        }
    }

    /// Verdicts of a part are on this disk: effects begin, copies go to others of the region.
    pub(super) fn recorded(&mut self, run: &mut Running, ticket: u64) {
        let Some(done) = run.data.recording.remove(&ticket) else { return };
        let workloads: BTreeSet<u32> = done.verdicts.iter().map(|v| v.workload).collect();
        for workload in workloads {
            if let Some(epoch) = run.ownership.acts(workload) {
                self.effect(run, workload, epoch);
            }
        }
        let home = self.plan.nodes[run.me].region;
        let present = run.log.nodes().present();
        let near: Vec<usize> = (0..self.nodes.len())
            .filter(|n| *n != run.me && self.plan.nodes[*n].region == home)
            .filter(|n| present.contains_key(&self.nodes[*n].id))
            .collect();
        let need = near.len().div_ceil(2);
        let back = (done.from, done.part.ticket);
        if need == 0 {
            return self.answer_part(run, back, Parted::Judged);
        }
        let keeping = self.ticket();
        run.data.placing.insert(keeping, Placing { from: back, need });
        if run.data.placing.len() > PLACING {
            run.data.placing.pop_first();
        }
        let copies = Rc::new(Copies { ledger: done.ends, threats: done.threats });
        for to in near {
            let body = Body::Keep(keeping, Rc::clone(&copies));
            self.send((run.me, to), Lane::Data, self.now, body);
        }
    }

    /// An effect in the world, right after it was seen that it may be.
    pub(super) fn effect(&mut self, run: &Running, workload: u32, epoch: u64) {
        self.note(run.me, What::Effect { workload, epoch });
        let drawn = self.plan.draw(40, (run.me as u64) << 32 | u64::from(workload), epoch);
        // Most are quick; some wait somewhere on the way, longer than any lease.
        let takes =
            if drawn.is_multiple_of(10) { drawn % (5 * SECOND) } else { drawn % (20 * MILLI) };
        self.push(self.now + takes, Event::Effect { node: run.me, workload, epoch });
    }

    /// The receiver hears of an effect.
    pub(super) fn received(&mut self, node: usize, workload: u32, epoch: u64) {
        let accepted = self.sink.admit(workload, epoch).is_ok();
        if !accepted {
            self.note(node, What::Sometimes("stale-owner-refused"));
        }
        self.note(node, What::Received { workload, epoch, accepted });
    }

    /// Copies of another node's verdicts.
    pub(super) fn keep(&mut self, run: &mut Running, from: usize, ticket: u64, copies: &Copies) {
        for record in &copies.threats {
            if let Err(error) = run.threats.take(record.clone()) {
                self.broken("X1", Some(run.me), format!("a copy is refused: {error}"));
            }
        }
        let at = self.commit(run);
        self.enter(run.me, &copies.ledger, at);
        self.send((run.me, from), Lane::Data, at, Body::Kept(ticket));
    }

    /// Writes a ledger's entries, durable at a time.
    pub(super) fn enter(&mut self, node: usize, ends: &[((u32, u32), u64)], at: Micros) {
        for (key, end) in ends {
            let known = self.nodes[node].disk.ledger.entry(*key).or_default();
            if *end > known.end {
                *known = super::disk::Judged { end: *end, at, before: known.durable(self.now) };
            }
        }
    }

    pub(super) fn kept(&mut self, run: &mut Running, _from: usize, ticket: u64) {
        let Some(placing) = run.data.placing.get_mut(&ticket) else { return };
        placing.need = placing.need.saturating_sub(1);
        if placing.need == 0 {
            let back = placing.from;
            run.data.placing.remove(&ticket);
            self.answer_part(run, back, Parted::Judged);
        }
    }
}
