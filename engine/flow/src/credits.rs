//! Credits: how many batches may be on their way to one actor, whose mailbox has no bound itself.
//!
//! A sender takes a credit before it sends; the credit comes back when the message was handled or
//! was lost with its actor. The laws: `offered = accepted + refused` and
//! `accepted = returned + in flight`, at every moment. Waiting for a credit is the shell's.

use serde::{Deserialize, Serialize};

/// The account of one actor's credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    limit: usize,
    in_flight: usize,
    offered: u64,
    refused: u64,
    returned: u64,
    waits: u64,
    high_water: usize,
}

impl Credits {
    /// `limit` credits, all there.
    pub const fn new(limit: usize) -> Self {
        Self { limit, in_flight: 0, offered: 0, refused: 0, returned: 0, waits: 0, high_water: 0 }
    }

    /// Takes a credit, or refuses and counts it: for a sender that will not wait.
    pub fn try_take(&mut self) -> bool {
        self.offered += 1;
        let taken = self.take();
        if !taken {
            self.refused += 1;
        }
        taken
    }

    /// Takes a credit, or says to wait and ask again: for a sender that holds its message back.
    /// A message counts as offered once it is accepted.
    pub fn take_or_wait(&mut self) -> bool {
        let taken = self.take();
        if taken {
            self.offered += 1;
        } else {
            self.waits += 1;
        }
        taken
    }

    fn take(&mut self) -> bool {
        let free = self.in_flight < self.limit;
        if free {
            self.in_flight += 1;
            self.high_water = self.high_water.max(self.in_flight);
        }
        free
    }

    /// A credit comes back. One that was never taken is ignored, so that a bug cannot raise the
    /// limit; returns whether it was one.
    pub fn give_back(&mut self) -> bool {
        let known = self.in_flight > 0;
        if known {
            self.in_flight -= 1;
            self.returned += 1;
        }
        known
    }

    /// A message that had its credit could not be sent after all: it counts as refused.
    pub const fn refuse_taken(&mut self) {
        if self.in_flight > 0 {
            self.in_flight -= 1;
            self.refused += 1;
        }
    }

    /// Credits in all.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Credits taken and not returned.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Credits left.
    pub const fn free(&self) -> usize {
        self.limit - self.in_flight
    }

    /// Times a message was offered.
    pub const fn offered(&self) -> u64 {
        self.offered
    }

    /// Messages let through.
    pub const fn accepted(&self) -> u64 {
        self.offered - self.refused
    }

    /// Messages turned away.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Credits that came back.
    pub const fn returned(&self) -> u64 {
        self.returned
    }

    /// Times a sender was told to wait.
    pub const fn waits(&self) -> u64 {
        self.waits
    }

    /// The most credits that were ever out at once.
    pub const fn high_water(&self) -> usize {
        self.high_water
    }

    /// The laws hold.
    pub const fn balanced(&self) -> bool {
        self.accepted() == self.returned + self.in_flight as u64 && self.in_flight <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_under_any_interleaving(limit in 0usize..6, ops: Vec<u8>) {
            let mut credits = Credits::new(limit);
            let (mut out, mut accepted, mut refused) = (0usize, 0u64, 0u64);
            for op in ops {
                match op % 4 {
                    0 => if credits.try_take() { out += 1; accepted += 1 } else { refused += 1 },
                    1 => if credits.take_or_wait() { out += 1; accepted += 1 },
                    2 => {
                        credits.refuse_taken();
                        if out > 0 { out -= 1; accepted -= 1; refused += 1 }
                    }
                    _ => {
                        prop_assert_eq!(credits.give_back(), out > 0);
                        out = out.saturating_sub(1);
                    }
                }
                prop_assert!(credits.balanced());
                prop_assert!(out <= limit);
                prop_assert_eq!(credits.in_flight(), out);
                prop_assert_eq!(credits.offered(), accepted + refused);
                prop_assert_eq!((credits.accepted(), credits.refused()), (accepted, refused));
            }
        }
    }
}
