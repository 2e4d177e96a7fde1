//! A node's detection: admission, voters that answer or not, supervision that mends them, and the
//! vote. Voters score by what the harness knows of an event; all that decides around them is
//! production's.

use super::data::{Part, Recorded, shard};
use super::node::Running;
use super::verdicts::{record, vote};
use super::{START, Timer, World};
use crate::journal::{Judged, Source, Truth, What};
use crate::plan::{MILLI, Micros, Plan};
use detection::ensemble::voters;
use flow::admission::{Admission, Decision, Patience, Priority};
use flow::gather::{Effect, Gather, Input};
use flow::supervision::{Exit, Policy, Restart, Strategy, Supervision};
use regions::threats::{Count, Record};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use threat::entropy::mix64;
use threat::verdict::Absence;
use threat::{DetectorKind, EventClass, VerdictSource};

/// The voters' places in the tree, in the order of [`voters`].
pub const PATHS: [&str; 3] = ["detection/0/forest", "detection/0/sequence", "detection/0/bayes"];

/// How long a voter that makes no progress is waited for, as in production.
const PATIENCE: Duration = Duration::from_millis(80);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voter {
    Up,
    Hung,
    Down,
}

/// A part that is being judged.
#[derive(Debug)]
struct Judging {
    part: Rc<Part>,
    from: usize,
    epochs: BTreeMap<u32, u64>,
    bundle: u64,
    dealt: Micros,
}

/// What the harness counts of admission beside the product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub offered: u64,
    pub accepted: u64,
    pub shed: u64,
}

/// A node's detection.
pub struct Detection {
    admission: Admission,
    room: usize,
    pub tally: Tally,
    /// The most parts that were in it at once.
    pub most: usize,
    gather: Gather<DetectorKind, ()>,
    pub supervision: Supervision,
    pub voters: [Voter; 3],
    /// Voters that are to be started again, and when.
    pub restarts: Vec<(Micros, usize)>,
    judging: BTreeMap<u64, Judging>,
    /// Answers that are due: when, for which ticket, of which voter.
    pub answers: Vec<(Micros, u64, usize)>,
    tickets: u64,
    pub seed: u64,
    draws: u64,
}

pub fn supervision(seed: u64) -> Supervision {
    let children = PATHS.map(|path| (path.to_owned(), Restart::Permanent));
    Supervision::new(Policy::new(Strategy::OneForOne), children, seed)
}

impl Detection {
    pub fn new(plan: &Plan, seed: u64) -> Self {
        let settings = flow::breaker::Settings::default();
        let mut supervision = supervision(seed);
        for child in 0..3 {
            let input = flow::supervision::Input::ChildStarted(child);
            supervision.step(Duration::ZERO, input, &mut Vec::new());
        }
        Self {
            admission: Admission::new(plan.tuning.room),
            room: plan.tuning.room,
            tally: Tally::default(),
            most: 0,
            gather: Gather::new(PATIENCE, settings, seed),
            supervision,
            voters: [Voter::Up; 3],
            restarts: Vec::new(),
            judging: BTreeMap::new(),
            answers: Vec::new(),
            tickets: 0,
            seed,
            draws: seed,
        }
    }

    pub const fn room(&self) -> usize {
        self.room
    }

    /// What the product counted of admission.
    pub fn counted(&self) -> (u64, u64, u64) {
        let mut sum = (0, 0, 0);
        for priority in Priority::ALL {
            let tally = self.admission.tally(priority);
            sum.0 += tally.offered;
            sum.1 += tally.accepted;
            sum.2 += tally.shed.iter().sum::<u64>();
        }
        sum
    }

    /// Batches that admission holds room for, and those that are in hand.
    pub fn rooms(&self) -> (u64, u64) {
        (self.admission.used() as u64, self.judging.len() as u64)
    }

    pub fn offer(&mut self, priority: Priority, events: u64, patience: Patience) -> Decision {
        let decision = self.admission.offer(priority, events, patience);
        match decision {
            Decision::Accept => {
                self.tally.offered += events;
                self.tally.accepted += events;
            }
            Decision::Shed(_) => {
                self.tally.offered += events;
                self.tally.shed += events;
            }
            Decision::Wait => {}
        }
        decision
    }

    fn index(kind: DetectorKind) -> usize {
        voters(EventClass::Flow).iter().position(|k| *k == kind).unwrap_or_default()
    }
}

impl World<'_> {
    pub(super) fn monotonic(&self, run: &Running) -> Duration {
        Duration::from_micros(self.nodes[run.me].local(self.now))
    }

    /// Asks the voters about a part that was let in.
    pub(super) fn judge(
        &mut self,
        run: &mut Running,
        from: usize,
        part: Rc<Part>,
        epochs: BTreeMap<u32, u64>,
    ) {
        let region = &self.plan.regions[self.plan.nodes[run.me].region];
        let bundle = run.log.bundles().used_in(region).unwrap_or_default();
        run.detection.tickets += 1;
        let ticket = run.detection.tickets;
        run.detection
            .judging
            .insert(ticket, Judging { part, from, epochs, bundle, dealt: self.now });
        run.detection.most = run.detection.most.max(run.detection.judging.len());
        let all = voters(EventClass::Flow).to_vec();
        self.gather(run, Input::Ask { ticket, voters: all });
    }

    /// Moves the gathering of answers, and does what it says.
    pub(super) fn gather(&mut self, run: &mut Running, input: Input<DetectorKind, ()>) {
        let now = self.monotonic(run);
        let mut effects = Vec::new();
        run.detection.gather.step(now, input, &mut effects);
        let mut next = 0;
        while next < effects.len() {
            let mut more = Vec::new();
            match std::mem::replace(
                &mut effects[next],
                Effect::Abandon { voter: DetectorKind::Forest },
            ) {
                Effect::Call { ticket, voter } => self.call(run, ticket, voter, &mut more),
                Effect::Abandon { voter } => {
                    let index = Detection::index(voter);
                    if run.detection.voters[index] == Voter::Hung && effects.len() > next {
                        self.actor_ends(run, index, Exit::Cancelled);
                    }
                }
                Effect::Done { ticket, answers } => self.decide(run, ticket, &answers),
            }
            for input in more {
                run.detection.gather.step(now, input, &mut effects);
            }
            next += 1;
        }
    }

    fn call(
        &mut self,
        run: &mut Running,
        ticket: u64,
        voter: DetectorKind,
        more: &mut Vec<Input<DetectorKind, ()>>,
    ) {
        let index = Detection::index(voter);
        match run.detection.voters[index] {
            Voter::Down => more.push(Input::Down { voter }),
            Voter::Hung => {
                run.detection.answers.push((self.now, ticket, index));
                self.timer(run, 100 * MILLI, Timer::Detection);
            }
            Voter::Up => {
                run.detection.draws = mix64(run.detection.draws);
                let at = self.now + 500 + run.detection.draws % (2 * MILLI);
                run.detection.answers.push((at, ticket, index));
                self.timer_at(run, at, Timer::Detection);
            }
        }
    }

    /// Answers that are due, voters that are late, actors that start again.
    pub(super) fn detection_due(&mut self, run: &mut Running) {
        let (now, all) = (self.now, voters(EventClass::Flow));
        let due: Vec<_> = run.detection.answers.extract_if(.., |(at, ..)| *at <= now).collect();
        for (at, ticket, index) in due {
            let voter = all[index];
            match run.detection.voters[index] {
                Voter::Up => self.gather(run, Input::Answered { ticket, voter, answer: Ok(()) }),
                Voter::Hung => run.detection.answers.push((at, ticket, index)),
                // What an actor had to do when it failed is not answered.
                Voter::Down => {}
            }
        }
        let due: Vec<_> = run.detection.restarts.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, index) in due {
            if run.detection.voters[index] == Voter::Down {
                run.detection.voters[index] = Voter::Up;
                self.note(run.me, What::ActorUp { path: PATHS[index] });
                let input = flow::supervision::Input::ChildStarted(index);
                let local = self.monotonic(run);
                run.detection.supervision.step(local, input, &mut Vec::new());
            }
        }
        self.gather(run, Input::Tick);
    }

    /// All answers of a part are in: verdicts, threats, and what is written of both.
    fn decide(
        &mut self,
        run: &mut Running,
        ticket: u64,
        answers: &BTreeMap<DetectorKind, Result<(), Absence>>,
    ) {
        let Some(judging) = run.detection.judging.remove(&ticket) else { return };
        run.detection.admission.release();
        let Judging { part, from, epochs, bundle, dealt } = judging;
        let (mut verdicts, mut threats) = (Vec::new(), Vec::new());
        let mut ends: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for row in &part.rows {
            let (host, truth) = part.batch.events[*row as usize];
            let Some(workload) = run.ownership.workload_of(shard(host)) else { continue };
            let offset = part.batch.start + u64::from(*row) + 1;
            let key = (workload, part.batch.source);
            let known = self.nodes[run.me].disk.ledger.get(&key).map_or(0, |j| j.end);
            ends.insert(key, offset);
            if offset <= known {
                self.note(run.me, What::Sometimes("event-known-by-its-offset"));
                continue;
            }
            let verdict = vote(truth, answers);
            if verdict.threat {
                threats.push(self.threat(run, (host, truth), (part.batch.source, offset)));
            }
            verdicts.push(Judged {
                source: part.batch.source,
                offset,
                workload,
                epoch: epochs.get(&workload).copied().unwrap_or_default(),
                taken: part.taken,
                dealt,
                decided: self.now,
                bundle,
                host,
                truth,
                voted: answers.values().filter(|a| a.is_ok()).count() as u32,
                by: match verdict.source {
                    VerdictSource::Ml => Source::Ml,
                    VerdictSource::Rules => Source::Rules,
                },
                threat: verdict.threat,
            });
        }
        for verdict in &verdicts {
            self.note(run.me, What::Verdict(*verdict));
        }
        let threats: Vec<Record> = threats.into_iter().flatten().collect();
        let at = self.commit(run);
        let ends: Vec<_> = ends.into_iter().collect();
        self.enter(run.me, &ends, at);
        let own = self.ticket();
        let recorded = Recorded { part, from, verdicts, threats, ends };
        run.data.recording.insert(own, recorded);
        self.timer_at(run, at, Timer::Recorded(own));
    }

    /// Folds a threatening event into its threat.
    fn threat(
        &mut self,
        run: &mut Running,
        (host, truth): (u32, Truth),
        (source, offset): (u32, u64),
    ) -> Option<Record> {
        let mut count = Count { source: source.into(), segment: 0, offset, verdicts: 1 };
        let mut record = record(host, truth, START + self.now as i64, count);
        let id = record.id;
        let known = run.threats.get(id).map(|known| known.counts());
        if let Some(before) = known.and_then(|c| c.iter().find(|c| c.source == count.source)) {
            // What is counted up to here was judged before a crash.
            count.verdicts = before.verdicts + u64::from(before.offset < offset);
            record.count(count);
        }
        // Others are sent what was made here, not what people said of it.
        let made = record.clone();
        if let Err(error) = run.threats.take(record) {
            self.broken("X1", Some(run.me), format!("an own record is refused: {error}"));
            return None;
        }
        if !self.known.contains(&id) && self.known.len() < 4_096 {
            self.known.push(id);
        }
        Some(made)
    }
}
