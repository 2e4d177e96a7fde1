//! LSTM sequence detector: how surprising is an entity's next event token, given the ones before?
//!
//! The use of a recurrent network on log keys follows DeepLog (Du, Li, Zheng, Srikumar 2017); the
//! score is the surprise −ln p(token | history) itself instead of a rank among the likeliest. The
//! hidden state is a pure function of the history that travels with a row. Training is in process
//! (`train`, `gradient`), the network in `lstm`, the memory of states in `scorer`, which columns a
//! surprise is put down to in `attribution`, exp and friends in `math`. Not here: what makes up a
//! token, calibration, and worst-of-a-session aggregation.

pub mod attribution;
pub mod gradient;
pub mod lstm;
pub mod math;
pub mod scorer;
pub mod train;

#[cfg(test)]
mod tests;

use crate::block::{Block, Token};
use crate::detector::{Entry, Error, Explanation, Model, Scorer, Train, TrainOptions};
use crate::features::tokens;
use crate::schema::Schema;
use lstm::{Cell, LANES, Weights};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::entropy::Rng;
use threat::{DetectorKind, codec};
use train::Segment;

/// The catalogue's line.
pub const ENTRY: Entry = Entry {
    kind: DetectorKind::Sequence,
    summary: "an event token that an LSTM did not expect after the entity's last tokens",
    format: FORMAT,
    train: Train::Benign(|block, options| Ok(Arc::new(Sequence::train(block, options)?))),
    decode: |bytes| Ok(Arc::new(Sequence::decode(bytes)?)),
};

/// Version of the artifact's bytes.
const FORMAT: u8 = 1;

/// Fewer rows say nothing about what follows what.
const ROWS_LEAST: usize = 50;

/// Likeliest tokens that an explanation names.
const EXPECTED_SHOWN: usize = 3;

/// Past positions whose surprise an explanation lists.
const PAST_SHOWN: usize = 8;

/// Which class of the network stands for a token. Tokens that training never saw share one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    seen: Vec<Token>,
    class: Vec<u16>,
}

impl Vocabulary {
    /// `seen`, ascending, of an alphabet of so many tokens; `None` when it is not such a list.
    pub fn new(alphabet: Token, seen: Vec<Token>) -> Option<Self> {
        let ascending = seen.windows(2).all(|w| w[0] < w[1]);
        if !ascending || seen.last().is_some_and(|&t| t >= alphabet) {
            return None;
        }
        let mut class = vec![seen.len() as u16; usize::from(alphabet)];
        for (c, &token) in seen.iter().enumerate() {
            class[usize::from(token)] = c as u16;
        }
        Some(Self { seen, class })
    }

    /// Tokens of the alphabet.
    pub fn alphabet(&self) -> usize {
        self.class.len()
    }

    /// Classes that can be predicted: the seen tokens, and the unknown one, which is the last.
    pub fn classes(&self) -> usize {
        self.seen.len() + 1
    }

    /// The class of a token; outside of the alphabet the unknown one.
    #[inline]
    pub fn class(&self, token: Token) -> usize {
        self.class.get(usize::from(token)).map_or(self.seen.len(), |&c| usize::from(c))
    }

    /// A class in words.
    fn name(&self, class: usize) -> String {
        self.seen.get(class).map_or_else(|| "an unknown token".into(), |t| format!("token {t}"))
    }

    /// Inputs (start symbol first) and targets of a segment; with a stream of randomness, a `share`
    /// of the inputs is made unknown.
    pub fn steps(
        &self,
        segment: &Segment,
        mut rng: Option<&mut Rng>,
        share: f64,
    ) -> (Vec<usize>, Vec<Option<usize>>) {
        let mut inputs = vec![self.classes()];
        let mut targets = Vec::with_capacity(segment.tokens.len());
        for (i, &token) in segment.tokens.iter().enumerate() {
            let class = self.class(token);
            targets.push((segment.counted >> i & 1 == 1).then_some(class));
            let hide = rng.as_mut().is_some_and(|r| r.chance(share));
            inputs.push(if hide { self.seen.len() } else { class });
        }
        inputs.pop();
        (inputs, targets)
    }
}

/// A trained sequence model.
#[derive(Clone, Debug)]
pub struct Sequence {
    vocabulary: Vocabulary,
    weights: Weights,
    cell: Cell,
    /// Mean surprise of the training rows: what a benign row scores.
    mean: f32,
}

/// What the artifact holds.
#[derive(Serialize, Deserialize)]
struct Artifact {
    alphabet: Token,
    seen: Vec<Token>,
    weights: Vec<f32>,
    mean: f32,
}

impl Sequence {
    /// Learns from benign rows.
    ///
    /// # Errors
    /// [`Error::TooFewRows`] when the schema has no tokens or there are too few rows.
    pub fn train(block: &Block, options: &TrainOptions) -> Result<Self, Error> {
        let rows = if block.schema.tokens == 0 { 0 } else { block.len() };
        if rows < ROWS_LEAST {
            return Err(Error::TooFewRows { detector: "sequence", needed: ROWS_LEAST, got: rows });
        }
        let segments = train::segments(block);
        let alphabet = block.schema.tokens;
        let mut seen: Vec<Token> = segments.iter().flat_map(|s| s.tokens.iter().copied()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.retain(|&t| t < alphabet);
        let vocabulary = Vocabulary::new(alphabet, seen)
            .ok_or_else(|| invalid("tokens are not ascending".into()))?;
        let weights = train::train(&vocabulary, segments.clone(), options.seed);
        let mut model = Self {
            cell: Cell::new(&weights, vocabulary.classes()),
            vocabulary,
            weights,
            mean: 0.0,
        };
        model.mean = model.mean_surprise(&segments);
        Ok(model)
    }

    /// A model of given weights.
    pub fn from_parts(vocabulary: Vocabulary, weights: Weights, mean: f32) -> Self {
        let cell = Cell::new(&weights, vocabulary.classes());
        Self { vocabulary, weights, cell, mean }
    }

    fn mean_surprise(&self, segments: &[Segment]) -> f32 {
        let (mut sum, mut rows, mut logits) = (0.0f64, 0u32, Vec::new());
        for segment in segments {
            let mut state = self.cell.first();
            for (i, &token) in segment.tokens.iter().enumerate() {
                let class = self.vocabulary.class(token);
                if segment.counted >> i & 1 == 1 {
                    sum += f64::from(self.cell.surprise(&state, class, &mut logits));
                    rows += 1;
                }
                self.cell.step(class, &mut state);
            }
        }
        (sum / f64::from(rows.max(1))) as f32
    }

    /// Loads an artifact.
    ///
    /// # Errors
    /// [`Error::Codec`] or [`Error::Invalid`] when the bytes are no such model.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let artifact: Artifact = codec::decode(FORMAT, bytes)?;
        let vocabulary = Vocabulary::new(artifact.alphabet, artifact.seen)
            .ok_or_else(|| invalid("seen tokens are not ascending within the alphabet".into()))?;
        let weights = Weights::from_flat(vocabulary.classes(), &artifact.weights)
            .ok_or_else(|| invalid("weights are not finite or of another shape".into()))?;
        if !artifact.mean.is_finite() {
            return Err(invalid("mean surprise is not finite".into()));
        }
        Ok(Self::from_parts(vocabulary, weights, artifact.mean))
    }

    fn check_alphabet(&self, block: &Block) -> Result<(), Error> {
        let got = usize::from(block.schema.tokens);
        let expected = self.vocabulary.alphabet();
        if got == expected {
            return Ok(());
        }
        Err(invalid(format!("its alphabet has {expected} tokens, that of the rows {got}")))
    }

    /// How probable every class is after a state.
    fn chances(&self, state: &lstm::State) -> Vec<f32> {
        let mut logits = Vec::new();
        self.cell.logits(state, &mut logits);
        let total = lstm::log_sum_exp(&logits);
        (0..self.vocabulary.classes())
            .map(|c| math::exp(logits[c / LANES][c % LANES] - total))
            .collect()
    }

    /// The share of each column in `beyond`, which is the surprise of `token` beyond what is usual.
    fn shares(&self, schema: &Schema, token: Token, chances: &[f32], beyond: f64) -> Vec<f64> {
        let mut shares = vec![0.0; schema.width()];
        let (parts, seen) = (tokens::parts(schema), &self.vocabulary.seen);
        let class = self.vocabulary.class(token);
        let parted = attribution::shares(parts, seen, class, token, chances);
        let whole: f64 = parted.iter().sum();
        for (part, share) in parts.iter().zip(parted).filter(|_| whole > 0.0) {
            if let Some(column) = (0..schema.width()).find(|&c| schema.column(c) == part.column) {
                shares[column] = share / whole * beyond;
            }
        }
        shares
    }

    /// The likeliest next classes with their probabilities, ties by class.
    fn expected(chances: &[f32]) -> Vec<(usize, f32)> {
        let mut all: Vec<(usize, f32)> = chances.iter().copied().enumerate().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(EXPECTED_SHOWN);
        all
    }
}

fn invalid(reason: String) -> Error {
    Error::Invalid { detector: "sequence", reason }
}

impl Model for Sequence {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Sequence
    }

    fn scorer(self: Arc<Self>) -> Box<dyn Scorer> {
        Box::new(scorer::SequenceScorer::new(self))
    }

    /// The base is the mean surprise of benign rows. What is beyond is put down to the columns that
    /// show the token's parts, as the parts share the surprise; tokens without known parts leave it
    /// unattributed. The path tells what was expected, what came, and how surprising each step
    /// before was.
    fn explain(&self, block: &Block, row: usize) -> Explanation {
        if block.schema.tokens == 0 || self.check_alphabet(block).is_err() {
            return Explanation { path: vec!["the row has no token".into()], ..Default::default() };
        }
        let mut logits = Vec::new();
        let mut state = self.cell.first();
        let mut past = Vec::new();
        let history = block.history[row].as_slice();
        for (position, &token) in history.iter().enumerate() {
            let class = self.vocabulary.class(token);
            let surprise = self.cell.surprise(&state, class, &mut logits);
            let what = self.vocabulary.name(class);
            let back = history.len() - position;
            past.push(format!("{back} before: {what}, surprise {surprise:.2}"));
            self.cell.step(class, &mut state);
        }
        let class = self.vocabulary.class(block.token[row]);
        let score = self.cell.surprise(&state, class, &mut logits);
        let mut path = vec![format!(
            "saw token {}{} with probability {:.2e}: surprise {score:.2}, of a benign row {:.2}",
            block.token[row],
            if class == self.vocabulary.seen.len() { ", never met in training," } else { "" },
            math::exp(-score),
            self.mean
        )];
        let chances = self.chances(&state);
        path.extend(Self::expected(&chances).into_iter().map(|(class, p)| {
            format!("expected {} with probability {p:.3}", self.vocabulary.name(class))
        }));
        path.extend(past.into_iter().rev().take(PAST_SHOWN));
        let beyond = f64::from(score) - f64::from(self.mean);
        let shares = self.shares(&block.schema, block.token[row], &chances, beyond);
        Explanation::of_shares(score, self.mean, &shares, path)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let artifact = Artifact {
            alphabet: self.vocabulary.alphabet() as Token,
            seen: self.vocabulary.seen.clone(),
            weights: self.weights.to_flat(),
            mean: self.mean,
        };
        Ok(codec::encode(FORMAT, &artifact)?)
    }
}
