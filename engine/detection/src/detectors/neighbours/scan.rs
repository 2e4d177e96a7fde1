//! The nearest points to a row, by comparing with all of them.

use super::NEIGHBOUR_COLUMNS;

/// Points compared at a time. Their sums stay in the first-level cache; so many that compilers
/// make a plain vector loop of them, so few that giving a group up half way pays.
const LANES: usize = 64;

/// Columns added to the sums at a time, so that each sum is read and written once for four.
const QUAD: usize = 4;

/// Points in groups of [`LANES`]: a group holds, column after column, that column of its points.
/// Columns are filled up to a multiple of [`QUAD`] with zeros, points with infinities.
#[derive(Debug)]
pub(super) struct Points {
    quads: usize,
    groups: Vec<[[f32; LANES]; QUAD]>,
}

/// A point and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub distance: f32,
    pub point: u32,
}

/// Nothing found yet.
const NOWHERE: Near = Near { distance: f32::INFINITY, point: 0 };

impl Points {
    /// Lays out `points x width` values.
    pub(super) fn new(values: &[f32], width: usize) -> Self {
        let quads = width.div_ceil(QUAD);
        let mut groups = Vec::new();
        for group in values.chunks(LANES * width) {
            let value = |lane: usize, column: usize| match group.get(lane * width + column) {
                _ if column >= width => 0.0,
                Some(&v) => v,
                None => f32::INFINITY,
            };
            for quad in 0..quads {
                groups.push(std::array::from_fn(|c| {
                    std::array::from_fn(|lane| value(lane, quad * QUAD + c))
                }));
            }
        }
        Self { quads, groups }
    }

    /// The `K` nearest points, nearest first; of equally far ones those that come first.
    pub(super) fn nearest<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let mut padded = [0.0f32; NEIGHBOUR_COLUMNS];
        padded[..row.len()].copy_from_slice(row);
        let row = &padded.as_chunks::<QUAD>().0[..self.quads];
        let (first, second) = row.split_at(self.quads / 2);
        let mut best = [NOWHERE; K];
        for (g, group) in self.groups.chunks_exact(self.quads).enumerate() {
            let limit = best[K - 1].distance;
            let mut sums = [0.0f32; LANES];
            add_gaps(&mut sums, group, first);
            if least(&sums) >= limit {
                continue;
            }
            add_gaps(&mut sums, &group[first.len()..], second);
            if least(&sums) >= limit {
                continue;
            }
            for (lane, &distance) in sums.iter().enumerate() {
                insert(&mut best, Near { distance, point: (g * LANES + lane) as u32 });
            }
        }
        best
    }
}

fn add_gaps(sums: &mut [f32; LANES], columns: &[[[f32; LANES]; QUAD]], row: &[[f32; QUAD]]) {
    for ([a, b, c, d], &[w, x, y, z]) in columns.iter().zip(row) {
        for lane in 0..LANES {
            let first = (w - a[lane]).abs() + (x - b[lane]).abs();
            let second = (y - c[lane]).abs() + (z - d[lane]).abs();
            sums[lane] += first + second;
        }
    }
}

fn least(sums: &[f32; LANES]) -> f32 {
    // Written so that it becomes one instruction for four lanes; no sum is NaN.
    let mut four = [f32::INFINITY; 4];
    for quarter in sums.as_chunks::<4>().0 {
        for (least, &s) in four.iter_mut().zip(quarter) {
            *least = if s < *least { s } else { *least };
        }
    }
    four.iter().fold(f32::INFINITY, |a, &b| if b < a { b } else { a })
}

fn insert<const K: usize>(best: &mut [Near; K], new: Near) {
    if new.distance >= best[K - 1].distance {
        return;
    }
    let at = best.partition_point(|b| b.distance <= new.distance);
    best[at..].rotate_right(1);
    best[at] = new;
}
