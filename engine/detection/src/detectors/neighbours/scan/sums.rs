//! Sums over all columns for the points of a group, by the widest instructions there are.
//!
//! Compilers turn the loops below into one instruction for many lanes, and only know of those that
//! every processor of a kind has. What takes half the time is therefore built a second time for
//! AVX2 and chosen when a sample is loaded. Neither way fuses or reorders additions: the sums are
//! the same bit by bit.

use super::{LANES, Lanes, QUAD, Quad};

/// The sums over all columns that take most of the time, for the points of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    /// Differences of bytes, a lower bound of distances in cells.
    pub apart: fn(&[[Lanes; QUAD]], &[[Lanes; QUAD]]) -> [i16; LANES],
    /// Exact distances.
    pub distances: fn(&[[[f32; LANES]; QUAD]], &[Quad]) -> [f32; LANES],
}

impl Sums {
    /// By what every processor has.
    const ANYWHERE: Self = Self { apart: apart_anywhere, distances: distances_anywhere };

    /// The fastest on this processor; the same sums, bit by bit.
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "compilers cannot know the processor; it takes half the time"
        )]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: both functions are safe but for needing AVX2, which this processor has.
            return Self {
                apart: |group, row| unsafe { apart_avx2(group, row) },
                distances: |group, row| unsafe { distances_avx2(group, row) },
            };
        }
        Self::ANYWHERE
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apart_avx2(group: &[[Lanes; QUAD]], row: &[[Lanes; QUAD]]) -> [i16; LANES] {
    apart(group, row)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn distances_avx2(group: &[[[f32; LANES]; QUAD]], row: &[Quad]) -> [f32; LANES] {
    distances(group, row)
}

fn apart_anywhere(group: &[[Lanes; QUAD]], row: &[[Lanes; QUAD]]) -> [i16; LANES] {
    apart(group, row)
}

fn distances_anywhere(group: &[[[f32; LANES]; QUAD]], row: &[Quad]) -> [f32; LANES] {
    distances(group, row)
}

/// Four columns add up to at most 255, which only makes a bound lower. Written so that every loop
/// becomes one instruction for all lanes, in a function of its own.
#[inline(always)]
fn apart(group: &[[Lanes; QUAD]], row: &[[Lanes; QUAD]]) -> [i16; LANES] {
    let mut sums = [0; LANES];
    for ([a, b, c, d], [w, x, y, z]) in group.iter().zip(row) {
        let mut four = [0u8; LANES];
        for i in 0..LANES {
            let at_least = |a: u8, b: u8| a.abs_diff(b).saturating_sub(1);
            let first = at_least(a[i], w[i]).saturating_add(at_least(b[i], x[i]));
            let second = at_least(c[i], y[i]).saturating_add(at_least(d[i], z[i]));
            four[i] = first.saturating_add(second);
        }
        for i in 0..LANES {
            sums[i] += i16::from(four[i]);
        }
    }
    sums
}

/// The distances of all points of a group, with the additions of [`distance`].
#[inline(always)]
fn distances(group: &[[[f32; LANES]; QUAD]], row: &[Quad]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for ([a, b, c, d], &[w, x, y, z]) in group.iter().zip(row) {
        for i in 0..LANES {
            let first = (w - a[i]).abs() + (x - b[i]).abs();
            let second = (y - c[i]).abs() + (z - d[i]).abs();
            sums[i] += first + second;
        }
    }
    sums
}

/// How far a row's bytes lie outside of boxes, as [`apart`] counts.
#[inline(never)]
pub(super) fn outside(block: &[[[Lanes; QUAD]; 2]], row: &[[Lanes; QUAD]]) -> [i16; LANES] {
    let mut sums = [0; LANES];
    for ([least, most], bytes) in block.iter().zip(row) {
        for ((least, most), byte) in least.iter().zip(most).zip(bytes) {
            for i in 0..LANES {
                // One of the two is 0.
                let out = least[i].saturating_sub(byte[i]) | byte[i].saturating_sub(most[i]);
                sums[i] += i16::from(out.saturating_sub(1));
            }
        }
    }
    sums
}

pub(super) fn any_below(sums: &[i16; LANES], limit: i16) -> bool {
    // Without a branch a lane, so that it becomes a comparison of all.
    sums.iter().fold(false, |any, &sum| any | (sum < limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_way_to_add_gives_the_same_sums(
            bytes in prop::collection::vec(any::<u8>(), 3 * QUAD * (LANES + 1)),
        ) {
            let (row, group) = bytes.split_at(3 * QUAD);
            let row: Vec<[Lanes; QUAD]> =
                row.as_chunks().0.iter().map(|q: &[u8; QUAD]| q.map(|b| [b; LANES])).collect();
            let lanes: Vec<Lanes> = group.as_chunks().0.to_vec();
            let group: Vec<[Lanes; QUAD]> = lanes.as_chunks().0.to_vec();
            let (fast, plain) = (Sums::fastest(), Sums::ANYWHERE);
            prop_assert_eq!((fast.apart)(&group, &row), (plain.apart)(&group, &row));
            let floats = |quad: &[Lanes; QUAD]| quad.map(|lanes| lanes.map(|b| f32::from(b) / 3.0));
            let exact: Vec<[[f32; LANES]; QUAD]> = group.iter().map(floats).collect();
            let row: Vec<Quad> = row.iter().map(|q| q.map(|lanes| f32::from(lanes[0]))).collect();
            let bits = |sums: Sums| (sums.distances)(&exact, &row).map(f32::to_bits);
            prop_assert_eq!(bits(fast), bits(plain));
        }
    }
}
