//! Admission: what happens to events when there is no room for them.
//!
//! A source that can wait (a file, a queue with acknowledgements) is told to wait and loses
//! nothing. One that cannot (UDP) has its events shed, the less urgent first, each counted by
//! priority and reason. The law: `offered = accepted + shed`, for every priority, at every moment.
//! Who counts as urgent is the caller's.

use serde::{Deserialize, Serialize};
use threat::mutants::{Mutant, is_live};

/// How urgent events are; greater is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// First to be shed.
    Low,
    /// The usual.
    Normal,
    /// Authentication, commands, other products' alerts.
    High,
    /// Shed only when there is no room at all.
    Critical,
}

impl Priority {
    /// All, least urgent first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// Quarters of the room that events of this priority may fill: the rest is kept for the more
    /// urgent, so that a flood of one priority never sheds a greater one.
    const fn quarters(self) -> usize {
        self as usize + 1
    }
}

/// Why events were shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There was no room at all.
    Full,
    /// The room left is kept for more urgent events.
    Reserved,
    /// The node is draining.
    Draining,
}

impl Reason {
    /// All.
    pub const ALL: [Self; 3] = [Self::Full, Self::Reserved, Self::Draining];
}

/// Whether a source can hold its events back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It can: it is not read until there is room.
    Waits,
    /// It cannot: what finds no room is shed.
    Cannot,
}

/// The answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it on.
    Accept,
    /// Keep it and offer it again when room was released.
    Wait,
    /// Drop it: it has been counted.
    Shed(Reason),
}

/// Counts of events of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Offered and not told to wait.
    pub offered: u64,
    /// Sent on.
    pub accepted: u64,
    /// Shed, by [`Reason`] in the order of [`Reason::ALL`].
    pub shed: [u64; 3],
}

impl Tally {
    /// The law of admission.
    pub fn balanced(&self) -> bool {
        self.offered == self.accepted + self.shed.iter().sum::<u64>()
    }
}

/// Decides over a room of so many batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    room: usize,
    used: usize,
    draining: bool,
    waits: u64,
    tallies: [Tally; 4],
}

impl Admission {
    /// Room for this many batches.
    pub fn new(room: usize) -> Self {
        Self { room, used: 0, draining: false, waits: 0, tallies: Default::default() }
    }

    /// Decides over a batch of `events` events. A batch that is accepted holds one place until
    /// [`release`](Self::release).
    pub fn offer(&mut self, priority: Priority, events: u64, patience: Patience) -> Decision {
        let reason = if self.draining {
            Some(Reason::Draining)
        } else if self.used >= self.room && !is_live(Mutant::QueueWithoutBound) {
            Some(Reason::Full)
        } else if patience == Patience::Cannot && self.used >= self.share(priority) {
            Some(Reason::Reserved)
        } else {
            None
        };
        let tally = &mut self.tallies[priority as usize];
        match reason {
            Some(_) if patience == Patience::Waits => {
                self.waits += 1;
                Decision::Wait
            }
            Some(reason) => {
                tally.offered += events;
                if !is_live(Mutant::SheddingNotCounted) {
                    tally.shed[reason as usize] += events;
                }
                Decision::Shed(reason)
            }
            None => {
                tally.offered += events;
                tally.accepted += events;
                self.used += 1;
                Decision::Accept
            }
        }
    }

    /// Places that a priority may fill; at least one of a room that has any.
    fn share(&self, priority: Priority) -> usize {
        (self.room * priority.quarters()).div_ceil(4)
    }

    /// An accepted batch was handled, or lost with its actor.
    pub fn release(&mut self) {
        self.waits += u64::from(is_live(Mutant::RoomLeaks));
        if is_live(Mutant::RoomLeaks) && self.waits.is_multiple_of(100) {
            return;
        }
        self.used = self.used.saturating_sub(1);
    }

    /// From now on nothing is let in.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Places taken.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Times a source was told to wait.
    pub const fn waits(&self) -> u64 {
        self.waits
    }

    /// What was done with events of a priority.
    pub const fn tally(&self, priority: Priority) -> &Tally {
        &self.tallies[priority as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_event_is_accepted_or_shed_and_the_less_urgent_first(
            room in 0usize..12,
            ops in proptest::collection::vec((0usize..6, 0u64..300, any::<bool>()), 0..300),
        ) {
            let mut admission = Admission::new(room);
            let (mut offered, mut accepted, mut held) = (0, 0, 0usize);
            for (op, events, waits) in ops {
                let Some(&priority) = Priority::ALL.get(op) else {
                    admission.release();
                    held = held.saturating_sub(1);
                    continue;
                };
                let patience = if waits { Patience::Waits } else { Patience::Cannot };
                // Who is shed now: never a priority without every lesser one.
                let would = |p| {
                    let decision = admission.clone().offer(p, 1, Patience::Cannot);
                    decision == Decision::Accept
                };
                prop_assert!(Priority::ALL.map(would).is_sorted());
                match admission.offer(priority, events, patience) {
                    Decision::Accept => { offered += events; accepted += events; held += 1 }
                    Decision::Shed(_) => { prop_assert!(!waits); offered += events }
                    Decision::Wait => prop_assert!(waits),
                }
                prop_assert!(held <= room);
                prop_assert_eq!(admission.used(), held);
                prop_assert!(Priority::ALL.iter().all(|&p| admission.tally(p).balanced()));
                let sum = |f: fn(&Tally) -> u64| -> u64 {
                    Priority::ALL.iter().map(|&p| f(admission.tally(p))).sum()
                };
                prop_assert_eq!((sum(|t| t.offered), sum(|t| t.accepted)), (offered, accepted));
            }
        }
    }

    #[test]
    fn a_flood_of_low_leaves_room_for_critical() {
        let mut admission = Admission::new(8);
        for _ in 0..100 {
            admission.offer(Priority::Low, 10, Patience::Cannot);
        }
        assert_eq!(admission.tally(Priority::Low).accepted, 20);
        assert_eq!(admission.tally(Priority::Low).shed, [0, 980, 0]);
        for _ in 0..6 {
            let decision = admission.offer(Priority::Critical, 1, Patience::Cannot);
            assert_eq!(decision, Decision::Accept);
        }
        let decision = admission.offer(Priority::Critical, 1, Patience::Cannot);
        assert_eq!(decision, Decision::Shed(Reason::Full));
        admission.drain();
        let decision = admission.offer(Priority::Critical, 1, Patience::Cannot);
        assert_eq!(decision, Decision::Shed(Reason::Draining));
    }
}
