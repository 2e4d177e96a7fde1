//! Learning: segments of entities' token sequences, Adam (Kingma, Ba 2015) with linear decay and
//! clipping, a work budget. Same rows and same seed give the same weights, bit by bit.
//!
//! Not here: the gradient itself (`gradient`) and what is made of the weights (`mod`).

use super::Vocabulary;
use super::gradient::Gradient;
use super::lstm::{Cell, FILLER_BIAS, GATES, HIDDEN, LANES, Weights, blocks};
use crate::block::{Block, HISTORY_TOKENS, Token};
use threat::entropy::Rng;

/// Passes over the rows when the work budget allows: more did not help on log sessions.
const EPOCHS: usize = 10;

/// Multiply-adds spent on one training: about three seconds of one core, so that a node can train
/// beside its detectors. 20,000 tokens over 256 classes pass ten times within a third of it.
const TRAIN_WORK: usize = 9_000_000_000;

/// Segments in a batch.
const BATCH: usize = 64;

/// Small sets shrink the batch and then add passes, since Adam needs some hundred updates to get
/// anywhere.
const UPDATES: usize = 400;

/// The most passes that a small set gets: further ones learn it by heart.
const EPOCHS_MOST: usize = 40;

/// The smallest batch that they shrink to.
const BATCH_LEAST: usize = 8;

/// Adam's first step size; falls linearly to 0.
const STEP: f32 = 5e-3;

/// Greatest norm of a batch's gradient.
const CLIP: f64 = 1.0;

/// Share of inputs replaced by the unknown token, so that its embedding means "something else".
const UNKNOWN_SHARE: f64 = 0.01;

/// A stretch of one entity's tokens which are predicted one from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// At most a full history and a row's own token.
    pub tokens: Vec<Token>,
    /// Bit `i`: token `i` belongs to a row and is learnt; others only give context.
    pub counted: u64,
}

const _: () = assert!(HISTORY_TOKENS < 64, "a segment's positions must fit into 64 bits");

/// Cuts the rows into segments: a row continues its entity's segment when its history begins with
/// that segment; otherwise (the history was cut, or rows are missing) it starts one with its own
/// history as context.
pub fn segments(block: &Block) -> Vec<Segment> {
    let mut order: Vec<usize> = (0..block.len()).collect();
    order.sort_by_key(|&row| block.entity[row]);
    let mut all: Vec<Segment> = Vec::new();
    let mut entity = None;
    for row in order {
        let history = block.history[row].as_slice();
        match all.last_mut() {
            Some(last)
                if entity == Some(block.entity[row]) && history.starts_with(&last.tokens) =>
            {
                last.tokens.extend_from_slice(&history[last.tokens.len()..]);
            }
            _ => all.push(Segment { tokens: history.to_vec(), counted: 0 }),
        }
        entity = Some(block.entity[row]);
        if let Some(last) = all.last_mut() {
            last.counted |= 1 << last.tokens.len();
            last.tokens.push(block.token[row]);
        }
    }
    all
}

/// Multiply-adds of one token's way forth and back.
fn work_per_token(classes: usize) -> usize {
    3 * (HIDDEN * GATES + HIDDEN * LANES * blocks(classes))
}

/// How long to train: passes, batch size, and how many segments (of the shuffled ones) fit at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Passes over the kept segments.
    pub epochs: usize,
    /// Segments in a batch.
    pub batch: usize,
    /// Segments kept.
    pub kept: usize,
}

/// The plan for these segments under the work budget.
pub fn plan(segments: &[Segment], classes: usize) -> Plan {
    let budget = TRAIN_WORK / work_per_token(classes);
    let mut tokens = 0;
    let kept = segments
        .iter()
        .take_while(|s| {
            tokens += s.tokens.len();
            tokens <= budget
        })
        .count();
    let wanted = (UPDATES * BATCH_LEAST / kept.max(1)).clamp(EPOCHS, EPOCHS_MOST);
    let epochs = (budget / tokens.max(1)).clamp(1, wanted);
    let batch = (kept * epochs / UPDATES).clamp(BATCH_LEAST, BATCH);
    Plan { epochs, batch, kept }
}

/// Weights before the first step: uniform by fan-in, the forget gate open, and output biases at the
/// logarithm of the tokens' frequencies, so that training starts from the unigram model.
fn initial(vocabulary: &Vocabulary, segments: &[Segment], rng: &mut Rng) -> Weights {
    let classes = vocabulary.classes();
    let mut weights = Weights::zeros(classes);
    let bound = 1.0 / (HIDDEN as f64).sqrt();
    for x in weights.embed.as_flattened_mut() {
        *x = (0.5 * rng.normal()) as f32;
    }
    for part in [&mut weights.input, &mut weights.recur] {
        part.as_flattened_mut().iter_mut().for_each(|x| *x = rng.range(-bound, bound) as f32);
    }
    weights.bias[0][HIDDEN..2 * HIDDEN].fill(1.0);
    let mut counts = vec![0.5f64; classes];
    for segment in segments {
        for (i, &token) in segment.tokens.iter().enumerate() {
            counts[vocabulary.class(token)] += f64::from((segment.counted >> i & 1) as u8);
        }
    }
    let total: f64 = counts.iter().sum();
    for class in 0..blocks(classes) * LANES {
        let (block, lane) = (class / LANES, class % LANES);
        weights.out_bias[block][lane] = match counts.get(class) {
            Some(c) => (c / total).ln() as f32,
            None => FILLER_BIAS,
        };
        if class < classes {
            for row in &mut weights.out[block * HIDDEN..(block + 1) * HIDDEN] {
                row[lane] = rng.range(-bound, bound) as f32;
            }
        }
    }
    weights
}

/// Learns from the segments.
pub fn train(vocabulary: &Vocabulary, mut segments: Vec<Segment>, seed: u64) -> Weights {
    let classes = vocabulary.classes();
    let mut weights = initial(vocabulary, &segments, &mut Rng::fork(seed, "sequence/weights"));
    let mut rng = Rng::fork(seed, "sequence/order");
    rng.shuffle(&mut segments);
    let Plan { epochs, batch, kept } = plan(&segments, classes);
    segments.truncate(kept);
    let updates = epochs * kept.div_ceil(batch);
    let mut gradient = Gradient::new(classes);
    let mut adam = Adam::new(classes);
    for _ in 0..epochs {
        rng.shuffle(&mut segments);
        for chunk in segments.chunks(batch) {
            let cell = Cell::new(&weights, classes);
            gradient.clear();
            let mut counted = 0u32;
            for segment in chunk {
                let (inputs, targets) = vocabulary.steps(segment, Some(&mut rng), UNKNOWN_SHARE);
                gradient.add(&cell, &inputs, &targets);
                counted += segment.counted.count_ones();
            }
            gradient.finish(&weights);
            let left = 1.0 - adam.updates as f32 / updates as f32;
            adam.update(&mut weights, &gradient.sum, counted.max(1), STEP * left);
        }
    }
    weights
}

/// Adam's moments.
struct Adam {
    first: Weights,
    second: Weights,
    updates: usize,
}

impl Adam {
    const FADE_FIRST: f32 = 0.9;
    const FADE_SECOND: f32 = 0.999;
    const FLOOR: f32 = 1e-8;

    fn new(classes: usize) -> Self {
        Self { first: Weights::zeros(classes), second: Weights::zeros(classes), updates: 0 }
    }

    /// One step along the mean gradient of `counted` tokens, clipped to a norm of [`CLIP`].
    fn update(&mut self, weights: &mut Weights, sum: &Weights, counted: u32, step: f32) {
        self.updates += 1;
        let squares: f64 =
            sum.parts().iter().flat_map(|p| p.iter()).map(|&g| f64::from(g) * f64::from(g)).sum();
        let norm = squares.sqrt() / f64::from(counted);
        let scale = ((CLIP / norm.max(CLIP)) / f64::from(counted)) as f32;
        let age = self.updates as i32;
        let first_left = 1.0 - Self::FADE_FIRST.powi(age);
        let second_left = 1.0 - Self::FADE_SECOND.powi(age);
        let moments = self.first.parts_mut().into_iter().zip(self.second.parts_mut());
        let both = weights.parts_mut().into_iter().zip(sum.parts()).zip(moments);
        for ((weights, sum), (first, second)) in both {
            for (((w, g), m), v) in weights.iter_mut().zip(sum).zip(first).zip(second) {
                let g = g * scale;
                *m = Self::FADE_FIRST * *m + (1.0 - Self::FADE_FIRST) * g;
                *v = Self::FADE_SECOND * *v + (1.0 - Self::FADE_SECOND) * g * g;
                *w -= step * (*m / first_left) / ((*v / second_left).sqrt() + Self::FLOOR);
            }
        }
    }
}
