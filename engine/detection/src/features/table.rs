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
    /// Its place is in the list of what changed.
    changed: bool,
    /// Whose state it is: what was or-ed together since it was taken last.
    owner: u64,
    value: V,
}

/// State by key, at most `capacity` entries.
pub struct StateTable<V> {
    index: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    slots: Vec<Slot<V>>,
    hand: usize,
    capacity: usize,
    evicted: u64,
    /// Whether it is remembered what changes.
    tracks: bool,
    /// Places that changed since they were taken last, in the order in which they did first.
    changed: Vec<u32>,
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
            tracks: false,
            changed: Vec::new(),
        }
    }

    /// The state of `key`, if it is here. Counts as use.
    pub fn get(&mut self, key: u64) -> Option<&mut V> {
        let &at = self.index.get(&key)?;
        let slot = &mut self.slots[at as usize];
        slot.used = true;
        Some(&mut slot.value)
    }

    /// Whether there is state of `key`. Does not count as use.
    pub fn holds(&self, key: u64) -> bool {
        self.index.contains_key(&key)
    }

    /// The state of `key`, made anew if it is not here. What had to make room is handed to `evict`
    /// with its key; the new state starts from `fresh()`.
    pub fn entry(
        &mut self,
        key: u64,
        fresh: impl FnOnce() -> V,
        evict: impl FnOnce(u64, V),
    ) -> &mut V {
        let at = self.place(key, fresh, evict);
        &mut self.slots[at].value
    }

    /// [`entry`](Self::entry) with default state and nothing kept of what makes room.
    pub fn touch(&mut self, key: u64) -> &mut V {
        self.entry(key, V::default, |_, _| ())
    }

    /// [`touch`](Self::touch) that notes the change, and whose state it is.
    pub fn touch_by(&mut self, key: u64, owner: u64) -> &mut V {
        self.entry_by(key, owner, V::default, |_, _| ())
    }

    /// [`entry`](Self::entry) that notes the change, and whose state it is.
    pub fn entry_by(
        &mut self,
        key: u64,
        owner: u64,
        fresh: impl FnOnce() -> V,
        evict: impl FnOnce(u64, V),
    ) -> &mut V {
        let at = self.place(key, fresh, evict);
        self.note(at, owner);
        &mut self.slots[at].value
    }

    /// Notes a change of what is here.
    pub fn mark(&mut self, key: u64, owner: u64) {
        if let Some(&at) = self.index.get(&key) {
            self.note(at as usize, owner);
        }
    }

    /// Hands out what changed since this was last called: key, owner and state. Nothing is noted
    /// before the first call.
    pub fn take_changed(&mut self, mut f: impl FnMut(u64, u64, &V)) {
        self.tracks = true;
        for at in std::mem::take(&mut self.changed) {
            let slot = &mut self.slots[at as usize];
            slot.changed = false;
            f(slot.key, std::mem::take(&mut slot.owner), &slot.value);
        }
    }

    fn note(&mut self, at: usize, owner: u64) {
        if !self.tracks {
            return;
        }
        let slot = &mut self.slots[at];
        slot.owner |= owner;
        if !std::mem::replace(&mut slot.changed, true) {
            self.changed.push(at as u32);
        }
    }

    fn place(&mut self, key: u64, fresh: impl FnOnce() -> V, evict: impl FnOnce(u64, V)) -> usize {
        if let Some(&at) = self.index.get(&key) {
            self.slots[at as usize].used = true;
            return at as usize;
        }
        let new = |changed| Slot { key, used: true, changed, owner: 0, value: fresh() };
        let at = if self.slots.len() < self.capacity {
            self.slots.push(new(false));
            self.slots.len() - 1
        } else {
            let at = self.victim();
            // A place that is in the list already is not put there twice.
            let listed = self.slots[at].changed;
            let old = std::mem::replace(&mut self.slots[at], new(listed));
            self.index.remove(&old.key);
            self.evicted += 1;
            evict(old.key, old.value);
            at
        };
        self.index.insert(key, at as u32);
        at
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
    fn what_changed_is_taken_once_with_its_owners() {
        let mut table: StateTable<u32> = StateTable::new(2);
        *table.touch_by(1, 4) = 10;
        let taken = |table: &mut StateTable<u32>| {
            let mut all = Vec::new();
            table.take_changed(|key, owner, value| all.push((key, owner, *value)));
            all
        };
        assert_eq!(taken(&mut table), [], "nothing is noted before the first call");
        *table.touch_by(1, 4) = 11;
        *table.touch_by(1, 8) = 12;
        table.touch(2);
        assert_eq!(taken(&mut table), [(1, 12, 12)]);
        assert_eq!(taken(&mut table), []);
        *table.touch_by(2, 1) = 20;
        for key in 3..9 {
            *table.touch_by(key, key) = 30;
        }
        assert_eq!(taken(&mut table).len(), 2, "what had to make room is gone");
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
