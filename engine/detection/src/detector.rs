//! The one trait that every detector implements, and what it answers.
//!
//! A [`Model`] is immutable, shared and part of an artifact; a [`Scorer`] is what one shard runs:
//! the model with whatever per-entity state it keeps. To add a detector, implement both in
//! `detectors/<name>.rs` and add its line to [`CATALOGUE`](crate::detectors::CATALOGUE).

use crate::block::Block;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::DetectorKind;

/// Why a detector could not be trained, loaded or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too little to learn from.
    #[error("{detector} needs {needed} rows to learn, got {got}")]
    TooFewRows {
        /// Who.
        detector: &'static str,
        /// At least so many.
        needed: usize,
        /// So many were there.
        got: usize,
    },
    /// The block's columns are not those that the model was trained on.
    #[error("the model reads {expected} columns, the block has {got}")]
    Width {
        /// Columns of the model.
        expected: usize,
        /// Columns of the block.
        got: usize,
    },
    /// The artifact's bytes are not such a model.
    #[error("artifact: {0}")]
    Codec(#[from] threat::codec::Error),
    /// The artifact decodes, but its content breaks the model's own rules.
    #[error("artifact is not a valid {detector}: {reason}")]
    Invalid {
        /// Which model.
        detector: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A fault injected by a test or a chaos experiment.
    #[error("injected: {0}")]
    Injected(String),
}

/// A detector's answer for one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowScore {
    /// Higher is more anomalous; any finite number.
    Score(f32),
    /// Nothing to say about this row.
    Abstain,
}

/// How training is to go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainOptions {
    /// Same rows and same seed give the same bytes.
    pub seed: u64,
}

/// A trained, immutable model.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// Which detector this is.
    fn kind(&self) -> DetectorKind;

    /// A fresh scorer without any entity's state.
    fn scorer(self: Arc<Self>) -> Box<dyn Scorer>;

    /// Why one row scores as it does. Looks at that row alone.
    fn explain(&self, block: &Block, row: usize) -> Explanation;

    /// The canonical bytes: equal models have equal bytes.
    fn encode(&self) -> Result<Vec<u8>, Error>;
}

/// A model at work in one shard.
pub trait Scorer: Send {
    /// Scores every row of `block`, in order; `out` is cleared and then holds one answer a row.
    /// What a row scores depends on the model, the row and its entity's earlier rows alone, never
    /// on how rows were cut into blocks.
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error>;
}

/// Why a row scores as it does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The score that is explained.
    pub score: f32,
    /// The score of a benign row, to which the contributions add up: `score = base + sum +
    /// unattributed`.
    pub base: f32,
    /// Encoded column and its share of the score, greatest first, zeros left out.
    pub contributions: Vec<(usize, f32)>,
    /// The part of the score that no column explains.
    pub unattributed: f32,
    /// Steps of the decision in words: split by split, component and category, or token by token.
    pub path: Vec<String>,
    /// Encoded columns that were held against the account's own past: the share of its rows that
    /// had this row's value.
    pub usual: BTreeMap<usize, f32>,
}

impl Explanation {
    /// From each column's share of `score - base`: greatest first, zeros left out, and what
    /// rounding left over unattributed.
    pub fn of_shares(score: f32, base: f32, shares: &[f64], path: Vec<String>) -> Self {
        let mut contributions: Vec<(usize, f32)> =
            shares.iter().map(|&s| s as f32).enumerate().filter(|c| c.1 != 0.0).collect();
        contributions.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let sum: f64 = contributions.iter().map(|c| f64::from(c.1)).sum();
        let unattributed = (f64::from(score) - f64::from(base) - sum) as f32;
        Self { score, base, contributions, unattributed, path, usual: BTreeMap::new() }
    }
}

/// Learns from benign rows with their `encoded` columns filled, in event order.
pub type Benign = fn(&Block, &TrainOptions) -> Result<Arc<dyn Model>, Error>;

/// Learns from such rows of both sides; the second argument says which are attacks.
pub type WithAttacks = fn(&Block, &[bool], &TrainOptions) -> Result<Arc<dyn Model>, Error>;

/// What a detector learns from.
#[derive(Clone, Copy)]
pub enum Train {
    /// Benign rows alone.
    Benign(Benign),
    /// Labelled rows.
    Labelled(WithAttacks),
}

/// A line of the catalogue.
pub struct Entry {
    /// Which detector.
    pub kind: DetectorKind,
    /// What it sees, in a sentence.
    pub summary: &'static str,
    /// Version of its artifact's bytes.
    pub format: u8,
    /// How it learns.
    pub train: Train,
    /// Loads an artifact and checks its content.
    pub decode: fn(&[u8]) -> Result<Arc<dyn Model>, Error>,
}
