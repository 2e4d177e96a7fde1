//! Isolation forest (Liu, Ting, Zhou: "Isolation Forest", ICDM 2008): rows that random splits
//! separate early are anomalous.
//!
//! The score is 1 + log2 of the paper's s, that is 1 − E[h]/c(ψ): it ranks rows as s does, is 0 for
//! a row of average depth and below 1 always, and is linear in the path lengths, so that the
//! contributions of columns add up to it exactly. Trees have a fixed shape of eight levels without
//! pointers, so that scoring takes no branch. Growing and walking one tree is in `tree`.

use crate::block::Block;
use crate::detector::{Entry, Error, Explanation, Model, RowScore, Scorer, Train, TrainOptions};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::DetectorKind;
use threat::codec;
use threat::entropy::Rng;

mod tree;
use tree::{LANES, Step, StoredTree, Tree, average_path};

/// Trees: the paper's number; path lengths have converged well before.
pub const FOREST_TREES: usize = 100;

/// Rows that each tree sees: the paper's number. More would hide anomalies among their neighbours.
pub const FOREST_SAMPLE: usize = 256;

/// Rows needed to train: with fewer, trees of a few splits cannot tell rows apart.
pub const FOREST_ROWS: usize = 64;

/// Columns that a forest reads at most: a row is padded to a power of two up to this, and a column
/// number fits the artifact's one byte.
pub const FOREST_COLUMNS: usize = 128;

/// Rows walked through a tree before the next tree: they stay in the first-level cache with it.
const TILE_ROWS: usize = 128;

/// Version of the artifact's bytes.
const FORMAT: u8 = 1;

const NAME: &str = "forest";

/// This detector's line of the catalogue.
pub const ENTRY: Entry = Entry {
    kind: DetectorKind::Forest,
    summary: "isolation forest: how few random splits separate a row from the benign ones",
    format: FORMAT,
    train: Train::Benign(train),
    decode,
};

/// A trained forest.
#[derive(Debug)]
pub struct Forest {
    /// Encoded columns.
    width: usize,
    /// Rows that each tree was grown from.
    sample: usize,
    trees: Vec<Tree>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    width: u32,
    sample: u32,
    trees: Vec<StoredTree>,
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::Invalid { detector: NAME, reason: reason.into() }
}

/// Grows a forest from the block's encoded columns.
pub fn train(block: &Block, options: &TrainOptions) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(Forest::train(block, options)?))
}

/// Loads a forest.
pub fn decode(bytes: &[u8]) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(Forest::decode(bytes)?))
}

impl Forest {
    /// Grows [`FOREST_TREES`] trees, each from its own random stream and rows.
    pub fn train(block: &Block, options: &TrainOptions) -> Result<Self, Error> {
        let rows = block.encoded.nrows();
        if rows < FOREST_ROWS {
            return Err(Error::TooFewRows { detector: NAME, needed: FOREST_ROWS, got: rows });
        }
        let width = block.encoded.ncols();
        check_width(width)?;
        let sample = rows.min(FOREST_SAMPLE);
        let mut order: Vec<usize> = (0..rows).collect();
        let mut rng = Rng::fork(options.seed, "forest");
        let mut chosen = Vec::with_capacity(sample * width);
        let trees = (0..FOREST_TREES).map(|_| {
            // The first steps of Fisher–Yates: a sample without replacement.
            chosen.clear();
            for i in 0..sample {
                order.swap(i, i + rng.below(rows - i));
                chosen.extend(block.encoded.row(order[i]).iter());
            }
            Tree::grow(&chosen, width, &mut rng)
        });
        Ok(Self { width, sample, trees: trees.collect() })
    }

    /// Loads a forest and checks that every tree is whole.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let stored: Stored = codec::decode(FORMAT, bytes)?;
        let (width, sample) = (stored.width as usize, stored.sample as usize);
        check_width(width)?;
        if !(2..=FOREST_SAMPLE).contains(&sample) || stored.trees.len() != FOREST_TREES {
            return Err(invalid("trees or their rows are not as many as there must be"));
        }
        let trees = stored.trees.iter().map(|t| Tree::load(t, width, sample));
        let trees = trees.collect::<Result<_, _>>().map_err(invalid)?;
        Ok(Self { width, sample, trees })
    }

    /// Score for a sum of path lengths over all trees.
    fn score_of(&self, lengths: f32) -> f32 {
        1.0 - lengths / (self.trees.len() as f32 * average_path(self.sample) as f32)
    }

    /// Scores `rows x width` into `out`, in tiles of rows padded to `W` columns.
    fn score_rows<const W: usize>(&self, rows: &[f32], out: &mut Vec<RowScore>) {
        let mut tile = [[0.0f32; W]; TILE_ROWS];
        let mut lengths = [0.0f32; TILE_ROWS];
        for rows in rows.chunks(TILE_ROWS * self.width) {
            let count = rows.len() / self.width;
            for (padded, row) in tile.iter_mut().zip(rows.chunks_exact(self.width)) {
                padded[..self.width].copy_from_slice(row);
            }
            let walked = count.next_multiple_of(LANES);
            lengths.fill(0.0);
            for tree in &self.trees {
                tree.add_lengths(&tile[..walked], &mut lengths[..walked]);
            }
            out.extend(lengths[..count].iter().map(|&l| RowScore::Score(self.score_of(l))));
        }
    }

    fn score_into(&self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        out.clear();
        let got = block.encoded.ncols();
        if got != self.width {
            return Err(Error::Width { expected: self.width, got });
        }
        let encoded = block.encoded.as_standard_layout();
        let rows = encoded.as_slice().unwrap_or(&[]);
        match self.width {
            ..=16 => self.score_rows::<16>(rows, out),
            17..=32 => self.score_rows::<32>(rows, out),
            33..=64 => self.score_rows::<64>(rows, out),
            _ => self.score_rows::<FOREST_COLUMNS>(rows, out),
        }
        Ok(())
    }
}

fn check_width(width: usize) -> Result<(), Error> {
    if (1..=FOREST_COLUMNS).contains(&width) {
        Ok(())
    } else {
        Err(invalid(format!("{width} columns; 1 to {FOREST_COLUMNS} can be read")))
    }
}

impl Model for Forest {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Forest
    }

    fn scorer(self: Arc<Self>) -> Box<dyn Scorer> {
        Box::new(ForestScorer(self))
    }

    /// Contributions follow the path (after Saabas): each split changes the expected path length,
    /// and the change belongs to the split's column. The path is that of the tree which isolates
    /// the row soonest.
    fn explain(&self, block: &Block, row: usize) -> Explanation {
        let Some(values) = block.encoded.outer_iter().nth(row).map(|r| r.to_vec()) else {
            return Explanation::default();
        };
        if values.len() != self.width {
            return Explanation::default();
        }
        let scale = self.trees.len() as f64 * average_path(self.sample);
        let mut shares = vec![0.0f64; self.width];
        let (mut lengths, mut expected) = (0.0f32, 0.0f64);
        let mut shortest: Option<(f32, Vec<Step>)> = None;
        for tree in &self.trees {
            let (length, steps) = tree.path(&values);
            expected += f64::from(tree.expected());
            lengths += length;
            for s in &steps {
                shares[s.column] -= f64::from(s.change) / scale;
            }
            if shortest.as_ref().is_none_or(|(l, _)| length < *l) {
                shortest = Some((length, steps));
            }
        }
        let score = self.score_of(lengths);
        let base = (1.0 - expected / scale) as f32;
        let steps = shortest.map_or_else(Vec::new, |(_, steps)| steps);
        let path = steps.iter().map(|s| self.words(block, row, values[s.column], s)).collect();
        Explanation::of_shares(score, base, &shares, path)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let stored = Stored {
            width: self.width as u32,
            sample: self.sample as u32,
            trees: self.trees.iter().map(Tree::store).collect(),
        };
        Ok(codec::encode(FORMAT, &stored)?)
    }
}

impl Forest {
    /// A split in words.
    fn words(&self, block: &Block, row: usize, value: f32, step: &Step) -> String {
        let name = block.schema.column(step.column);
        let (side, split, left) = (
            if step.right { "at or above" } else { "below" },
            step.threshold,
            format!("leaves {} of {} benign rows", step.rows, self.sample),
        );
        match block.raw.get((row, step.column)) {
            Some(raw) => {
                format!("{name} {raw} ({value:+.2} deviations) is {side} {split:+.2}: {left}")
            }
            None => format!("{name} with surprisal {value:.2} is {side} {split:.2}: {left}"),
        }
    }
}

/// A forest at work; it keeps nothing between blocks.
struct ForestScorer(Arc<Forest>);

impl Scorer for ForestScorer {
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        self.0.score_into(block, out)
    }
}

#[cfg(test)]
mod tests;
