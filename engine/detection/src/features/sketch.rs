//! Small sketches over event-time windows: how many, and how many different ones, lately.
//!
//! A window is kept as two halves that rotate, so it covers between one and two of its widths;
//! reading and writing are O(1) and the size is fixed.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use threat::Timestamp;
use threat::entropy::mix64;

/// Counts distinct hashes by linear counting (Whang, Vander-Zanden, Taylor: "A linear-time
/// probabilistic counting algorithm", TODS 1990): standard error under 8% up to twice its `64 *
/// WORDS` bits; beyond five times it saturates, far above any threshold that is set on it.
#[derive(Clone, Copy, Debug)]
pub struct Distinct<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Default for Distinct<WORDS> {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

/// As a tuple of its words: serde knows arrays of a fixed length alone.
impl<const WORDS: usize> Serialize for Distinct<WORDS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(WORDS)?;
        for word in &self.0 {
            tuple.serialize_element(word)?;
        }
        tuple.end()
    }
}

impl<'de, const WORDS: usize> Deserialize<'de> for Distinct<WORDS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words<const WORDS: usize>;
        impl<'de, const WORDS: usize> Visitor<'de> for Words<WORDS> {
            type Value = Distinct<WORDS>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{WORDS} words")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Self::Value, A::Error> {
                let mut sketch = Distinct::default();
                for (i, word) in sketch.0.iter_mut().enumerate() {
                    let next = words.next_element()?;
                    *word = next.ok_or_else(|| A::Error::invalid_length(i, &self))?;
                }
                Ok(sketch)
            }
        }
        deserializer.deserialize_tuple(WORDS, Words)
    }
}

impl<const WORDS: usize> Distinct<WORDS> {
    /// Adds an item by its hash; true when it is surely new.
    pub fn add(&mut self, hash: u64) -> bool {
        let h = mix64(hash);
        let word = &mut self.0[((h >> 32) as usize) % WORDS];
        let bit = 1u64 << (h & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Adds what the other has.
    fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
    }

    /// The estimated number of distinct items in the union of the two.
    pub fn union_estimate(&self, other: &Self) -> f32 {
        let ones: u32 = self.0.iter().zip(&other.0).map(|(a, b)| (a | b).count_ones()).sum();
        let bits = (WORDS * 64) as f32;
        // A full sketch cannot tell how many: answer what one zero bit would.
        let zeros = (bits - ones as f32).max(1.0);
        -bits * (zeros / bits).ln()
    }
}

/// Turns the halves of a window of `width` seconds when event time calls for it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Halves<T> {
    start: Timestamp,
    started: bool,
    /// The half being filled.
    pub now: T,
    /// The half before.
    pub before: T,
}

impl<T: Default + Copy> Halves<T> {
    /// When the half being filled began.
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// Turns up to `time`; what is older than two widths is forgotten. Time going backwards turns
    /// nothing.
    pub fn turn(&mut self, time: Timestamp, width: f64) {
        if !self.started {
            self.start = time;
            self.started = true;
            return;
        }
        let elapsed = time.since(self.start);
        if elapsed < width {
            return;
        }
        if elapsed < 2.0 * width {
            self.before = self.now;
            self.start = self.start.plus_secs(width);
        } else {
            self.before = T::default();
            self.start = time;
        }
        self.now = T::default();
    }
}

impl Halves<u32> {
    /// Both halves.
    pub fn total(&self) -> f32 {
        (self.now.saturating_add(self.before)) as f32
    }
}

impl<const WORDS: usize> Halves<Distinct<WORDS>> {
    /// Distinct items in both halves.
    pub fn estimate(&self) -> f32 {
        self.now.union_estimate(&self.before)
    }

    /// What both saw, of windows of `width` seconds. An item that both have counts once. A half
    /// that began at another time goes where most of it belongs.
    pub fn joined(mut self, mut other: Self, width: f64) -> Self {
        if !self.started || (other.started && other.start > self.start) {
            std::mem::swap(&mut self, &mut other);
        }
        let behind = self.start.since(other.start);
        if other.started && behind < width / 2.0 {
            self.now.join(&other.now);
            self.before.join(&other.before);
        } else if other.started && behind < 2.0 * width {
            self.before.join(&other.now);
        }
        self
    }
}

/// Running mean and variance (Welford), with the memory limited to the last `cap` values or so, so
/// that a changed habit is learnt again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Moments {
    count: u32,
    mean: f32,
    m2: f32,
}

impl Moments {
    /// Adds a value; beyond `cap` values the oldest lose weight exponentially.
    pub fn add(&mut self, value: f32, cap: u32) {
        if self.count >= cap {
            let keep = (cap as f32 - 1.0) / cap as f32;
            self.m2 *= keep;
            let delta = value - self.mean;
            self.mean += delta / cap as f32;
            self.m2 += delta * (value - self.mean);
        } else {
            self.count += 1;
            let delta = value - self.mean;
            self.mean += delta / self.count as f32;
            self.m2 += delta * (value - self.mean);
        }
    }

    /// Whether these are numbers that values give: what comes from outside may be none.
    pub const fn sound(&self) -> bool {
        self.mean.is_finite() && self.m2.is_finite()
    }

    /// Values seen, at most the cap.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The mean; 0 before the first value.
    pub const fn mean(&self) -> f32 {
        self.mean
    }

    /// Standard deviation over mean; 0 before two values or around a mean of 0.
    pub fn variation(&self) -> f32 {
        if self.count < 2 || self.mean.abs() < f32::EPSILON {
            return 0.0;
        }
        (self.m2.max(0.0) / self.count as f32).sqrt() / self.mean.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_counts_are_close() {
        for n in [1u64, 10, 100, 400] {
            let mut d = Distinct::<4>::default();
            for i in 0..n {
                d.add(i);
                d.add(i);
            }
            let estimate = d.union_estimate(&Distinct::default());
            assert!((estimate - n as f32).abs() <= 1.0 + n as f32 * 0.2, "{n}: {estimate}");
        }
    }

    #[test]
    fn a_window_forgets_after_two_widths() {
        let at = |s: f64| Timestamp::from_secs_f64(s).unwrap();
        let mut w = Halves::<u32>::default();
        for s in [0.0, 10.0, 59.0] {
            w.turn(at(s), 60.0);
            w.now += 1;
        }
        assert_eq!(w.total(), 3.0);
        w.turn(at(61.0), 60.0);
        assert_eq!(w.total(), 3.0);
        w.turn(at(125.0), 60.0);
        assert_eq!(w.total(), 0.0);
        w.now += 1;
        w.turn(at(3.0), 60.0);
        assert_eq!(w.total(), 1.0);
    }

    #[test]
    fn moments_agree_with_the_definition() {
        let mut m = Moments::default();
        for v in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            m.add(v, 100);
        }
        assert!((m.mean() - 5.0).abs() < 1e-6);
        assert!((m.variation() - 2.0 / 5.0).abs() < 1e-6);
        for _ in 0..2_000 {
            m.add(50.0, 100);
        }
        assert!((m.mean() - 50.0).abs() < 0.01 && m.variation() < 0.01);
    }
}
