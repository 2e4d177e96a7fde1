//! How nodes share threats: what changed is told, what got lost is found by comparing, closed ones
//! are collected. As `cluster::replication` does it, message by message.

use super::consensus::Asker;
use super::node::Running;
use super::{Body, Lane, Timer, Told, World};
use crate::journal::What;
use crate::plan::{MILLI, Micros, SECOND, unit};
use regions::anti_entropy::{self, Message};
use regions::control_log::Command;
use regions::peer_time::PeerTime;
use regions::threats::collection::Mark;
use regions::threats::{Handling, Record, Said, Taken};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use threat::{ThreatId, Timestamp};

/// Times, as in production.
const ASK_TIME: Micros = 5 * SECOND;
const PROBE_EVERY: Micros = 200 * MILLI;
const ASKED_LATELY: Micros = SECOND;
/// Least time between two floors that one leader asks for.
const COLLECT_EVERY: Micros = 2 * SECOND;
/// Time without floors before the end of a run.
const QUIET: Micros = 10 * SECOND;
/// Messages of one comparison.
const STEPS: u8 = 8;
/// Bytes of one message that tells.
const TOLD_BYTES: usize = 1 << 20;

/// Gossip that its sender forgets: purpose of a drawn number.
const FORGET: u64 = 30;

/// Which comparison, and which step of it: an answer that comes late is not taken for another's.
pub type Step = (u64, u8);

/// The answer to a step of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// `None` when the floors differ.
    messages: Option<Vec<Message>>,
    of: Step,
    repaired: usize,
    cut: bool,
    lacks: bool,
    now: Timestamp,
}

/// A comparison that is under way.
#[derive(Debug)]
struct Comparing {
    number: u64,
    since: Micros,
    mark: Mark,
    /// The number of the last change at the mark, as the disk has it.
    changed: u64,
    floor: Option<Timestamp>,
    queue: VecDeque<Message>,
    step: u8,
    left_out: bool,
    theirs: Timestamp,
}

#[derive(Debug, Default)]
struct Link {
    member: bool,
    answers: bool,
    settled: bool,
    comparing: Option<Comparing>,
    /// Something was not told after the last comparison began.
    untold: bool,
    tried: Option<Micros>,
    asked: Option<Micros>,
    /// Batches that were told and not answered: which, and when.
    told: VecDeque<(u64, Micros)>,
}

/// What a node knows of the links to others.
#[derive(Debug)]
pub struct Links {
    all: Vec<Link>,
    times: PeerTime,
    draws: u64,
    told: u64,
    /// When this node asked for another floor last.
    pub raised: Micros,
}

impl Links {
    pub fn new(nodes: usize, seed: u64) -> Self {
        let (all, times) = ((0..nodes).map(|_| Link::default()).collect(), PeerTime::default());
        Self { all, times, draws: seed, told: 0, raised: 0 }
    }
}

impl World<'_> {
    /// The time that a node reckons with.
    fn wall(&self, run: &Running) -> Timestamp {
        let node = &self.nodes[run.me];
        let local = Duration::from_micros(node.local(self.now));
        run.links.times.bound(node.wall(self.now), local)
    }

    /// Others who are members. Who is none itself shares nothing: a node that lost its disk is
    /// another one, which nobody knows of until it is in the log.
    pub(super) fn members(&mut self, run: &mut Running) {
        let present = run.log.nodes().present();
        let joined = present.contains_key(&run.id);
        for at in 0..self.nodes.len() {
            let there = present.contains_key(&self.nodes[at].id);
            let member = joined && there && at != run.me;
            if run.links.all[at].member != member {
                run.links.all[at] = Link { member, ..Link::default() };
            }
        }
        self.settle(run);
    }

    /// A node is another one from now on, whom nobody knows.
    pub(super) fn is_another(&mut self, node: usize) {
        for running in self.nodes.iter_mut().filter_map(|other| other.run.as_mut()) {
            running.links.all[node] = Link::default();
        }
    }

    fn ids(&self, run: &Running, fits: impl Fn(&Link) -> bool) -> BTreeSet<u64> {
        let all = run.links.all.iter().enumerate();
        all.filter(|(_, l)| l.member && fits(l)).map(|(at, _)| self.nodes[at].id).collect()
    }

    /// What a leader would have the floor raised to.
    pub(super) fn next_floor(&mut self, run: &mut Running) -> Option<Command> {
        let retention = Duration::from_micros(self.plan.tuning.retention);
        if run.threats.is_empty() || self.plan.tuning.retention > self.plan.end() {
            return None;
        }
        // Nodes differ for a while after a floor. It is a change, as words are, and those end
        // before the time in which all have to come together.
        if self.now + QUIET > self.plan.end() {
            return None;
        }
        // As seldom as in production, where a floor outlives many comparisons.
        let local = self.nodes[run.me].local(self.now);
        if local < run.links.raised + COLLECT_EVERY {
            return None;
        }
        // By the log: one that lost its disk is another one, and its former self a member still.
        let members = run.log.nodes().present().keys().copied().filter(|id| *id != run.id);
        let members: BTreeSet<u64> = members.collect();
        let answering = self.ids(run, |link| link.answers);
        let now = self.wall(run);
        let floor = run.threats.next_floor(now, retention, &members, &answering)?;
        Some(Command::RaiseFloor { expected: run.threats.floor(), floor })
    }

    /// Tells what changed, and begins comparisons that are due.
    pub(super) fn gossip(&mut self, run: &mut Running) {
        self.settle(run);
        let local = self.nodes[run.me].local(self.now);
        for _ in 0..4 {
            let records = run.threats.take_changed(self.plan.tuning.told_records, TOLD_BYTES);
            if records.is_empty() {
                break;
            }
            self.tell(run, local, Rc::new(records));
        }
        for to in 0..self.nodes.len() {
            let link = &mut run.links.all[to];
            while link.told.front().is_some_and(|(_, at)| local > at + ASK_TIME) {
                link.told.clear();
                link.untold = true;
                (link.answers, link.settled) = (false, false);
            }
            if link.comparing.as_ref().is_some_and(|c| local > c.since + ASK_TIME) {
                (link.comparing, link.tried) = (None, Some(local));
                (link.answers, link.settled) = (false, false);
            }
            let waits = link.tried.is_some_and(|at| local < at + PROBE_EVERY);
            let behind = !link.settled || (link.untold && link.told.is_empty());
            if link.member && behind && link.comparing.is_none() && !waits {
                self.begin(run, to);
            }
        }
    }

    fn tell(&mut self, run: &mut Running, local: Micros, records: Rc<Vec<Record>>) {
        let floor = run.threats.floor();
        for to in 0..self.nodes.len() {
            let link = &mut run.links.all[to];
            if !link.member || !link.answers || link.told.len() >= 4 {
                link.untold = true;
                continue;
            }
            run.links.told += 1;
            let drawn = self.plan.draw(FORGET, (run.me * 64 + to) as u64, run.links.told);
            let forgets = self.now < self.plan.duration;
            if forgets && unit(drawn) < self.plan.tuning.gossip_forgotten {
                continue;
            }
            let batch = run.links.told;
            run.links.all[to].told.push_back((batch, local));
            let body = Body::Records { batch, floor, records: Rc::clone(&records) };
            self.send((run.me, to), Lane::Gossip, self.now, body);
        }
    }

    /// Records of another node.
    pub(super) fn records(
        &mut self,
        run: &mut Running,
        (from, batch): (usize, u64),
        floor: Option<Timestamp>,
        records: &[Record],
    ) {
        let mut taken = floor == run.threats.floor() && run.links.all[from].member;
        let now = self.wall(run);
        if taken {
            for record in records {
                match run.threats.receive(record, &mut run.stamps, now) {
                    Ok(Taken::NoRoom) | Err(_) => taken = false,
                    Ok(Taken::Known) => self.sometimes("known-record-told-again"),
                    Ok(_) => {}
                }
            }
        } else if floor != run.threats.floor() {
            self.note(run.me, What::Sometimes("gossip-of-another-floor-refused"));
        }
        let at = self.commit(run);
        self.send((run.me, from), Lane::Gossip, at, Body::Stored { batch, taken });
    }

    fn sometimes(&mut self, goal: &'static str) {
        if self.faults.seen.insert(goal) {
            self.note(None, What::Sometimes(goal));
        }
    }

    pub(super) fn stored(&mut self, run: &mut Running, (from, batch): (usize, u64), taken: bool) {
        let link = &mut run.links.all[from];
        link.told.retain(|(told, _)| *told != batch);
        if !taken {
            link.untold = true;
            (link.answers, link.settled) = (false, false);
        }
    }

    /// A random member is compared with, now and then.
    pub(super) fn compare_due(&mut self, run: &mut Running) {
        run.links.draws = threat::entropy::mix64(run.links.draws);
        let drawn = run.links.draws;
        let fits = |link: &Link| link.answers && link.comparing.is_none();
        let idle: Vec<usize> = (0..self.nodes.len()).filter(|n| fits(&run.links.all[*n])).collect();
        if !idle.is_empty() {
            self.begin(run, idle[drawn as usize % idle.len()]);
        }
        let every = self.plan.tuning.compare_every;
        let pause = every + (drawn >> 8) % every.max(1);
        self.timer(run, pause, Timer::Compare);
    }

    fn begin(&mut self, run: &mut Running, to: usize) {
        let (now, local) = (self.wall(run), self.nodes[run.me].local(self.now));
        let (mark, floor) = (run.threats.mark(now), run.threats.floor());
        let queue = [anti_entropy::begin(&run.threats)].into();
        let (step, left_out) = (0, false);
        let changed = self.nodes[run.me].disk.changed;
        let (since, theirs) = (local, now);
        let number = self.ticket();
        let comparing =
            Comparing { number, since, mark, changed, floor, queue, step, left_out, theirs };
        let link = &mut run.links.all[to];
        (link.comparing, link.untold) = (Some(comparing), false);
        self.next_step(run, to);
    }

    /// The next message of a comparison, or its end.
    fn next_step(&mut self, run: &mut Running, to: usize) {
        let local = self.nodes[run.me].local(self.now);
        let Some(comparing) = &mut run.links.all[to].comparing else { return };
        if comparing.step < STEPS
            && let Some(message) = comparing.queue.pop_front()
        {
            comparing.step += 1;
            let (floor, of) = (comparing.floor, (comparing.number, comparing.step));
            let body = Body::Compare { of, floor, message: Rc::new(message) };
            return self.send((run.me, to), Lane::Gossip, self.now, body);
        }
        let link = &mut run.links.all[to];
        let Some(done) = link.comparing.take() else { return };
        (link.tried, link.settled) = (Some(local), true);
        if done.queue.is_empty() && !done.left_out {
            run.threats.told(self.nodes[to].id, done.mark, done.theirs);
            run.compared.insert(self.nodes[to].id, done.changed);
        } else {
            link.settled = false;
        }
    }

    /// A step of a comparison that another node began.
    pub(super) fn compare(
        &mut self,
        run: &mut Running,
        from: usize,
        (floor, of): (Option<Timestamp>, Step),
        message: Rc<Message>,
    ) {
        let (now, local) = (self.wall(run), self.nodes[run.me].local(self.now));
        run.links.all[from].asked = Some(local);
        let same = floor == run.threats.floor() && run.links.all[from].member;
        let said = self.nodes[run.me].wall(self.now);
        let mut compared =
            Compared { messages: None, of, repaired: 0, cut: false, lacks: false, now: said };
        if same {
            let (state, clock) = (&mut run.threats, &mut run.stamps);
            let message = Rc::unwrap_or_clone(message);
            let answer = anti_entropy::answer(state, clock, now, message);
            compared.messages = Some(answer.messages);
            compared.repaired = answer.repaired;
            (compared.cut, compared.lacks) = (answer.cut, answer.lacks);
        }
        let at = self.commit(run);
        self.send((run.me, from), Lane::Gossip, at, Body::Compared(Rc::new(compared)));
    }

    pub(super) fn compared(&mut self, run: &mut Running, from: usize, told: &Compared) {
        let (now, local) = (self.wall(run), self.nodes[run.me].local(self.now));
        let lesser = self.nodes[from].id < run.id;
        let link = &mut run.links.all[from];
        let Some(comparing) = link.comparing.as_mut().filter(|c| (c.number, c.step) == told.of)
        else {
            return;
        };
        let same = comparing.floor == run.threats.floor();
        let Some(messages) = told.messages.as_ref().filter(|_| same) else {
            (link.comparing, link.tried) = (None, Some(local));
            (link.answers, link.settled) = (false, false);
            return;
        };
        link.answers = true;
        run.links.times.heard(from as u64, told.now, Duration::from_micros(local));
        comparing.left_out |= told.cut || told.lacks;
        comparing.theirs = comparing.theirs.min(told.now);
        let lately = link.asked.is_some_and(|at| local < at + ASKED_LATELY);
        if told.of.1 == 1 && !messages.is_empty() && lesser && lately {
            (link.comparing, link.tried) = (None, Some(local));
            return;
        }
        let mut repaired = told.repaired;
        for message in messages {
            let (state, clock) = (&mut run.threats, &mut run.stamps);
            let answer = anti_entropy::answer(state, clock, now, message.clone());
            comparing.left_out |= answer.cut;
            comparing.queue.extend(answer.messages);
            repaired += answer.repaired;
        }
        if repaired > 0 {
            self.sometimes("difference-repaired");
            self.commit(run);
        }
        self.next_step(run, from);
    }

    /// An analyst's word.
    pub(super) fn handle(&mut self, run: &mut Running, asker: Asker, id: ThreatId, said: &Said) {
        self.settle(run);
        let now = self.wall(run);
        let stamp = run.stamps.tick(now);
        let told = match run.threats.handle(id, said, stamp) {
            Ok(Taken::New | Taken::Grown | Taken::Known) => {
                let last = run.threats.get(id).and_then(Record::handling);
                let stands = last.and_then(Handling::last) == Some(stamp);
                Told::Handled(run.me, stamp, stands)
            }
            Ok(_) | Err(_) => Told::Refused,
        };
        let at = self.commit(run);
        if let Asker::Client(client, ticket) = asker {
            self.tell_client_at(run.me, client, ticket, at, told);
        }
    }
}
