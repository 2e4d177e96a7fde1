//! Labelled rows: gradient-boosted trees on histograms (Friedman: "Greedy function approximation",
//! Annals of Statistics 2001; leaf-wise growth after Ke et al.: "LightGBM", NIPS 2017) say how much
//! a row is like the attacks that were labelled in training.
//!
//! The one detector that learns from attacks. It reads amounts in their own units and, of each
//! kind, the share of attacks among the training rows of that kind. Its score is the logarithm of
//! the odds for an attack. Whether labels of one place hold in another is not known here: what its
//! answer is worth is measured in training and weighed in the ensemble. Growing a tree is in
//! `grow`.

use crate::block::Block;
use crate::detector::{Entry, Error, Explanation, Model, RowScore, Scorer, Train};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::{DetectorKind, codec};

mod grow;
use grow::{Binned, Node, Tree};

/// Trees: with the step below, the loss on held-out rows of the public tables had long levelled.
pub const LABELLED_TREES: usize = 200;

/// Part of a tree's answer that is added: small steps generalise better than few large ones.
const STEP: f64 = 0.1;

/// Attacks and benign rows needed: with fewer of either, splits fit single rows.
pub const LABELLED_ROWS: usize = 10;

/// Columns read at most: bounds an artifact and a row's cost.
pub const LABELLED_COLUMNS: usize = 512;

/// Prior rows behind a kind's share of attacks, at the share of all rows: a kind seen once must not
/// give its row's label away.
const KIND_PRIOR: f64 = 10.0;

/// Splits that an explanation tells: those that moved the score most.
const SHOWN: usize = 6;

/// Version of the artifact's bytes.
const FORMAT: u8 = 1;

const NAME: &str = "labelled";

/// This detector's line of the catalogue.
pub const ENTRY: Entry = Entry {
    kind: DetectorKind::Labelled,
    summary: "boosted trees: how much a row is like attacks that were labelled in training",
    format: FORMAT,
    train: Train::Labelled(|block, attack, _| Ok(Arc::new(Labelled::train(block, attack)?))),
    decode: |bytes| Ok(Arc::new(Labelled::decode(bytes)?)),
};

/// Trained trees.
#[derive(Debug, Serialize, Deserialize)]
pub struct Labelled {
    /// Numeric columns; kinds follow them.
    numeric: usize,
    /// Of each kind column: share of attacks by value, ascending by hash.
    kinds: Vec<Vec<(u64, f32)>>,
    /// Share of attacks in all rows: stands for a value never seen.
    usual: f32,
    /// Log odds before any tree.
    start: f64,
    trees: Vec<Tree>,
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { detector: NAME, reason: reason.into() }
}

fn probability(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

impl Labelled {
    /// Learns from rows of which `attack` says what they are. Draws nothing: the same rows give the
    /// same trees.
    ///
    /// # Errors
    /// [`Error::TooFewRows`] with under [`LABELLED_ROWS`] of either side, [`Error::Invalid`] with
    /// too many columns.
    pub fn train(block: &Block, attack: &[bool]) -> Result<Self, Error> {
        let attacks = attack.iter().filter(|a| **a).count();
        let got = attacks.min(block.len().saturating_sub(attacks));
        if attack.len() != block.len() || got < LABELLED_ROWS {
            return Err(Error::TooFewRows { detector: NAME, needed: LABELLED_ROWS, got });
        }
        if !(1..=LABELLED_COLUMNS).contains(&block.schema.width()) {
            return Err(invalid("it reads 1 to 512 columns"));
        }
        let share = attacks as f64 / attack.len() as f64;
        let kinds = block.categories.columns().into_iter();
        let mut model = Self {
            numeric: block.schema.numeric.len(),
            kinds: kinds.map(|c| shares(c.iter().zip(attack), share)).collect(),
            usual: share as f32,
            start: (share / (1.0 - share)).ln(),
            trees: Vec::with_capacity(LABELLED_TREES),
        };
        let mut values = vec![Vec::with_capacity(block.len()); model.width()];
        let mut row = Vec::new();
        for r in 0..block.len() {
            model.row(block, r, &mut row);
            values.iter_mut().zip(&row).for_each(|(column, &x)| column.push(x));
        }
        let binned = Binned::of(&values);
        let mut odds = vec![model.start; block.len()];
        let mut slopes = vec![(0.0, 0.0); block.len()];
        for _ in 0..LABELLED_TREES {
            for (slope, (&odds, &attack)) in slopes.iter_mut().zip(odds.iter().zip(attack)) {
                let p = probability(odds);
                *slope = (p - f64::from(u8::from(attack)), (p * (1.0 - p)).max(1e-12));
            }
            let (tree, leaves) = grow::grow(&binned, &slopes, STEP);
            for (odds, &leaf) in odds.iter_mut().zip(&leaves) {
                *odds += f64::from(tree.nodes[usize::from(leaf)].value);
            }
            model.trees.push(tree);
        }
        Ok(model)
    }

    /// Loads trees and checks that each is whole.
    ///
    /// # Errors
    /// [`Error::Codec`], [`Error::Invalid`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let model: Self = codec::decode(FORMAT, bytes)?;
        if !(1..=LABELLED_COLUMNS).contains(&model.width()) || model.trees.len() > LABELLED_TREES {
            return Err(invalid("too many columns or trees"));
        }
        let shares = model.kinds.iter().flatten().map(|k| k.1);
        if !shares.chain([model.usual]).all(f32::is_finite) || !model.start.is_finite() {
            return Err(invalid("a share is no number"));
        }
        if !model.kinds.iter().all(|k| k.is_sorted_by(|a, b| a.0 < b.0)) {
            return Err(invalid("values are out of order"));
        }
        let width = model.width();
        if model.trees.iter().all(|t| t.is_whole(width)) {
            Ok(model)
        } else {
            Err(invalid("a tree is not whole"))
        }
    }

    fn width(&self) -> usize {
        self.numeric + self.kinds.len()
    }

    /// The columns of a row as the trees read them.
    fn row(&self, block: &Block, row: usize, out: &mut Vec<f32>) {
        out.clear();
        out.extend(block.raw.row(row));
        for (values, hash) in self.kinds.iter().zip(block.categories.row(row)) {
            let found = values.binary_search_by_key(hash, |v| v.0);
            out.push(found.map_or(self.usual, |at| values[at].1));
        }
    }

    fn check(&self, block: &Block) -> Result<(), Error> {
        let (expected, got) = (self.width(), block.raw.ncols() + block.categories.ncols());
        let fits = block.raw.ncols() == self.numeric && expected == got;
        if fits { Ok(()) } else { Err(Error::Width { expected, got }) }
    }

    fn score(&self, row: &[f32]) -> f32 {
        let sum: f64 = self.trees.iter().map(|t| f64::from(t.leaf(row).value)).sum();
        (self.start + sum) as f32
    }
}

/// Share of attacks among the rows of each value, ascending by value.
fn shares<'a>(rows: impl Iterator<Item = (&'a u64, &'a bool)>, usual: f64) -> Vec<(u64, f32)> {
    let mut rows: Vec<(u64, bool)> = rows.map(|(&v, &a)| (v, a)).collect();
    rows.sort_unstable();
    rows.chunk_by(|a, b| a.0 == b.0)
        .map(|same| {
            let attacks = same.iter().filter(|s| s.1).count() as f64;
            let share = (attacks + KIND_PRIOR * usual) / (same.len() as f64 + KIND_PRIOR);
            (same[0].0, share as f32)
        })
        .collect()
}

impl Model for Labelled {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Labelled
    }

    fn scorer(self: Arc<Self>) -> Box<dyn Scorer> {
        Box::new(LabelledScorer { model: self, row: Vec::new() })
    }

    /// Each split on a row's path changes the odds expected there; the change belongs to the
    /// split's column (after Saabas), so that the shares add up to the score.
    fn explain(&self, block: &Block, row: usize) -> Explanation {
        if self.check(block).is_err() || row >= block.len() {
            return Explanation::default();
        }
        let mut values = Vec::new();
        self.row(block, row, &mut values);
        let mut shares = vec![0.0; self.width()];
        let mut base = self.start;
        let mut splits: Vec<(f32, usize, f32)> = Vec::new();
        for tree in &self.trees {
            let mut at: &Node = &tree.nodes[0];
            base += f64::from(at.value);
            while let Some(next) = tree.next(at, &values) {
                let change = next.value - at.value;
                shares[usize::from(at.column)] += f64::from(change);
                splits.push((change, usize::from(at.column), at.threshold));
                at = next;
            }
        }
        splits.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()).then(a.1.cmp(&b.1)));
        let path = splits.iter().take(SHOWN).map(|&(change, column, threshold)| {
            let side = if values[column] >= threshold { "at or above" } else { "below" };
            let name = block.schema.column(column);
            let what = if column < self.numeric { "" } else { "'s share of attacks" };
            format!("{name}{what} {} is {side} {threshold}: odds {change:+.3}", values[column])
        });
        Explanation::of_shares(self.score(&values), base as f32, &shares, path.collect())
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(codec::encode(FORMAT, self)?)
    }
}

/// Trees at work; they keep nothing between blocks.
struct LabelledScorer {
    model: Arc<Labelled>,
    row: Vec<f32>,
}

impl Scorer for LabelledScorer {
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        out.clear();
        self.model.check(block)?;
        for row in 0..block.len() {
            self.model.row(block, row, &mut self.row);
            out.push(RowScore::Score(self.model.score(&self.row)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
