//! What time it is by the others' clocks: bounds for a node whose own wall clock is wrong. Nodes
//! refuse stamps from too far in the future ([`AHEAD_SECS`](crate::clock::AHEAD_SECS)), so what a
//! node acknowledged whose clock had run ahead would reach nobody, and one whose clock had fallen
//! behind would take nothing.
//!
//! The median of all clocks, as the others said theirs last and carried on by steady time, is right
//! as long as most of them are (Lamport, Melliar-Smith: "Synchronizing clocks in the presence of
//! faults", JACM 1985).

use crate::clock::AHEAD_SECS;
use std::collections::BTreeMap;
use std::time::Duration;
use threat::Timestamp;

/// How far a wall clock may be off the median, in microseconds: half of what is taken, so
/// that clocks which differ by as much, and the way, still fit in.
const SLACK: i64 = (AHEAD_SECS * 1e6 / 2.0) as i64;

/// What others said of the time, each last.
#[derive(Clone, Debug, Default)]
pub struct PeerTime {
    heard: BTreeMap<u64, (Timestamp, Duration)>,
}

impl PeerTime {
    /// Node `node` said that it is `theirs`; that was at `now` of this node's steady time.
    pub fn heard(&mut self, node: u64, theirs: Timestamp, now: Duration) {
        self.heard.insert(node, (theirs, now));
    }

    /// Keeps what was heard of these nodes alone.
    pub fn keep(&mut self, is_there: impl Fn(u64) -> bool) {
        self.heard.retain(|node, _| is_there(*node));
    }

    /// The wall time to reckon with: `wall`, unless that is too far from what most others have.
    pub fn bound(&self, wall: Timestamp, now: Duration) -> Timestamp {
        let carried = |(theirs, at): &(Timestamp, Duration)| {
            let passed = i64::try_from(now.saturating_sub(*at).as_micros()).unwrap_or(i64::MAX);
            theirs.micros().saturating_add(passed)
        };
        // Its own, too: so all nodes have the same clocks to choose from, and come to the same one.
        let own = std::iter::once(wall.micros());
        let mut all: Vec<i64> = self.heard.values().map(carried).chain(own).collect();
        all.sort_unstable();
        let Some(median) = all.get((all.len() - 1) / 2) else { return wall };
        let (least, most) = (median.saturating_sub(SLACK), median.saturating_add(SLACK));
        Timestamp::from_micros(wall.micros().clamp(least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_clock_that_is_wrong_is_bounded_by_most_of_the_others() {
        let mut times = PeerTime::default();
        let second = Duration::from_secs(1);
        assert_eq!(times.bound(at(HOUR), second), at(HOUR), "nobody was heard");
        times.heard(2, at(10), second);
        times.heard(3, at(20), second);
        times.heard(4, at(2 * HOUR), second);
        assert_eq!(times.bound(at(HOUR), second), at(20 + SLACK));
        assert_eq!(times.bound(at(HOUR), second * 2), at(20 + SLACK + 1_000_000), "time goes on");
        assert_eq!(times.bound(at(17), second), at(17), "a clock that is right is left alone");
        assert_eq!(times.bound(at(-HOUR), second), at(10 - SLACK), "one that fell behind is not");
        times.keep(|node| node == 4);
        assert_eq!(times.bound(at(HOUR), second), at(HOUR), "who left does not count");
    }

    #[test]
    fn nodes_come_to_the_same_time_whoever_is_wrong() {
        let clocks = [0, 7, HOUR, HOUR + 9, -HOUR];
        for count in 2..=clocks.len() {
            let reckoned = (0..count).map(|own| {
                let mut times = PeerTime::default();
                for (node, clock) in clocks[..count].iter().enumerate().filter(|(n, _)| *n != own) {
                    times.heard(node as u64, at(*clock), Duration::ZERO);
                }
                times.bound(at(clocks[own]), Duration::ZERO).micros()
            });
            let all: Vec<i64> = reckoned.collect();
            let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
            assert!(most - least <= 2 * SLACK, "{count}: {all:?}");
        }
    }
}
