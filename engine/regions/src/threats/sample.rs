//! A capped set that joins: of all texts ever added, those with the least hashes.
//!
//! Keeping the first ones, or the most frequent, depends on who adds what when; the ones with the
//! least hashes are the same in whatever order sets are joined (bottom-k sketches: Cohen, Kaplan,
//! "Summarizing data using bottom-k sketches", PODC 2007). The sketch also tells about how many
//! different texts there were.

use super::limits::TEXT_BYTES;
use serde::{Deserialize, Serialize};
use threat::Text;

/// Texts kept: as many as a person reads, and little enough for a million threats.
pub const SAMPLE: usize = 16;

/// Up to [`SAMPLE`] texts, by hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    kept: Vec<Text>,
}

fn hash(text: &str) -> u64 {
    threat::entity::hash_bytes(text.as_bytes())
}

/// A text within its limit: what is over it is cut off, in the same place on every node.
pub(super) fn cut(text: &Text) -> Text {
    text[..text.floor_char_boundary(TEXT_BYTES)].into()
}

/// What texts are ordered by: equal hashes are told apart by the text.
fn key(text: &Text) -> (u64, &str) {
    (hash(text), text)
}

impl Sample {
    /// Adds a text; whether that changed anything.
    pub fn add(&mut self, text: &Text) -> bool {
        let Err(at) = self.kept.binary_search_by(|k| key(k).cmp(&key(text))) else { return false };
        if at == SAMPLE {
            return false;
        }
        self.kept.truncate(SAMPLE - 1);
        // One more than needed and no more: a million of these are kept.
        self.kept.reserve_exact(1);
        self.kept.insert(at, text.clone());
        true
    }

    /// Adds all that another one holds; whether that changed anything.
    pub fn join(&mut self, other: &Self) -> bool {
        other.kept.iter().fold(false, |changed, text| self.add(text) | changed)
    }

    /// The texts that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Text> {
        self.kept.iter()
    }

    /// About how many different texts were added; exact while they all fit.
    pub fn distinct(&self) -> u64 {
        match self.kept.get(SAMPLE - 1) {
            None => self.kept.len() as u64,
            Some(last) => {
                let share = (hash(last) as f64 + 1.0) / 2f64.powi(64);
                ((SAMPLE - 1) as f64 / share) as u64
            }
        }
    }

    /// Whether this could have been made by adding.
    pub(super) fn is_valid(&self) -> bool {
        self.kept.len() <= SAMPLE
            && self.kept.iter().all(|text| text.len() <= TEXT_BYTES)
            && self.kept.is_sorted_by(|a, b| key(a) < key(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(numbers: &[u16]) -> Sample {
        let mut sample = Sample::default();
        for n in numbers {
            sample.add(&n.to_string().into());
        }
        sample
    }

    proptest! {
        #[test]
        fn a_sample_is_the_same_however_it_is_made(
            a in prop::collection::vec(0u16..60, 0..40),
            b in prop::collection::vec(0u16..60, 0..40),
        ) {
            let (mut ab, mut ba) = (of(&a), of(&b));
            ab.join(&of(&b));
            ba.join(&of(&a));
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(&ab, &of(&[a, b].concat()));
            prop_assert!(ab.is_valid());
            prop_assert!(!ab.clone().join(&ba), "joining again changes nothing");
        }
    }

    #[test]
    fn the_number_of_different_texts_is_told() {
        assert_eq!(of(&[1, 2, 2, 3]).distinct(), 3);
        let many: Vec<u16> = (0..10_000).collect();
        // The estimate's standard error is a quarter for sixteen texts.
        let told = of(&many).distinct();
        assert!((4_000..25_000).contains(&told), "{told}");
    }
}
