//! The nearest points to a row, by comparing with all of them.

/// Points compared at a time: four registers of four on any machine.
const LANES: usize = 16;

/// Points in groups of [`LANES`]: a group holds, column after column, that column of its points.
#[derive(Debug)]
pub(super) struct Points {
    width: usize,
    groups: Vec<[f32; LANES]>,
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
    /// Lays out `points x width` values; the last group is filled up with points at infinity.
    pub(super) fn new(values: &[f32], width: usize) -> Self {
        let mut groups = Vec::new();
        for group in values.chunks(LANES * width) {
            for column in 0..width {
                groups.push(std::array::from_fn(|lane| {
                    group.get(lane * width + column).copied().unwrap_or(f32::INFINITY)
                }));
            }
        }
        Self { width, groups }
    }

    /// The `K` nearest points, nearest first; of equally far ones those that come first.
    pub(super) fn nearest<const K: usize>(&self, row: &[f32]) -> [Near; K] {
        let mut best = [NOWHERE; K];
        let half = row.len() / 2;
        for (g, group) in self.groups.chunks_exact(self.width).enumerate() {
            let limit = best[K - 1].distance;
            let mut sums = [0.0f32; LANES];
            add_gaps(&mut sums, &group[..half], &row[..half]);
            if least(&sums) >= limit {
                continue;
            }
            add_gaps(&mut sums, &group[half..], &row[half..]);
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

fn add_gaps(sums: &mut [f32; LANES], columns: &[[f32; LANES]], row: &[f32]) {
    for (column, &x) in columns.iter().zip(row) {
        for (sum, &v) in sums.iter_mut().zip(column) {
            *sum += (x - v).abs();
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
