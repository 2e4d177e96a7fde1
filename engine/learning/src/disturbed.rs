//! What each voter counts in a ranking, without a single attack: how well it tells benign rows with
//! some of their values exchanged from benign rows as they are.
//!
//! Exchanged values are each ordinary, but do not go together; a detector that does not notice them
//! would not notice much else. Which rows are held out, and what is done with the weights, is
//! elsewhere.

use crate::evaluation::metrics::Summary;
use detection::block::Block;
use detection::detector::{Model, RowScore};
use std::sync::Arc;
use threat::entropy::Rng;

/// Part of a row's values that are exchanged (see the study of detectors).
const EXCHANGED: f64 = 0.3;

/// Rows disturbed at most: the weight then moves in its third digit.
const ROWS: usize = 4_096;

/// The block's rows, at most [`ROWS`] of them evenly, each with some of its values, kinds and its
/// token taken from other rows.
pub fn disturb(block: &Block, seed: u64) -> Block {
    let step = block.len().div_ceil(ROWS).max(1);
    let rows: Vec<usize> = (0..block.len()).step_by(step).collect();
    let mut out = block.select(&rows);
    let mut rng = Rng::fork(seed, "training/disturbed");
    for row in 0..out.len() {
        let other = |rng: &mut Rng| rng.chance(EXCHANGED).then(|| rng.below(block.len()));
        for c in 0..block.raw.ncols() {
            if let Some(from) = other(&mut rng) {
                out.raw[(row, c)] = block.raw[(from, c)];
            }
        }
        for c in 0..block.categories.ncols() {
            if let Some(from) = other(&mut rng) {
                out.categories[(row, c)] = block.categories[(from, c)];
            }
        }
        if let Some(from) = other(&mut rng) {
            out.token[row] = block.token[from];
        }
    }
    out
}

/// (2·AUC − 1)² of a model between disturbed and undisturbed rows; 0 for one that is no better than
/// chance, or that fails.
pub fn weight(model: &Arc<dyn Model>, benign: &Block, disturbed: &Block) -> f32 {
    let scored = |block: &Block| -> Option<Vec<f32>> {
        let mut out = Vec::new();
        Arc::clone(model).scorer().score(block, &mut out).ok()?;
        let score = |s: RowScore| if let RowScore::Score(s) = s { Some(s) } else { None };
        Some(out.into_iter().filter_map(score).collect())
    };
    let (Some(mut scores), Some(loud)) = (scored(benign), scored(disturbed)) else { return 0.0 };
    let attack: Vec<bool> = (0..scores.len() + loud.len()).map(|i| i >= scores.len()).collect();
    scores.extend(loud);
    let auc = Summary::of(&scores, &attack).map_or(0.5, |s| s.auc);
    (2.0 * auc - 1.0).max(0.0).powi(2) as f32
}
