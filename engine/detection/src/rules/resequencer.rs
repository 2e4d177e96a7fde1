//! Puts what shards answered back into the order of the batches, so that what follows does not
//! depend on how many shards there are or which was faster.
//!
//! A batch is released when all its parts are there and all earlier batches are released; its items
//! come in the order of their rows. What happens with them is the caller's.

use std::collections::BTreeMap;

/// Batches that wait for an earlier one at most. A part that never comes (its shard died) must not
/// hold everything up: beyond this, the gap is given up and counted. At 256 events a batch this is
/// over a second of full load.
pub const RESEQUENCE_BATCHES: usize = 1_024;

/// Why a part was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The batch was released, or given up, before this part came.
    #[error("batch {0} was released already")]
    Released(u64),
    /// The parts of one batch disagree on how many there are, or there are too many.
    #[error("batch {sequence} has {expected} parts, not {got}")]
    Parts {
        /// The batch.
        sequence: u64,
        /// Parts as first told.
        expected: usize,
        /// Parts as told now, or seen.
        got: usize,
    },
}

/// A batch with all its items, by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Released<T> {
    /// The batch.
    pub sequence: u64,
    /// Row and item, ascending by row.
    pub items: Vec<(u32, T)>,
    /// All parts were there; `false` for a batch that was given up.
    pub complete: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    parts: usize,
    seen: usize,
    items: Vec<(u32, T)>,
}

/// The buffer.
#[derive(Debug)]
pub struct Resequencer<T> {
    next: u64,
    waiting: BTreeMap<u64, Waiting<T>>,
    given_up: u64,
}

impl<T> Resequencer<T> {
    /// A buffer whose first batch has the number `first`.
    pub const fn new(first: u64) -> Self {
        Self { next: first, waiting: BTreeMap::new(), given_up: 0 }
    }

    /// Takes one of the `parts` parts of a batch (a shard without items sends an empty one) and
    /// appends to `out` every batch that may go now.
    pub fn push(
        &mut self,
        sequence: u64,
        parts: usize,
        items: impl IntoIterator<Item = (u32, T)>,
        out: &mut Vec<Released<T>>,
    ) -> Result<(), Error> {
        if sequence < self.next {
            return Err(Error::Released(sequence));
        }
        let batch = self.waiting.entry(sequence).or_insert_with(|| Waiting {
            parts,
            seen: 0,
            items: Vec::new(),
        });
        if batch.parts != parts || batch.seen == parts {
            let got = parts.max(batch.seen + 1);
            return Err(Error::Parts { sequence, expected: batch.parts, got });
        }
        batch.seen += 1;
        batch.items.extend(items);
        self.release(out);
        while self.waiting.len() > RESEQUENCE_BATCHES {
            self.give_up(out);
            self.release(out);
        }
        Ok(())
    }

    /// Releases everything that is there, complete or not: at the end of all sources.
    pub fn flush(&mut self, out: &mut Vec<Released<T>>) {
        while !self.waiting.is_empty() {
            self.give_up(out);
            self.release(out);
        }
    }

    /// Batches that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Batches given up so far, with parts missing or wholly absent.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    fn release(&mut self, out: &mut Vec<Released<T>>) {
        while let Some(entry) = self.waiting.first_entry() {
            let complete = entry.get().seen == entry.get().parts;
            if *entry.key() != self.next || !complete {
                return;
            }
            out.push(Self::released(self.next, entry.remove(), true));
            self.next += 1;
        }
    }

    /// Skips to the first batch that is there, and lets it go if parts of it are missing.
    fn give_up(&mut self, out: &mut Vec<Released<T>>) {
        let Some(entry) = self.waiting.first_entry() else { return };
        let sequence = *entry.key();
        self.given_up += sequence - self.next;
        self.next = sequence;
        if entry.get().seen < entry.get().parts {
            self.given_up += 1;
            self.next += 1;
            out.push(Self::released(sequence, entry.remove(), false));
        }
    }

    fn released(sequence: u64, mut batch: Waiting<T>, complete: bool) -> Released<T> {
        // Stable: several items of one row keep their order.
        batch.items.sort_by_key(|(row, _)| *row);
        Released { sequence, items: batch.items, complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use threat::entropy::Rng;

    proptest! {
        /// Whatever the shards and the order of arrival, the items come out as one shard gives
        /// them.
        #[test]
        fn arrival_order_and_shards_do_not_matter(seed: u64, shards in 1usize..6) {
            let mut rng = Rng::new(seed);
            let mut parts = Vec::new();
            for sequence in 0..20u64 {
                let mut of_shard = vec![Vec::new(); shards];
                for row in 0..5u32 {
                    of_shard[rng.below(shards)].push((row, (sequence, row)));
                }
                parts.extend(of_shard.into_iter().map(|items| (sequence, items)));
            }
            for i in (1..parts.len()).rev() {
                parts.swap(i, rng.below(i + 1));
            }
            let mut buffer = Resequencer::new(0);
            let mut out = Vec::new();
            for (sequence, items) in parts {
                buffer.push(sequence, shards, items, &mut out).unwrap();
            }
            let got: Vec<_> = out.iter().flat_map(|r| r.items.iter().map(|i| i.1)).collect();
            let want: Vec<_> = (0..20).flat_map(|s| (0..5).map(move |r| (s, r))).collect();
            prop_assert_eq!(got, want);
            prop_assert_eq!((buffer.waiting(), buffer.given_up()), (0, 0));
        }
    }

    #[test]
    fn a_lost_part_holds_up_a_bounded_number_of_batches() {
        let mut buffer = Resequencer::new(7);
        let mut out = Vec::new();
        buffer.push(8, 2, [(0, 'a')], &mut out).unwrap();
        for sequence in 9..2_000 {
            buffer.push(sequence, 1, [(0, 'b')], &mut out).unwrap();
            assert!(buffer.waiting() <= RESEQUENCE_BATCHES);
        }
        // Batch 7 never came at all and batch 8 came half.
        assert_eq!(buffer.given_up(), 2);
        assert!(!out[0].complete && out[0].sequence == 8);
        assert_eq!(out.len(), 2_000 - 8);
        assert_eq!(buffer.push(8, 2, [(1, 'c')], &mut out), Err(Error::Released(8)));
    }

    #[test]
    fn disagreeing_parts_are_refused_and_flush_empties() {
        let mut buffer = Resequencer::new(0);
        let mut out = Vec::new();
        buffer.push(3, 2, [(1, 1)], &mut out).unwrap();
        assert!(matches!(buffer.push(3, 3, [(1, 1)], &mut out), Err(Error::Parts { .. })));
        assert!(out.is_empty());
        buffer.flush(&mut out);
        assert_eq!((out.len(), buffer.waiting(), buffer.given_up()), (1, 0, 4));
    }
}
