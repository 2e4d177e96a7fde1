//! Rough comparison of a row with all points, by the widest instructions there are.
//!
//! Compilers only use what every processor of a kind has, and do not find the one instruction that
//! adds the differences of eight bytes. What takes most of the time is therefore built a second
//! time for AVX2 and chosen when a sample is loaded. The sums are the same: they are whole numbers.

use super::{EIGHT, LANES};

/// Points whose words a register holds.
const WORDS: usize = 4;

/// Registers of a group.
const REGISTERS: usize = LANES / WORDS;

/// The bytes of eight columns for the points of a group: a word each.
pub(super) type Eight = [[u64; WORDS]; REGISTERS];

/// One sum for each point of a group.
pub(super) type Sums = [i16; LANES];

/// The sums of a group, and the least of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Compared {
    pub sums: Sums,
    pub least: i16,
}

/// Sums the differences of bytes between points (`groups x eights`) and a row, less what each point
/// was rounded. 128 columns of bytes that differ by 255 are within an `i16`.
pub(super) type Apart = fn(&[Eight], &[u64], &[Sums], &mut [Compared]);

/// Where the word of a lane is: its register, and its place there. Four registers of words end as
/// one of sums, the first words of all four first.
pub(super) fn place(lane: usize) -> (usize, usize) {
    (lane / 16 * 4 + lane % 4, lane % 16 / 4)
}

/// The fastest on this processor.
pub(super) fn fastest() -> Apart {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "compilers cannot know the processor; it is four times faster")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the function is safe but for needing AVX2, which this processor has.
        return |points, row, rounded, found| unsafe { avx2::apart(points, row, rounded, found) };
    }
    apart
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Compared, Eight, REGISTERS, Sums, WORDS, less};
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi64, _mm256_extract_epi64, _mm256_or_si256, _mm256_sad_epu8,
        _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_slli_epi64,
    };

    #[target_feature(enable = "avx2")]
    pub(super) fn apart(points: &[Eight], row: &[u64], rounded: &[Sums], found: &mut [Compared]) {
        let groups = points.chunks_exact(points.len() / rounded.len());
        for ((group, rounded), found) in groups.zip(rounded).zip(found) {
            let mut sums = [_mm256_setzero_si256(); REGISTERS];
            for (points, &row) in group.iter().zip(row) {
                let row = _mm256_set1_epi64x(row as i64);
                for (sum, words) in sums.iter_mut().zip(points) {
                    *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(load(words), row));
                }
            }
            *found = less(gather(sums), rounded);
        }
    }

    #[target_feature(enable = "avx2")]
    fn load([a, b, c, d]: &[u64; WORDS]) -> __m256i {
        _mm256_setr_epi64x(*a as i64, *b as i64, *c as i64, *d as i64)
    }

    /// Sums of 16 bits, as [`super::place`] says. None is longer.
    #[target_feature(enable = "avx2")]
    fn gather([a, b, c, d, e, f, g, h]: [__m256i; REGISTERS]) -> Sums {
        let mut lanes = Sums::default();
        let halves = lanes.as_chunks_mut::<16>().0.iter_mut();
        for (half, [a, b, c, d]) in halves.zip([[a, b, c, d], [e, f, g, h]]) {
            let ab = _mm256_or_si256(a, _mm256_slli_epi64::<16>(b));
            let cd = _mm256_or_si256(c, _mm256_slli_epi64::<16>(d));
            let all = _mm256_or_si256(ab, _mm256_slli_epi64::<32>(cd));
            let words = [
                _mm256_extract_epi64::<0>(all),
                _mm256_extract_epi64::<1>(all),
                _mm256_extract_epi64::<2>(all),
                _mm256_extract_epi64::<3>(all),
            ];
            for (four, word) in half.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *four = [0, 16, 32, 48].map(|shift| (word >> shift) as i16);
            }
        }
        lanes
    }
}

fn apart(points: &[Eight], row: &[u64], rounded: &[Sums], found: &mut [Compared]) {
    let groups = points.chunks_exact(points.len() / rounded.len());
    for ((group, rounded), found) in groups.zip(rounded).zip(found) {
        let sums = std::array::from_fn(|lane| {
            let (register, word) = place(lane);
            let differences = group.iter().zip(row).map(|(points, row)| {
                differences(points[register][word].to_le_bytes(), row.to_le_bytes())
            });
            differences.sum()
        });
        *found = less(sums, rounded);
    }
}

/// A group's sums less what its points were rounded.
#[inline(always)]
fn less(mut sums: Sums, rounded: &Sums) -> Compared {
    sums.iter_mut().zip(rounded).for_each(|(sum, rounded)| *sum = sum.saturating_sub(*rounded));
    Compared { sums, least: sums.iter().fold(i16::MAX, |least, &sum| least.min(sum)) }
}

fn differences(point: [u8; EIGHT], row: [u8; EIGHT]) -> i16 {
    (0..EIGHT).map(|i| i16::from(point[i].abs_diff(row[i]))).sum()
}

#[cfg(test)]
mod tests {
    use super::super::EIGHTS;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_way_to_add_gives_the_same_sums(
            words in prop::collection::vec(
                prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)],
                EIGHTS * (1 + 3 * LANES),
            ),
            used in 1..=EIGHTS,
            rounded in prop::collection::vec(prop_oneof![0..400i16, Just(i16::MIN)], 3 * LANES),
        ) {
            let (row, words) = words.split_at(EIGHTS);
            let words: Vec<[u64; WORDS]> = words.as_chunks().0.to_vec();
            let points: Vec<Eight> = words.as_chunks().0.to_vec();
            let (points, rounded) = (&points[..3 * used], rounded.as_chunks::<LANES>().0);
            let sums = |apart: Apart| {
                let mut found = [Compared::default(); 3];
                apart(points, row, rounded, &mut found);
                found
            };
            prop_assert_eq!(sums(fastest()), sums(apart));
        }
    }
}
