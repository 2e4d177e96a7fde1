//! Growing one tree on binned columns: always the leaf whose split lowers the loss most.

use serde::{Deserialize, Serialize};

/// Leaves at most: interactions of about five columns.
const LEAVES: usize = 31;

/// Bins of a column: finer thresholds do not show in the loss.
const BINS: usize = 256;

/// Rows in a leaf at least, or its value is a guess.
const LEAF_ROWS: u32 = 20;

/// Added to the curvature of each leaf: draws small leaves to no change.
const SHRINK: f64 = 1.0;

/// A node: a split, or a leaf when `right` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    /// What a row here adds to the odds, were this the leaf.
    pub value: f32,
    /// Rows whose column reaches this go right.
    pub threshold: f32,
    /// The split's column.
    pub column: u16,
    left: u16,
    right: u16,
}

/// A tree; the root is node 0, children stand after their parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
}

impl Tree {
    /// The node that a row goes to from `node`; `None` from a leaf.
    pub(super) fn next(&self, node: &Node, row: &[f32]) -> Option<&Node> {
        let right = row[usize::from(node.column)] >= node.threshold;
        (node.right > 0)
            .then(|| &self.nodes[usize::from(if right { node.right } else { node.left })])
    }

    /// The leaf of a row.
    pub(super) fn leaf(&self, row: &[f32]) -> &Node {
        let mut at = &self.nodes[0];
        while let Some(next) = self.next(at, row) {
            at = next;
        }
        at
    }

    /// Whether every path ends in a leaf and reads one of `width` columns.
    pub(super) fn is_whole(&self, width: usize) -> bool {
        let few = (1..2 * LEAVES).contains(&self.nodes.len());
        few && self.nodes.iter().enumerate().all(|(i, n)| {
            let after =
                |child: u16| usize::from(child) > i && usize::from(child) < self.nodes.len();
            let leaf = n.left == 0 && n.right == 0;
            let split = after(n.left) && after(n.right) && n.threshold.is_finite();
            n.value.is_finite() && usize::from(n.column) < width && (leaf || split)
        })
    }
}

/// Training columns as bin numbers.
pub(super) struct Binned {
    /// Bin of each row, column by column.
    bins: Vec<Vec<u8>>,
    /// Least value of each bin but the first, column by column.
    cuts: Vec<Vec<f32>>,
    rows: usize,
}

impl Binned {
    /// Bins columns of equal length.
    pub(super) fn of(columns: &[Vec<f32>]) -> Self {
        let cuts: Vec<Vec<f32>> = columns.iter().map(|c| cuts(c)).collect();
        let bins = columns.iter().zip(&cuts).map(|(column, cuts)| {
            column.iter().map(|x| cuts.partition_point(|cut| cut <= x) as u8).collect()
        });
        Self { bins: bins.collect(), rows: columns.first().map_or(0, Vec::len), cuts }
    }
}

fn cuts(column: &[f32]) -> Vec<f32> {
    let mut sorted = column.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    if distinct.len() > BINS {
        distinct = (0..BINS).map(|i| sorted[i * sorted.len() / BINS]).collect();
        distinct.dedup();
    }
    // Half way between neighbours, where rows that were not seen part best.
    distinct.windows(2).map(|w| w[0] / 2.0 + w[1] / 2.0).filter(|c| c.is_finite()).collect()
}

/// Sums of slopes, curvatures and rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    slope: f64,
    curve: f64,
    rows: u32,
}

impl Sum {
    fn without(self, other: Self) -> Self {
        Self {
            slope: self.slope - other.slope,
            curve: self.curve - other.curve,
            rows: self.rows - other.rows,
        }
    }

    fn gain(self) -> f64 {
        self.slope * self.slope / (self.curve + SHRINK)
    }
}

/// The best split of a leaf.
#[derive(Clone, Copy, Debug)]
struct Split {
    gain: f64,
    column: usize,
    bin: usize,
}

/// A leaf while the tree grows.
struct Leaf {
    node: usize,
    rows: Vec<u32>,
    sum: Sum,
    /// `columns x BINS`.
    histogram: Vec<Sum>,
    best: Option<Split>,
}

fn histogram(binned: &Binned, rows: &[u32], slopes: &[(f64, f64)]) -> Vec<Sum> {
    let mut all = vec![Sum::default(); binned.bins.len() * BINS];
    for (bins, sums) in binned.bins.iter().zip(all.chunks_exact_mut(BINS)) {
        for &row in rows {
            let (slope, curve) = slopes[row as usize];
            let sum = &mut sums[usize::from(bins[row as usize])];
            sum.slope += slope;
            sum.curve += curve;
            sum.rows += 1;
        }
    }
    all
}

impl Leaf {
    fn new(node: usize, rows: Vec<u32>, histogram: Vec<Sum>, binned: &Binned) -> Self {
        let mut sum = Sum::default();
        // Every column's bins hold all rows.
        for s in histogram.iter().take(BINS) {
            sum.slope += s.slope;
            sum.curve += s.curve;
            sum.rows += s.rows;
        }
        let mut leaf = Self { node, rows, sum, histogram, best: None };
        leaf.best = leaf.split(binned);
        leaf
    }

    fn split(&self, binned: &Binned) -> Option<Split> {
        let mut best: Option<Split> = None;
        for (column, cuts) in binned.cuts.iter().enumerate() {
            let sums = &self.histogram[column * BINS..][..BINS];
            let mut left = Sum::default();
            for (bin, here) in sums.iter().enumerate().take(cuts.len()) {
                left.slope += here.slope;
                left.curve += here.curve;
                left.rows += here.rows;
                let right = self.sum.without(left);
                if here.rows == 0 || left.rows < LEAF_ROWS || right.rows < LEAF_ROWS {
                    continue;
                }
                let gain = left.gain() + right.gain() - self.sum.gain();
                if gain > 1e-9 && best.is_none_or(|b| gain > b.gain) {
                    best = Some(Split { gain, column, bin });
                }
            }
        }
        best
    }

    fn value(&self, step: f64) -> f32 {
        (-step * self.sum.slope / (self.sum.curve + SHRINK)) as f32
    }
}

/// A tree that steps down the loss with these slopes and curvatures of the rows, and the leaf of
/// each row.
pub(super) fn grow(binned: &Binned, slopes: &[(f64, f64)], step: f64) -> (Tree, Vec<u16>) {
    let all: Vec<u32> = (0..binned.rows as u32).collect();
    let root = histogram(binned, &all, slopes);
    let mut leaves = vec![Leaf::new(0, all, root, binned)];
    let node = |value| Node { value, threshold: 0.0, column: 0, left: 0, right: 0 };
    let mut nodes = vec![node(leaves[0].value(step))];
    while leaves.len() < LEAVES {
        // The first of equally good ones, so that the order is fixed.
        let mut chosen: Option<(usize, Split)> = None;
        for (i, leaf) in leaves.iter().enumerate() {
            if let Some(split) = leaf.best
                && chosen.is_none_or(|(_, c)| split.gain > c.gain)
            {
                chosen = Some((i, split));
            }
        }
        let Some((at, split)) = chosen else { break };
        let leaf = leaves.swap_remove(at);
        let bins = &binned.bins[split.column];
        let (left, right): (Vec<u32>, Vec<u32>) =
            leaf.rows.iter().partition(|&&r| usize::from(bins[r as usize]) <= split.bin);
        let (small, large) =
            if left.len() <= right.len() { (&left, &right) } else { (&right, &left) };
        let few = histogram(binned, small, slopes);
        let many: Vec<Sum> =
            leaf.histogram.iter().zip(&few).map(|(all, few)| all.without(*few)).collect();
        let (few, many) = if std::ptr::eq(large, &right) { (few, many) } else { (many, few) };
        let first = nodes.len();
        let left = Leaf::new(first, left, few, binned);
        let right = Leaf::new(first + 1, right, many, binned);
        nodes.extend([node(left.value(step)), node(right.value(step))]);
        let parent = &mut nodes[leaf.node];
        parent.column = split.column as u16;
        parent.threshold = binned.cuts[split.column][split.bin];
        (parent.left, parent.right) = (first as u16, first as u16 + 1);
        leaves.extend([left, right]);
    }
    let mut places = vec![0; binned.rows];
    for leaf in &leaves {
        leaf.rows.iter().for_each(|&r| places[r as usize] = leaf.node as u16);
    }
    (Tree { nodes }, places)
}
