//! Neighbours: the mean city-block distance from a row to the three nearest of a seeded sample of
//! benign rows (after Ramaswamy, Rastogi, Shim: "Efficient algorithms for mining outliers from
//! large data sets", SIGMOD 2000).
//!
//! Every row is compared with the whole sample, many points at a time and first roughly (`scan`),
//! which changes no result. There is no tree to descend: at twenty columns one would be slower.

use crate::block::Block;
use crate::detector::{Entry, Error, Explanation, Model, RowScore, Scorer, Train, TrainOptions};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::DetectorKind;
use threat::codec;
use threat::entropy::Rng;

mod scan;
use scan::{Near, Points};

/// Benign rows that a row is compared with: as many as keep the score of a row of forty columns
/// within 5 µs.
pub const NEIGHBOUR_POINTS: usize = 3_000;

/// The nearest of them that count.
pub const NEAREST: usize = 3;

/// Rows needed to train: with fewer, three neighbours say nothing about density.
pub const NEIGHBOUR_ROWS: usize = 64;

/// Columns that may be read at most: bounds an artifact and a row's cost.
pub const NEIGHBOUR_COLUMNS: usize = 128;

/// Points whose own distances make the baseline: enough for a mean, few enough to train at once.
const BASELINE_POINTS: usize = 256;

/// Version of the artifact's bytes, and of the order in which distances are added up: stored models
/// give the bits that they gave. 2: eight sums.
const FORMAT: u8 = 2;

const NAME: &str = "neighbours";

/// This detector's line of the catalogue.
pub const ENTRY: Entry = Entry {
    kind: DetectorKind::Neighbours,
    summary: "neighbours: the distance to the three nearest of a sample of benign rows",
    format: FORMAT,
    train: Train::Benign(train),
    decode,
};

/// The sample and what is typical in it.
#[derive(Debug)]
pub struct Neighbours {
    stored: Stored,
    points: Points,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    width: u32,
    /// Training row of each point, ascending.
    rows: Vec<u32>,
    /// `points x width`.
    values: Vec<f32>,
    /// Mean distance of benign rows from their nearest, column by column.
    typical: Vec<f32>,
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::Invalid { detector: NAME, reason: reason.into() }
}

/// Draws the sample from the block's encoded columns.
pub fn train(block: &Block, options: &TrainOptions) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(Neighbours::train(block, options)?))
}

/// Loads a sample.
pub fn decode(bytes: &[u8]) -> Result<Arc<dyn Model>, Error> {
    Ok(Arc::new(Neighbours::decode(bytes)?))
}

impl Neighbours {
    /// Draws up to [`NEIGHBOUR_POINTS`] rows without replacement.
    pub fn train(block: &Block, options: &TrainOptions) -> Result<Self, Error> {
        let count = block.encoded.nrows();
        if count < NEIGHBOUR_ROWS {
            return Err(Error::TooFewRows { detector: NAME, needed: NEIGHBOUR_ROWS, got: count });
        }
        let width = block.encoded.ncols();
        let mut order: Vec<u32> = (0..count as u32).collect();
        let kept = count.min(NEIGHBOUR_POINTS);
        let mut rng = Rng::fork(options.seed, NAME);
        for i in 0..kept {
            order.swap(i, i + rng.below(count - i));
        }
        order.truncate(kept);
        order.sort_unstable();
        let values = order.iter().flat_map(|&r| block.encoded.row(r as usize).to_vec()).collect();
        let typical = vec![0.0; width];
        let mut model = Self::load(Stored { width: width as u32, rows: order, values, typical })?;
        model.stored.typical = model.typical();
        Ok(model)
    }

    /// Loads a sample and checks its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::load(codec::decode(FORMAT, bytes)?)
    }

    fn load(stored: Stored) -> Result<Self, Error> {
        let width = stored.width as usize;
        if !(1..=NEIGHBOUR_COLUMNS).contains(&width) || stored.typical.len() != width {
            return Err(invalid(format!("{width} columns; 1 to {NEIGHBOUR_COLUMNS} can be read")));
        }
        let count = stored.rows.len();
        if !(NEAREST + 1..=NEIGHBOUR_POINTS).contains(&count)
            || stored.values.len() != count * width
        {
            return Err(invalid(format!("{count} points")));
        }
        if !stored.rows.is_sorted_by(|a, b| a < b) {
            return Err(invalid("points are out of order"));
        }
        if !stored.values.iter().chain(&stored.typical).all(|v| v.is_finite()) {
            return Err(invalid("a value is no number"));
        }
        let points = Points::new(&stored.values, width);
        Ok(Self { stored, points })
    }

    /// Mean distance, column by column, of points from the nearest others.
    fn typical(&self) -> Vec<f32> {
        let (width, count) = (self.stored.width as usize, self.stored.rows.len());
        let step = count.div_ceil(BASELINE_POINTS);
        let mut sums = vec![0.0f64; width];
        let mut asked = 0;
        for own in (0..count).step_by(step) {
            let row = self.point(own);
            // One more than counts, since the point finds itself (or an equal one) first.
            let near = self.points.nearest::<{ NEAREST + 1 }>(row);
            let skip = near.iter().position(|n| n.point as usize == own).unwrap_or(NEAREST);
            for (_, n) in near.iter().enumerate().filter(|(i, _)| *i != skip) {
                for (sum, (a, b)) in
                    sums.iter_mut().zip(row.iter().zip(self.point(n.point as usize)))
                {
                    *sum += f64::from((a - b).abs());
                }
            }
            asked += NEAREST;
        }
        sums.iter().map(|s| (s / asked as f64) as f32).collect()
    }

    fn point(&self, index: usize) -> &[f32] {
        let width = self.stored.width as usize;
        &self.stored.values[index * width..(index + 1) * width]
    }

    fn score_row(&self, row: &[f32]) -> f32 {
        mean(&self.points.nearest::<NEAREST>(row))
    }

    fn score_into(&self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        out.clear();
        let (expected, got) = (self.stored.width as usize, block.encoded.ncols());
        if expected != got {
            return Err(Error::Width { expected, got });
        }
        let encoded = block.encoded.as_standard_layout();
        let rows = encoded.as_slice().unwrap_or(&[]).chunks_exact(expected);
        out.extend(rows.map(|row| RowScore::Score(self.score_row(row))));
        Ok(())
    }
}

fn mean(near: &[Near; NEAREST]) -> f32 {
    near.iter().map(|n| n.distance).sum::<f32>() / NEAREST as f32
}

impl Model for Neighbours {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Neighbours
    }

    fn scorer(self: Arc<Self>) -> Box<dyn Scorer> {
        Box::new(NeighboursScorer(self))
    }

    /// A column's contribution is its share of the distance beyond what it is between benign rows.
    /// The path names the nearest benign rows by their place in the training rows.
    fn explain(&self, block: &Block, row: usize) -> Explanation {
        let Some(values) = block.encoded.outer_iter().nth(row).map(|r| r.to_vec()) else {
            return Explanation::default();
        };
        if values.len() != self.stored.width as usize {
            return Explanation::default();
        }
        let near = self.points.nearest::<NEAREST>(&values);
        let mut shares: Vec<f64> = self.stored.typical.iter().map(|&t| -f64::from(t)).collect();
        let base: f64 = -shares.iter().sum::<f64>();
        let mut path = Vec::with_capacity(NEAREST);
        for n in &near {
            let gaps: Vec<f32> = self
                .point(n.point as usize)
                .iter()
                .zip(&values)
                .map(|(p, v)| (p - v).abs())
                .collect();
            for (share, gap) in shares.iter_mut().zip(&gaps) {
                *share += f64::from(*gap) / NEAREST as f64;
            }
            path.push(words(block, self.stored.rows[n.point as usize], n.distance, &gaps));
        }
        Explanation::of_shares(mean(&near), base as f32, &shares, path)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(codec::encode(FORMAT, &self.stored)?)
    }
}

/// A neighbour in words: which row, how far, and the columns that part them most.
fn words(block: &Block, row: u32, distance: f32, gaps: &[f32]) -> String {
    let mut order: Vec<usize> = (0..gaps.len()).filter(|&c| gaps[c] > 0.0).collect();
    order.sort_by(|&a, &b| gaps[b].total_cmp(&gaps[a]).then(a.cmp(&b)));
    let apart: Vec<String> = order
        .iter()
        .take(3)
        .map(|&c| format!("{} {:.2}", block.schema.column(c), gaps[c]))
        .collect();
    if apart.is_empty() {
        format!("benign training row {row} is equal")
    } else {
        format!("benign training row {row} is {distance:.2} away: {}", apart.join(", "))
    }
}

/// Neighbours at work; it keeps nothing between blocks.
struct NeighboursScorer(Arc<Neighbours>);

impl Scorer for NeighboursScorer {
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        self.0.score_into(block, out)
    }
}

#[cfg(test)]
mod tests;
