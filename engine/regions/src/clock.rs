//! Hybrid logical clocks (Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical physical clocks",
//! OPODIS 2014): stamps that respect cause and effect, stay near wall time, and are never equal.

use serde::{Deserialize, Serialize};
use threat::Timestamp;
use threat::mutants::{Mutant, is_live};

/// A stamp may be so many seconds ahead of the clock here. One node whose clock is set to next year
/// would otherwise win every conflict until then, and drag all other clocks along.
pub const AHEAD_SECS: f64 = 60.0;

/// Who writes: a node in one of its lives. A node that lost its state comes back under a new
/// incarnation, since what it wrote before would otherwise be taken for newer than what it writes
/// now.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Replica {
    /// The node.
    pub node: u64,
    /// Its life.
    pub incarnation: u32,
}

/// When something was written, and by whom. Ordered by time, then by writer, so that no two writes
/// are equal.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Wall time, or that of an earlier stamp where the wall clock is behind it.
    pub wall: Timestamp,
    /// Tells stamps of one wall time apart.
    pub counter: u32,
    /// The writer.
    pub replica: Replica,
}

/// A stamp from too far in the future.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a stamp of node {node} is {seconds:.0} s ahead; its clock or this one is wrong")]
pub struct Ahead {
    /// Who wrote it.
    pub node: u64,
    /// How far it is ahead.
    pub seconds: f64,
}

/// The wall time of what is lifted over a floor: right after it.
pub(crate) const fn lifted(floor: Timestamp) -> Timestamp {
    Timestamp::from_micros(floor.micros().saturating_add(1))
}

/// The clock of one writer.
#[derive(Clone, Debug)]
pub struct HybridClock {
    replica: Replica,
    wall: Timestamp,
    counter: u32,
}

impl HybridClock {
    /// A clock that gives no stamp at or before `last`, the greatest one that was stored.
    pub const fn new(replica: Replica, last: Stamp) -> Self {
        Self { replica, wall: last.wall, counter: last.counter }
    }

    /// The next stamp at wall time `now`: greater than every stamp given or observed before.
    pub fn tick(&mut self, now: Timestamp) -> Stamp {
        if now > self.wall {
            (self.wall, self.counter) = (now, 0);
        } else if let Some(next) = self.counter.checked_add(1) {
            self.counter = next;
        } else {
            self.wall = Timestamp::from_micros(self.wall.micros().saturating_add(1));
            self.counter = 0;
        }
        Stamp { wall: self.wall, counter: self.counter, replica: self.replica }
    }

    /// Gives only stamps after a floor from now on, which all nodes agree has passed, and after
    /// those of what was lifted over it.
    pub fn pass(&mut self, floor: Timestamp) {
        let lifted = lifted(floor);
        if self.wall <= lifted {
            (self.wall, self.counter) = (lifted, u32::MAX);
        }
    }

    /// Takes note of a stamp that was received.
    ///
    /// # Errors
    /// [`Ahead`] when it is over [`AHEAD_SECS`] ahead of `now`; the clock stays as it was, and what
    /// was received must not be taken.
    pub fn observe(&mut self, now: Timestamp, stamp: Stamp) -> Result<(), Ahead> {
        let seconds = stamp.wall.since(now);
        if seconds > AHEAD_SECS {
            return Err(Ahead { node: stamp.replica.node, seconds });
        }
        let newer = (stamp.wall, stamp.counter) > (self.wall, self.counter);
        if newer && !is_live(Mutant::ClockIgnoresOthers) {
            (self.wall, self.counter) = (stamp.wall, stamp.counter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    proptest! {
        /// Two clocks with walls of their own that exchange stamps: each stamp is greater than all
        /// that its writer gave or saw before, whatever the walls do.
        #[test]
        fn stamps_respect_cause_and_effect(
            steps in prop::collection::vec((0usize..2, 0i64..50, any::<bool>()), 1..60),
        ) {
            let mut clocks = [1, 2].map(|node| {
                HybridClock::new(Replica { node, incarnation: 1 }, Stamp::default())
            });
            let mut seen = [Stamp::default(); 2];
            for (who, wall, tell) in steps {
                let stamp = clocks[who].tick(at(wall));
                prop_assert!(stamp > seen[who]);
                seen[who] = stamp;
                if tell {
                    clocks[1 - who].observe(at(wall), stamp).unwrap();
                    seen[1 - who] = seen[1 - who].max(stamp);
                }
            }
        }
    }

    #[test]
    fn a_stamp_from_next_year_is_refused_and_moves_nothing() {
        let mut clock = HybridClock::new(Replica::default(), Stamp::default());
        let far = Stamp { wall: at(61_000_000), ..Stamp::default() };
        assert_eq!(clock.observe(at(0), far), Err(Ahead { node: 0, seconds: 61.0 }));
        assert_eq!(clock.tick(at(5)).wall, at(5));
        let near = Stamp { wall: at(59_000_000), ..Stamp::default() };
        clock.observe(at(0), near).unwrap();
        assert_eq!(clock.tick(at(6)).wall, at(59_000_000));
    }

    #[test]
    fn a_counter_that_is_full_moves_the_wall() {
        let full = Stamp { wall: at(7), counter: u32::MAX, replica: Replica::default() };
        let mut clock = HybridClock::new(Replica::default(), full);
        assert_eq!(clock.tick(at(0)), Stamp { wall: at(8), counter: 0, ..full });
    }

    #[test]
    fn stamps_after_a_floor_are_after_what_was_lifted_over_it() {
        let mut clock = HybridClock::new(Replica::default(), Stamp::default());
        clock.pass(at(20));
        clock.pass(at(3));
        let lifted = Stamp { wall: lifted(at(20)), counter: u32::MAX, ..Stamp::default() };
        assert!(clock.tick(at(0)) > lifted);
        // One whose own stamps are about there already does not fall between.
        let mut clock = HybridClock::new(Replica::default(), Stamp::default());
        clock.tick(at(21));
        clock.pass(at(20));
        assert!(clock.tick(at(0)) > lifted);
    }
}
