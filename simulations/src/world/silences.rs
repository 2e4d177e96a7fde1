//! How long voters were silent for each other, as the harness saw it, and for how long they will
//! not believe each other for that. Nodes that fell silent again and again have to beat for the
//! longer, so that links which flap do not move everything to and fro. Where no voter can be
//! spared, that is time in which nobody counts as failed.

use super::World;
use crate::plan::Micros;
use cluster::coordinator::limits::BEAT_EVERY;
use regions::failure_detector::{DEAD_OWES, DOUBLINGS, Settings};
use std::collections::BTreeSet;

/// Between two beats.
const BEAT: Micros = BEAT_EVERY.as_micros() as Micros;

/// By how many thousandths a clock may be fast or slow: the most that a plan makes it, and what
/// leases bear.
const DRIFT: Micros = 50;

/// What one node heard of another one.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// The last beat, or when the listener began to listen.
    last: Micros,
    /// How often it may have been taken for dead.
    falls: u32,
    /// Since when it beats again after the last time.
    since: Micros,
}

impl Heard {
    /// Nothing yet, by one that listens from now on.
    pub const fn from(now: Micros) -> Self {
        Self { last: now, falls: 0, since: now }
    }

    /// A beat arrives.
    pub fn beat(&mut self, now: Micros) {
        // A shorter silence makes nobody suspect, whatever was usual before: phi is under three at
        // three deviations, by the clock of who listens, which may be fast.
        let Settings { period, pause, min_deviation, .. } = Settings::default();
        let late = (pause + period + 3 * min_deviation).as_micros() as Micros;
        if now.saturating_sub(self.last) > late - late * DRIFT / 1_000 {
            // Who was not believed yet does not fall.
            let beating = self.last.saturating_sub(self.since);
            let given = (beating + beating * DRIFT / 1_000) / BEAT + 1;
            self.falls += u32::from(u64::from(self.owed()) <= given);
            self.since = now;
        }
        self.last = now;
    }

    /// The listener did not listen until now.
    pub const fn excuse(&mut self, now: Micros) {
        self.last = now;
    }

    /// Beats that are owed now, at most, if none is missed from now on.
    pub fn owes(mut self, now: Micros) -> u32 {
        self.beat(now);
        self.left(now)
    }

    /// Beats that the last fall costs.
    fn owed(&self) -> u32 {
        let doublings = self.falls.saturating_sub(1).min(DOUBLINGS);
        if self.falls == 0 { 0 } else { DEAD_OWES << doublings }
    }

    /// Those that are surely not given yet.
    fn left(&self, now: Micros) -> u32 {
        let given = now.saturating_sub(self.since) / BEAT;
        self.owed().saturating_sub(given as u32)
    }
}

impl World<'_> {
    /// Beats until a majority of the voters believes a majority, if this core is healthy.
    pub(super) fn owed(&self, core: &[usize]) -> u32 {
        // Who lost its disk is another node, and has no vote on failures.
        let runs = |at: usize| {
            let node = &self.nodes[at];
            !node.disk.lost && (core.contains(&at) || (!node.down && node.paused.is_none()))
        };
        let there: Vec<usize> = self.shape.voters.iter().copied().filter(|v| runs(*v)).collect();
        let owes = |by: usize, of: usize| {
            // One that starts now has nothing against anybody.
            let knows = by != of && !self.nodes[by].down;
            if knows { self.nodes[by].heard[of].owes(self.now) } else { 0 }
        };
        let majority = self.shape.majority();
        let agree = |most: u32| {
            let believes = |by: usize| there.iter().filter(|of| owes(by, **of) <= most).count();
            there.iter().filter(|by| believes(**by) >= majority).count() >= majority
        };
        let all = there.iter().flat_map(|by| there.iter().map(|of| owes(*by, *of)));
        let all: BTreeSet<u32> = all.collect();
        all.into_iter().find(|most| agree(*most)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SECOND;

    #[test]
    fn who_fell_more_often_owes_more() {
        let mut heard = Heard::from(0);
        let mut now = 0;
        let mut beats = |heard: &mut Heard, count: u64| {
            for _ in 0..count {
                now += SECOND / 2;
                heard.beat(now);
            }
            let left = heard.owes(now);
            now += 3 * SECOND;
            (left, heard.owes(now))
        };
        assert_eq!(beats(&mut heard, 20), (0, 4));
        assert_eq!(beats(&mut heard, 20), (0, 8));
        assert_eq!(beats(&mut heard, 20), (0, 16));
        assert_eq!(beats(&mut heard, 10), (7, 16), "it was not believed yet");
        assert_eq!(beats(&mut heard, 20), (0, 32));
    }

    #[test]
    fn the_beat_that_ends_a_silence_is_given_too() {
        let mut heard = Heard::from(0);
        let mut now = 10 * SECOND;
        heard.beat(now);
        assert_eq!(heard.owes(now), 4);
        // Three more are all that is owed: whoever counted four of them sees a second fall.
        for _ in 0..3 {
            now += SECOND / 2;
            heard.beat(now);
        }
        assert_eq!(heard.owes(now + 3 * SECOND), 8);
    }
}
