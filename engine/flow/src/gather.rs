//! Scatter and gather: a batch is asked of several voters, and answered when all have answered, are
//! known to be absent, or have run out of time.
//!
//! Batches complete in the order in which they were asked. A voter is late when it has work and has
//! finished none of it for the patience; being slow under load, while it moves, is not being late.
//! A late voter loses all that it was asked, so that one stuck thread costs one patience and not
//! one for each batch. A breaker per voter keeps batches from waiting for one that keeps failing;
//! one that is late twice in a row is not asked until the breaker probes it.

use crate::breaker::{Breaker, Metrics, Outcome, Permit, Settings};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use threat::mutants::{Mutant, is_live};
use threat::verdict::Absence;

/// A voter that was late so often, with no answer in between, trips its breaker: each time costs
/// batches a patience and the machine a thread that may go on burning a processor. Once may be the
/// machine's fault.
const LATE_IN_A_ROW: u32 = 2;

/// What happens to a gather.
#[derive(Debug)]
pub enum Input<K, T> {
    /// Ask these voters about a batch.
    Ask {
        /// Names the batch; grows.
        ticket: u64,
        /// Whom to ask.
        voters: Vec<K>,
    },
    /// A voter answered, or failed to.
    Answered {
        /// The batch.
        ticket: u64,
        /// The voter.
        voter: K,
        /// Its answer.
        answer: Result<T, Absence>,
    },
    /// A voter is not there: what it was asked will not be answered.
    Down {
        /// The voter.
        voter: K,
    },
    /// Time passed.
    Tick,
}

/// What a gather wants done.
#[derive(Debug, PartialEq)]
pub enum Effect<K, T> {
    /// Send the batch to the voter; answer with [`Input::Down`] when it cannot be sent.
    Call {
        /// The batch.
        ticket: u64,
        /// The voter.
        voter: K,
    },
    /// The voter is stuck: leave its thread behind and start another.
    Abandon {
        /// The voter.
        voter: K,
    },
    /// All answers of a batch are in.
    Done {
        /// The batch.
        ticket: u64,
        /// An answer or an absence for each voter that was asked.
        answers: BTreeMap<K, Result<T, Absence>>,
    },
}

#[derive(Debug)]
struct Pending<K, T> {
    ticket: u64,
    asked: Duration,
    answers: BTreeMap<K, Result<T, Absence>>,
    outstanding: BTreeMap<K, Permit>,
}

/// The machine. `K` names a voter, `T` is its answer.
#[derive(Debug)]
pub struct Gather<K, T> {
    patience: Duration,
    settings: Settings,
    seed: u64,
    pending: VecDeque<Pending<K, T>>,
    breakers: BTreeMap<K, Breaker>,
    progress: BTreeMap<K, Duration>,
    /// Times that a voter was late since its last answer.
    late: BTreeMap<K, u32>,
}

impl<K: Copy + Ord, T> Gather<K, T> {
    /// Waits `patience` for a voter that makes no progress; `settings` are those of each breaker.
    pub const fn new(patience: Duration, settings: Settings, seed: u64) -> Self {
        Self {
            patience,
            settings,
            seed,
            pending: VecDeque::new(),
            breakers: BTreeMap::new(),
            progress: BTreeMap::new(),
            late: BTreeMap::new(),
        }
    }

    /// Batches that wait for answers.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// The breaker of each voter asked so far.
    pub fn breakers(&mut self, now: Duration) -> BTreeMap<K, Metrics> {
        self.breakers.iter_mut().map(|(&k, b)| (k, b.metrics(now))).collect()
    }

    /// Moves the machine.
    pub fn step(&mut self, now: Duration, input: Input<K, T>, out: &mut Vec<Effect<K, T>>) {
        match input {
            Input::Ask { ticket, voters } => self.ask(now, ticket, voters, out),
            Input::Answered { ticket, voter, answer } => self.answered(now, ticket, voter, answer),
            Input::Down { voter } => self.lose(now, voter, Absence::Down),
            Input::Tick => self.tick(now, out),
        }
        while self.pending.front().is_some_and(|p| p.outstanding.is_empty()) {
            if let Some(done) = self.pending.pop_front() {
                out.push(Effect::Done { ticket: done.ticket, answers: done.answers });
            }
        }
    }

    fn ask(&mut self, now: Duration, ticket: u64, voters: Vec<K>, out: &mut Vec<Effect<K, T>>) {
        let mut pending =
            Pending { ticket, asked: now, answers: BTreeMap::new(), outstanding: BTreeMap::new() };
        for voter in voters {
            let idle = !self.pending.iter().any(|p| p.outstanding.contains_key(&voter));
            if idle {
                self.progress.insert(voter, now);
            }
            let (settings, seed) = (self.settings, self.seed);
            let breaker =
                self.breakers.entry(voter).or_insert_with(|| Breaker::new(settings, seed));
            if let Some(permit) = breaker.allow(now) {
                pending.outstanding.insert(voter, permit);
                out.push(Effect::Call { ticket, voter });
            } else {
                pending.answers.insert(voter, Err(Absence::BreakerOpen));
            }
        }
        self.pending.push_back(pending);
    }

    fn answered(&mut self, now: Duration, ticket: u64, voter: K, answer: Result<T, Absence>) {
        let Some(pending) = self.pending.iter_mut().find(|p| p.ticket == ticket) else { return };
        let Some(permit) = pending.outstanding.remove(&voter) else { return };
        self.late.remove(&voter);
        let outcome = if answer.is_ok() { Outcome::Success } else { Outcome::Failure };
        let since = self.progress.insert(voter, now).unwrap_or(pending.asked).max(pending.asked);
        if let Some(breaker) = self.breakers.get_mut(&voter) {
            breaker.record(now, permit, outcome, now.saturating_sub(since));
        }
        pending.answers.insert(voter, answer);
    }

    fn lose(&mut self, now: Duration, voter: K, why: Absence) {
        for pending in &mut self.pending {
            if let Some(permit) = pending.outstanding.remove(&voter) {
                pending.answers.insert(voter, Err(why));
                if let Some(breaker) = self.breakers.get_mut(&voter) {
                    breaker.record(now, permit, Outcome::Failure, Duration::ZERO);
                }
            }
        }
        self.progress.insert(voter, now);
    }

    fn tick(&mut self, now: Duration, out: &mut Vec<Effect<K, T>>) {
        let mut late: Vec<K> = Vec::new();
        if is_live(Mutant::LateVotersWaitedFor) {
            return;
        }
        for pending in &self.pending {
            for &voter in pending.outstanding.keys() {
                let moved = self.progress.get(&voter).copied().unwrap_or_default();
                let waits = now.saturating_sub(moved.max(pending.asked));
                if waits > self.patience && !late.contains(&voter) {
                    late.push(voter);
                }
            }
        }
        for voter in late {
            self.lose(now, voter, Absence::Late);
            let times = self.late.entry(voter).or_default();
            *times += 1;
            if *times >= LATE_IN_A_ROW
                && let Some(breaker) = self.breakers.get_mut(&voter)
            {
                breaker.trip(now);
            }
            out.push(Effect::Abandon { voter });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_millis(80);

    fn gather() -> Gather<u8, u32> {
        Gather::new(PATIENCE, Settings::default(), 1)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn done(out: &[Effect<u8, u32>]) -> Vec<u64> {
        out.iter()
            .filter_map(|e| if let Effect::Done { ticket, .. } = e { Some(*ticket) } else { None })
            .collect()
    }

    #[test]
    fn batches_complete_in_order_whoever_answers_first() {
        let (mut g, mut out) = (gather(), Vec::new());
        for ticket in [1, 2] {
            g.step(ms(0), Input::Ask { ticket, voters: vec![1, 2] }, &mut out);
        }
        for (ticket, voter) in [(2, 1), (2, 2), (1, 2), (1, 1)] {
            g.step(ms(1), Input::Answered { ticket, voter, answer: Ok(7) }, &mut out);
        }
        assert_eq!(done(&out), [1, 2]);
    }

    #[test]
    fn a_stuck_voter_costs_one_patience_and_is_named() {
        let (mut g, mut out) = (gather(), Vec::new());
        for ticket in 0..8 {
            g.step(ms(0), Input::Ask { ticket, voters: vec![1, 2] }, &mut out);
            g.step(ms(1), Input::Answered { ticket, voter: 1, answer: Ok(1) }, &mut out);
        }
        g.step(ms(80), Input::Tick, &mut out);
        assert!(done(&out).is_empty());
        g.step(ms(82), Input::Tick, &mut out);
        assert_eq!(done(&out), (0..8).collect::<Vec<_>>());
        assert!(out.contains(&Effect::Abandon { voter: 2 }));
        let Some(Effect::Done { answers, .. }) = out.last() else { panic!("no answer") };
        assert_eq!(answers[&1], Ok(1));
        assert_eq!(answers[&2], Err(Absence::Late));
    }

    #[test]
    fn a_voter_late_twice_in_a_row_is_left_alone_until_it_is_probed() {
        let (mut g, mut out) = (gather(), Vec::new());
        // Many good calls before: the rates of the breaker say nothing of what follows.
        for ticket in 0..100 {
            g.step(ms(ticket), Input::Ask { ticket, voters: vec![1] }, &mut out);
            g.step(ms(ticket), Input::Answered { ticket, voter: 1, answer: Ok(1) }, &mut out);
        }
        for ticket in 100..110 {
            g.step(ms(100 * ticket), Input::Ask { ticket, voters: vec![1] }, &mut out);
            g.step(ms(100 * ticket + 90), Input::Tick, &mut out);
        }
        let abandoned = out.iter().filter(|e| matches!(e, Effect::Abandon { .. })).count();
        assert_eq!(abandoned, 2);
        g.step(ms(20_000), Input::Ask { ticket: 110, voters: vec![1] }, &mut out);
        g.step(ms(20_001), Input::Answered { ticket: 110, voter: 1, answer: Ok(3) }, &mut out);
        let Some(Effect::Done { answers, .. }) = out.last() else { panic!("no answer") };
        assert_eq!(answers[&1], Ok(3));
    }

    #[test]
    fn slow_but_moving_is_not_late() {
        let (mut g, mut out) = (gather(), Vec::new());
        for ticket in 0..10 {
            g.step(ms(0), Input::Ask { ticket, voters: vec![1] }, &mut out);
        }
        for ticket in 0..10 {
            let now = ms(40 * (ticket + 1));
            g.step(now, Input::Tick, &mut out);
            g.step(now, Input::Answered { ticket, voter: 1, answer: Ok(0) }, &mut out);
        }
        assert!(!out.iter().any(|e| matches!(e, Effect::Abandon { .. })));
        assert_eq!(done(&out).len(), 10);
    }

    #[test]
    fn a_voter_that_keeps_failing_is_not_waited_for_and_comes_back() {
        let (mut g, mut out) = (gather(), Vec::new());
        for ticket in 0..20 {
            g.step(ms(ticket), Input::Ask { ticket, voters: vec![1] }, &mut out);
            g.step(ms(ticket), Input::Down { voter: 1 }, &mut out);
        }
        let open = out.iter().any(|e| {
            matches!(e, Effect::Done { answers, .. } if answers[&1] == Err(Absence::BreakerOpen))
        });
        assert!(open);
        for ticket in 20..40 {
            let now = ms(2_000 + ticket);
            g.step(now, Input::Ask { ticket, voters: vec![1] }, &mut out);
            g.step(now, Input::Answered { ticket, voter: 1, answer: Ok(3) }, &mut out);
        }
        let Some(Effect::Done { answers, .. }) = out.last() else { panic!("no answer") };
        assert_eq!(answers[&1], Ok(3));
    }

    proptest! {
        #[test]
        fn every_batch_is_answered_once_and_in_order(
            steps in prop::collection::vec((0u8..5, 0u8..3, 0u64..30), 1..300),
        ) {
            let (mut g, mut out) = (gather(), Vec::new());
            let (mut now, mut next) = (0u64, 0u64);
            for (what, voter, by) in steps {
                now += by;
                let input = match what {
                    0 | 1 => {
                        next += 1;
                        Input::Ask { ticket: next - 1, voters: vec![0, 1, 2] }
                    }
                    2 => Input::Answered { ticket: by % next.max(1), voter, answer: Ok(1) },
                    3 => Input::Down { voter },
                    _ => Input::Tick,
                };
                g.step(ms(now), input, &mut out);
            }
            g.step(ms(now + 1_000), Input::Tick, &mut out);
            prop_assert_eq!(done(&out), (0..next).collect::<Vec<_>>());
            for effect in &out {
                if let Effect::Done { answers, .. } = effect {
                    prop_assert_eq!(answers.len(), 3);
                }
            }
        }
    }
}
