//! Digests of a keyed set: equal sets have equal digests, and unequal ones show where they differ.
//!
//! Ids fall into 256 partitions of 256 buckets by their first bits. A bucket's digest is the
//! exclusive or of its records' keyed hashes, so that a write costs two operations, whatever the
//! size of the set. A secret key keeps whoever chooses records from making different sets look
//! equal.

use serde::{Deserialize, Serialize};
use threat::ThreatId;

/// Partitions, and buckets of each: for a million records a bucket holds fifteen, and the digests
/// of all partitions are 2 KiB.
pub const FAN: usize = 256;

/// What a cluster's digests are computed under; see [`key_of`].
pub type Key = [u8; 32];

/// The key of a cluster by its name.
///
/// It is **no secret**: names of clusters stand in certificates. Who knows it and chooses names in
/// logs could, with work, make two sets of records with one digest, so that a node that missed one
/// of them does not learn of it by comparing; what is told when it changes reaches it still. A
/// secret would have to be agreed on, kept and changed, which is more than that is worth.
pub fn key_of(cluster: &str) -> Key {
    blake3::derive_key("watchfire 2026-11 digests of replicated threats", cluster.as_bytes())
}

/// Where an id belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its partition.
    pub partition: u8,
    /// Its bucket therein.
    pub bucket: u8,
}

impl Place {
    /// The place of an id. Ids are hashes, so their first bits spread evenly.
    pub const fn of(id: ThreatId) -> Self {
        Self { partition: (id.0 >> 120) as u8, bucket: (id.0 >> 112) as u8 }
    }

    /// The least id that belongs here.
    pub const fn first(self) -> ThreatId {
        ThreatId((self.partition as u128) << 120 | (self.bucket as u128) << 112)
    }

    /// The greatest id that belongs here.
    pub const fn last(self) -> ThreatId {
        ThreatId(self.first().0 | ((1 << 112) - 1))
    }
}

/// Hash of a record's canonical bytes.
pub fn of_bytes(key: &Key, bytes: &[u8]) -> u64 {
    let hash = blake3::keyed_hash(key, bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The digests of the buckets of a partition in which there never was anything.
const NOTHING: &[u64; FAN] = &[0; FAN];

/// The digests of a set.
#[derive(Clone, Debug)]
pub struct Digests {
    /// Those of a partition are made with its first record: a small set has few, and all of them
    /// are half a mebibyte.
    buckets: Vec<Option<Box<[u64; FAN]>>>,
    partitions: [u64; FAN],
}

impl Default for Digests {
    fn default() -> Self {
        Self { buckets: vec![None; FAN], partitions: [0; FAN] }
    }
}

impl PartialEq for Digests {
    fn eq(&self, other: &Self) -> bool {
        // What came and went is as what never was.
        let same = |partition| self.buckets(partition) == other.buckets(partition);
        self.partitions == other.partitions && (0..=u8::MAX).all(same)
    }
}

impl Eq for Digests {}

impl Digests {
    /// Puts a record's hash in, or takes it out: both are the same operation.
    pub fn toggle(&mut self, place: Place, hash: u64) {
        let buckets =
            self.buckets[usize::from(place.partition)].get_or_insert_with(|| Box::new([0; FAN]));
        buckets[usize::from(place.bucket)] ^= hash;
        self.partitions[usize::from(place.partition)] ^= hash;
    }

    /// One digest a partition.
    pub const fn partitions(&self) -> &[u64; FAN] {
        &self.partitions
    }

    /// The digests of a partition's buckets.
    pub fn buckets(&self, partition: u8) -> &[u64; FAN] {
        self.buckets[usize::from(partition)].as_deref().unwrap_or(NOTHING)
    }

    /// One digest of all.
    pub fn all(&self) -> u64 {
        self.partitions.iter().fold(0, |all, p| all ^ p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_lies_between_the_ends_of_its_place(id: u128) {
            let place = Place::of(ThreatId(id));
            prop_assert!((place.first()..=place.last()).contains(&ThreatId(id)));
            prop_assert_eq!(Place::of(place.first()), place);
            prop_assert_eq!(Place::of(place.last()), place);
        }
    }

    #[test]
    fn a_record_that_came_and_went_leaves_no_trace() {
        let mut digests = Digests::default();
        let place = Place { partition: 3, bucket: 250 };
        digests.toggle(place, 77);
        assert_eq!((digests.partitions()[3], digests.buckets(3)[250], digests.all()), (77, 77, 77));
        digests.toggle(place, 77);
        assert_eq!(digests, Digests::default());
        assert_ne!(of_bytes(&[0; 32], b"x"), of_bytes(&[1; 32], b"x"));
    }
}
