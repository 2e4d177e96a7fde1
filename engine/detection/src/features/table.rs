//! A bounded table of state by 64-bit key: when full, the entry that was not used for longest (by
//! the clock algorithm, second chance) makes room. Insertion, lookup and eviction are O(1)
//! amortised.
//!
//! Keys are hashes already (entities, pairs), so they are not hashed again. Nothing iterates in an
//! order that the hasher decides.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Passes a 64-bit key through.
#[derive(Clone, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = threat::entity::hash_bytes(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

struct Slot<V> {
    key: u64,
    used: bool,
    value: V,
}

/// State by key, at most `capacity` entries.
pub struct StateTable<V> {
    index: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    slots: Vec<Slot<V>>,
    hand: usize,
    capacity: usize,
    evicted: u64,
}

impl<V: Default> StateTable<V> {
    /// An empty table; memory grows with use up to `capacity` entries (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            index: HashMap::default(),
            slots: Vec::new(),
            hand: 0,
            capacity: capacity.clamp(1, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// The state of `key`, if it is here. Counts as use.
    pub fn get(&mut self, key: u64) -> Option<&mut V> {
        let &at = self.index.get(&key)?;
        let slot = &mut self.slots[at as usize];
        slot.used = true;
        Some(&mut slot.value)
    }

    /// The state of `key`, made anew if it is not here. What had to make room is handed to `evict`
    /// with its key; the new state starts from `fresh()`.
    pub fn entry(
        &mut self,
        key: u64,
        fresh: impl FnOnce() -> V,
        evict: impl FnOnce(u64, V),
    ) -> &mut V {
        if let Some(&at) = self.index.get(&key) {
            let slot = &mut self.slots[at as usize];
            slot.used = true;
            return &mut slot.value;
        }
        let at = if self.slots.len() < self.capacity {
            self.slots.push(Slot { key, used: true, value: fresh() });
            self.slots.len() - 1
        } else {
            let at = self.victim();
            let old =
                std::mem::replace(&mut self.slots[at], Slot { key, used: true, value: fresh() });
            self.index.remove(&old.key);
            self.evicted += 1;
            evict(old.key, old.value);
            at
        };
        self.index.insert(key, at as u32);
        &mut self.slots[at].value
    }

    /// [`entry`](Self::entry) with default state and nothing kept of what makes room.
    pub fn touch(&mut self, key: u64) -> &mut V {
        self.entry(key, V::default, |_, _| ())
    }

    fn victim(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !std::mem::take(&mut self.slots[at].used) {
                return at;
            }
        }
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// No entry held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Entries that had to make room so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_over_capacity_and_always_right(keys in prop::collection::vec(0u64..40, 1..400)) {
            let mut table: StateTable<u64> = StateTable::new(16);
            for key in keys {
                let value = table.entry(key, || key * 10, |old, v| assert_eq!(v, old * 10));
                prop_assert_eq!(*value, key * 10);
                prop_assert!(table.len() <= 16);
                prop_assert_eq!(table.get(key).copied(), Some(key * 10));
            }
        }
    }

    #[test]
    fn what_is_used_stays() {
        let mut table: StateTable<u32> = StateTable::new(4);
        for key in 0..4 {
            table.touch(key);
        }
        for key in 100..200 {
            *table.touch(1) += 1;
            table.touch(key);
        }
        assert_eq!(table.get(1).copied(), Some(100));
        assert_eq!(table.evicted(), 99 + 1);
    }
}
