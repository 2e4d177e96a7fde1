//! One isolation tree in a fixed shape: eight levels of splits in heap order, then 256 leaf slots.
//!
//! A leaf above the lowest level fills the shape beneath it with idle splits and repeats its path
//! length in all of its slots. So every row takes eight equal steps, child numbers are arithmetic
//! instead of pointers, and rows are walked several at a time without a branch between them.

use super::FOREST_SAMPLE;
use serde::{Deserialize, Serialize};
use threat::entropy::Rng;

/// Levels of splits: the paper's limit, log2 of the sample.
const DEPTH: usize = 8;
/// Heap positions of splits (the first is unused), and as many leaf slots.
const SLOTS: usize = 1 << DEPTH;
/// Rows walked side by side: enough to hide the latency of a step's two dependent loads.
pub(super) const LANES: usize = 8;
/// Marks a leaf among the stored columns.
const LEAF: u8 = u8::MAX;

const _: () = assert!(FOREST_SAMPLE == SLOTS);

/// A split: a row goes right when its column reaches the threshold. Idle when the threshold is
/// infinite.
#[derive(Clone, Copy, Debug)]
struct Node {
    threshold: f32,
    column: u32,
}

const IDLE: Node = Node { threshold: f32::INFINITY, column: 0 };

/// A tree ready to be walked.
#[derive(Debug)]
pub(super) struct Tree {
    /// Splits in heap order: the children of `i` are `2i` and `2i + 1`, the root is 1.
    nodes: Box<[Node; SLOTS]>,
    /// Path length at each leaf slot.
    lengths: Box<[f32; SLOTS]>,
    /// Mean path length of the sample's rows at each split, by heap position.
    expected: Box<[f32; SLOTS]>,
    /// Sample rows in each leaf, at its first slot; 0 elsewhere.
    sizes: Box<[u16; SLOTS]>,
}

/// A tree in an artifact, in preorder.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredTree {
    /// The column of each split, or [`LEAF`].
    columns: Vec<u8>,
    /// The threshold of each split.
    thresholds: Vec<f32>,
    /// The sample rows in each leaf.
    sizes: Vec<u16>,
}

/// A step of a row's path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Column of the split.
    pub column: usize,
    /// Its threshold.
    pub threshold: f32,
    /// The row went right.
    pub right: bool,
    /// How much the expected path length changed by it.
    pub change: f32,
    /// Sample rows that went the same way.
    pub rows: u32,
}

/// c(n): mean path length of an unsuccessful search in a binary search tree of `n` rows.
pub(super) fn average_path(n: usize) -> f64 {
    if n < 2 {
        return 0.0;
    }
    // The harmonic number itself, as the sample is small; the paper approximates it.
    let harmonic: f64 = (1..n).map(|i| 1.0 / i as f64).sum();
    2.0 * harmonic - 2.0 * (n - 1) as f64 / n as f64
}

impl Tree {
    /// Grows a tree from all rows of `sample` (`rows x width`).
    pub(super) fn grow(sample: &[f32], width: usize, rng: &mut Rng) -> Self {
        let count = sample.len() / width;
        let limit = count.next_power_of_two().trailing_zeros() as usize;
        let mut stored = StoredTree { columns: vec![], thresholds: vec![], sizes: vec![] };
        let mut rows: Vec<usize> = (0..count).collect();
        let mut open = vec![(0, count, 0)];
        while let Some((start, end, depth)) = open.pop() {
            let here = &mut rows[start..end];
            let split = if depth < limit { choose(sample, width, here, rng) } else { None };
            let Some((column, threshold)) = split else {
                stored.columns.push(LEAF);
                stored.sizes.push(here.len() as u16);
                continue;
            };
            stored.columns.push(column as u8);
            stored.thresholds.push(threshold);
            here.sort_by_key(|&r| sample[r * width + column] >= threshold);
            let left = here.partition_point(|&r| sample[r * width + column] < threshold);
            open.push((start + left, end, depth + 1));
            open.push((start, start + left, depth + 1));
        }
        // A tree that was grown by these rules is whole.
        Self::load(&stored, width, count).unwrap_or_else(|_| Self::empty())
    }

    fn empty() -> Self {
        Self {
            nodes: Box::new([IDLE; SLOTS]),
            lengths: Box::new([0.0; SLOTS]),
            expected: Box::new([0.0; SLOTS]),
            sizes: Box::new([0; SLOTS]),
        }
    }

    /// Checks and lays out a stored tree that was grown from `sample` rows of `width` columns.
    pub(super) fn load(s: &StoredTree, width: usize, sample: usize) -> Result<Self, String> {
        let mut tree = Self::empty();
        let (mut thresholds, mut sizes) = (s.thresholds.iter(), s.sizes.iter());
        let mut columns = s.columns.iter();
        let mut open = vec![(1usize, 0usize)];
        let mut total = 0usize;
        while let Some((at, depth)) = open.pop() {
            let &column = columns.next().ok_or("tree ends early")?;
            if column == LEAF {
                let &size = sizes.next().ok_or("leaf without a size")?;
                let first = (at << (DEPTH - depth)) - SLOTS;
                let length = (depth as f64 + average_path(usize::from(size))) as f32;
                tree.lengths[first..first + (1 << (DEPTH - depth))].fill(length);
                tree.sizes[first] = size;
                total += usize::from(size);
                if size == 0 || total > sample {
                    return Err("leaf sizes do not add up to the sample".into());
                }
                continue;
            }
            let &threshold = thresholds.next().ok_or("split without a threshold")?;
            if depth == DEPTH || usize::from(column) >= width || !threshold.is_finite() {
                return Err(format!("split {at} out of its rules"));
            }
            tree.nodes[at] = Node { threshold, column: u32::from(column) };
            open.push((2 * at + 1, depth + 1));
            open.push((2 * at, depth + 1));
        }
        if columns.next().is_some() || thresholds.next().is_some() || sizes.next().is_some() {
            return Err("tree goes on after its end".into());
        }
        if total != sample {
            return Err(format!("{total} rows in the leaves of a tree of {sample}"));
        }
        tree.average();
        Ok(tree)
    }

    /// Fills `expected` from the leaves up.
    fn average(&mut self) {
        for at in (1..SLOTS).rev() {
            let depth = at.ilog2() as usize;
            let first = (at << (DEPTH - depth)) - SLOTS;
            let slots = first..first + (1 << (DEPTH - depth));
            let (mut rows, mut sum) = (0.0f64, 0.0f64);
            for slot in slots {
                rows += f64::from(self.sizes[slot]);
                sum += f64::from(self.sizes[slot]) * f64::from(self.lengths[slot]);
            }
            // Beneath a leaf there may be no rows: all of its slots are of one length.
            let one = self.lengths[first];
            self.expected[at] = if rows > 0.0 { (sum / rows) as f32 } else { one };
        }
    }

    /// The artifact's form.
    pub(super) fn store(&self) -> StoredTree {
        let mut stored = StoredTree { columns: vec![], thresholds: vec![], sizes: vec![] };
        let mut open = vec![(1usize, 0usize)];
        while let Some((at, depth)) = open.pop() {
            if depth < DEPTH && self.nodes[at].threshold.is_finite() {
                stored.columns.push(self.nodes[at].column as u8);
                stored.thresholds.push(self.nodes[at].threshold);
                open.push((2 * at + 1, depth + 1));
                open.push((2 * at, depth + 1));
            } else {
                stored.columns.push(LEAF);
                stored.sizes.push(self.sizes[(at << (DEPTH - depth)) - SLOTS]);
            }
        }
        stored
    }

    /// Mean path length of the sample.
    pub(super) fn expected(&self) -> f32 {
        self.expected[1]
    }

    /// Adds each row's path length to `sums`; both are a multiple of [`LANES`] long.
    pub(super) fn add_lengths<const W: usize>(&self, rows: &[[f32; W]], sums: &mut [f32]) {
        let (rows, sums) = (rows.as_chunks::<LANES>().0, sums.as_chunks_mut::<LANES>().0);
        for (rows, sums) in rows.iter().zip(sums) {
            let mut at = [1usize; LANES];
            for _ in 0..DEPTH {
                for (at, row) in at.iter_mut().zip(rows) {
                    // The masks change nothing; they spare the bounds checks.
                    let node = self.nodes[*at & (SLOTS - 1)];
                    let right = row[node.column as usize & (W - 1)] >= node.threshold;
                    *at = 2 * *at + usize::from(right);
                }
            }
            for (at, sum) in at.iter().zip(sums) {
                *sum += self.lengths[at & (SLOTS - 1)];
            }
        }
    }

    /// The path length of a row and its steps, root first.
    pub(super) fn path(&self, row: &[f32]) -> (f32, Vec<Step>) {
        let (mut at, mut steps) = (1usize, Vec::new());
        while at < SLOTS && self.nodes[at].threshold.is_finite() {
            let Node { threshold, column } = self.nodes[at];
            let right = row[column as usize] >= threshold;
            let before = self.expected[at];
            at = 2 * at + usize::from(right);
            let depth = at.ilog2() as usize;
            let first = (at << (DEPTH - depth)) - SLOTS;
            let after = if at < SLOTS { self.expected[at] } else { self.lengths[first] };
            let rows =
                self.sizes[first..first + (1 << (DEPTH - depth))].iter().map(|&s| u32::from(s));
            steps.push(Step {
                column: column as usize,
                threshold,
                right,
                change: after - before,
                rows: rows.sum(),
            });
        }
        let depth = at.ilog2() as usize;
        (self.lengths[(at << (DEPTH - depth)) - SLOTS], steps)
    }
}

/// A column that varies among `rows` and a threshold between its extremes that leaves rows on both
/// sides; `None` when the rows are alike.
fn choose(sample: &[f32], width: usize, rows: &[usize], rng: &mut Rng) -> Option<(usize, f32)> {
    let mut varying = Vec::with_capacity(width);
    for column in 0..width {
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for &r in rows {
            let v = sample[r * width + column];
            low = low.min(v);
            high = high.max(v);
        }
        if low < high && low.is_finite() && high.is_finite() {
            varying.push((column, low, high));
        }
    }
    let &(column, low, high) = rng.pick(&varying)?;
    let threshold = rng.range(f64::from(low), f64::from(high)) as f32;
    Some((column, if threshold > low { threshold } else { high }))
}
