//! Hybrid Bayes: how unlikely are an event's amounts and kinds among benign ones?
//!
//! The amounts (the schema's volumes) have the density of a variational mixture of Gaussians
//! (`mixture`, laid out for scoring in `density`); the kinds come as surprisals under
//! Dirichlet-smoothed frequencies from the encoder, of which the greatest counts: score = −ln
//! p(amounts) + 5 · max surprisal. `posterior` is the labelled side: it names threats and says how
//! sure it is. Not here: the encoder, and calibration.

pub mod density;
pub mod mixture;
pub mod posterior;
pub mod special;

#[cfg(test)]
mod tests;

use crate::block::Block;
use crate::detector::{Entry, Error, Explanation, Model, RowScore, Scorer, Train, TrainOptions};
use crate::schema::Schema;
use density::Density;
use mixture::{Mixture, Statistics};
use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use threat::{DetectorKind, codec};

/// The catalogue's line.
pub const ENTRY: Entry = Entry {
    kind: DetectorKind::Bayes,
    summary: "amounts of low density, or a kind of event seldom seen, among benign events",
    format: FORMAT,
    train: Train::Benign(|block, options| Ok(Arc::new(Bayes::train(block, options)?))),
    decode: |bytes| Ok(Arc::new(Bayes::decode(bytes)?)),
};

/// Version of the artifact's bytes.
const FORMAT: u8 = 1;

/// Fewer rows give no density.
const ROWS_LEAST: usize = 50;

/// Weight of the greatest surprisal beside the density: anything from 4 to 20 does as well on
/// flows. Summed surprisals do not: kinds go together, and a sum counts one oddity many times.
const SURPRISAL_WEIGHT: f32 = 5.0;

/// Standard deviations beyond which an amount is no odder.
const CLIP: f32 = 20.0;

/// Components and columns that an explanation describes.
const SHOWN: usize = 3;

/// A trained density of benign events.
#[derive(Clone, Debug)]
pub struct Bayes {
    content: Artifact,
    mixture: Mixture,
    density: Density,
}

/// What the artifact holds; everything else follows from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Artifact {
    /// Encoded columns of a row.
    width: usize,
    /// Of these the first so many are numeric.
    numeric: usize,
    /// The numeric columns that the mixture reads, ascending.
    columns: Vec<usize>,
    /// Of the mixture.
    statistics: Statistics,
    /// Rows behind `surprisal`, which fade as the mixture's do.
    rows: f64,
    /// Sum of the rows' greatest surprisals.
    surprisal: f64,
}

/// The numeric columns that are modelled: volumes, or all where the schema names none.
fn modelled(schema: &Schema) -> Vec<usize> {
    let volumes = schema.volumes();
    if volumes.is_empty() { (0..schema.numeric.len()).collect() } else { volumes }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { detector: "bayes", reason: reason.into() }
}

impl Bayes {
    /// Learns the density of benign rows.
    ///
    /// # Errors
    /// [`Error::TooFewRows`], or [`Error::Width`] when the rows are not encoded or have no columns.
    pub fn train(block: &Block, options: &TrainOptions) -> Result<Self, Error> {
        let (rows, width) = (block.len(), block.schema.width());
        if rows < ROWS_LEAST {
            return Err(Error::TooFewRows { detector: "bayes", needed: ROWS_LEAST, got: rows });
        }
        let mut content = Artifact {
            width: width.max(1),
            numeric: block.schema.numeric.len(),
            columns: modelled(&block.schema),
            statistics: Statistics::default(),
            rows: rows as f64,
            surprisal: 0.0,
        };
        let amounts = content.amounts(block)?;
        content.surprisal = content.surprisals(block);
        content.statistics = mixture::fit(&amounts, content.columns.len(), options.seed);
        Ok(Self::of(content))
    }

    fn of(content: Artifact) -> Self {
        let mixture = Mixture::of(&content.statistics);
        Self { density: Density::new(&mixture, &content.statistics), mixture, content }
    }

    /// This model after further benign rows: what it learnt before counts `keep` (0 to 1) of what
    /// it did. One variational step from the kept statistics, without the old rows. No rows change
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Width`] when the rows are of another schema.
    pub fn absorb(&self, block: &Block, keep: f64) -> Result<Self, Error> {
        let mut content = self.content.clone();
        let amounts = content.amounts(block)?;
        if block.is_empty() {
            return Ok(self.clone());
        }
        let keep = keep.clamp(0.0, 1.0);
        if !content.columns.is_empty() {
            content.statistics.fold(keep, &self.mixture.expect(&amounts).0);
        }
        content.rows = content.rows * keep + block.len() as f64;
        content.surprisal = content.surprisal * keep + content.surprisals(block);
        Ok(Self::of(content))
    }

    /// Loads an artifact.
    ///
    /// # Errors
    /// [`Error::Codec`] or [`Error::Invalid`] when the bytes are no such model.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let content: Artifact = codec::decode(FORMAT, bytes)?;
        if let Some(problem) = content.statistics.problem() {
            return Err(invalid(problem));
        }
        let ascending = content.columns.windows(2).all(|w| w[0] < w[1]);
        let inside = content.columns.last().is_none_or(|&c| c < content.numeric);
        if !ascending || !inside || content.numeric > content.width {
            return Err(invalid("columns are not ascending within the row"));
        }
        if content.statistics.columns != content.columns.len() {
            return Err(invalid("statistics have other columns"));
        }
        let positive = content.rows > 0.0 && content.surprisal >= 0.0;
        if !positive || !(content.rows + content.surprisal).is_finite() {
            return Err(invalid("surprisals are not finite or negative"));
        }
        let model = Self::of(content);
        if model.density.is_finite() { Ok(model) } else { Err(invalid("density is not finite")) }
    }

    /// Components that the prior left in use.
    pub fn components(&self) -> usize {
        self.density.active.len()
    }

    /// Mean of the greatest surprisal of benign rows.
    fn usual_surprisal(&self) -> f32 {
        (self.content.surprisal / self.content.rows) as f32
    }
}

impl Artifact {
    fn check(&self, block: &Block) -> Result<(), Error> {
        let (expected, got) = (self.width, block.encoded.ncols());
        if expected == got { Ok(()) } else { Err(Error::Width { expected, got }) }
    }

    /// The modelled columns of all rows, clipped, row by row.
    fn amounts(&self, block: &Block) -> Result<Vec<f64>, Error> {
        self.check(block)?;
        let mut all = Vec::with_capacity(block.len() * self.columns.len());
        let mut row = Vec::new();
        for encoded in block.encoded.outer_iter() {
            self.amounts_of(encoded, &mut row);
            all.extend(row.iter().map(|&x| f64::from(x)));
        }
        Ok(all)
    }

    #[inline]
    fn amounts_of(&self, encoded: ArrayView1<'_, f32>, row: &mut Vec<f32>) {
        row.clear();
        row.extend(self.columns.iter().map(|&c| encoded[c].clamp(-CLIP, CLIP)));
    }

    /// The column of the greatest surprisal and that surprisal; `None` without categories.
    #[inline]
    fn greatest(&self, encoded: ArrayView1<'_, f32>) -> Option<(usize, f32)> {
        let mut best = None;
        for c in self.numeric..self.width {
            let s = encoded[c];
            if best.is_none_or(|(_, b)| s > b) {
                best = Some((c, s));
            }
        }
        best
    }

    /// Sum over rows of the greatest surprisal.
    fn surprisals(&self, block: &Block) -> f64 {
        let greatest = |row| self.greatest(row).map_or(0.0, |(_, s)| f64::from(s));
        block.encoded.outer_iter().map(greatest).sum()
    }
}

impl Bayes {
    #[inline]
    fn score(&self, encoded: ArrayView1<'_, f32>, scratch: &mut Scratch) -> f32 {
        self.content.amounts_of(encoded, &mut scratch.row);
        let density = self.density.surprise(&scratch.row, &mut scratch.logs);
        let kind = self.content.greatest(encoded).map_or(0.0, |(_, s)| s);
        density + SURPRISAL_WEIGHT * kind
    }

    /// The components that have most of the row, in words.
    fn describe(&self, schema: &Schema, row: &[f32], parts: &[f64]) -> Vec<String> {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by(|&a, &b| parts[b].total_cmp(&parts[a]).then(a.cmp(&b)));
        let mut lines = Vec::new();
        for &i in order.iter().take(SHOWN).filter(|&&i| parts[i] >= 0.01) {
            let k = self.density.active[i];
            let columns = &self.mixture.columns[k * row.len()..(k + 1) * row.len()];
            let far =
                |d: usize| (f64::from(row[d]) - columns[d].mean).abs() / columns[d].variance.sqrt();
            let mut far_first: Vec<usize> = (0..row.len()).collect();
            far_first.sort_by(|&a, &b| far(b).total_cmp(&far(a)).then(a.cmp(&b)));
            let places: Vec<String> = far_first
                .iter()
                .take(SHOWN)
                .map(|&d| {
                    let (mean, deviation) = (columns[d].mean, columns[d].variance.sqrt());
                    let name = schema.column(self.content.columns[d]);
                    format!("{name} {:.2} against {mean:.2} ± {deviation:.2}", row[d])
                })
                .collect();
            lines.push(format!(
                "{:.0}% of the row belongs to component {k} of {:.1}% of benign rows: {}",
                100.0 * parts[i],
                100.0 * self.mixture.weight[k],
                places.join(", ")
            ));
        }
        lines
    }
}

impl Model for Bayes {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Bayes
    }

    fn scorer(self: Arc<Self>) -> Box<dyn Scorer> {
        Box::new(BayesScorer { model: self, scratch: Scratch::default() })
    }

    /// Exact: with the parts r of the components, −ln p = Σ r (−ln density − ln weight + ln r). A
    /// column's share is its term less what it is on average over the benign rows of those
    /// components; these averages, and how rare the components are, make up the base.
    fn explain(&self, block: &Block, row: usize) -> Explanation {
        if self.content.check(block).is_err() {
            return Explanation {
                path: vec!["the row has other columns than the model".into()],
                ..Default::default()
            };
        }
        let encoded = block.encoded.row(row);
        let mut scratch = Scratch::default();
        let score = self.score(encoded, &mut scratch);
        let amounts = &scratch.row;
        let parts = self.density.parts(amounts);
        let mut base = 0.0;
        let mut shares = vec![0.0; amounts.len()];
        for (&part, &k) in parts.iter().zip(&self.density.active).filter(|(p, _)| **p > 0.0) {
            base += part * (part.ln() - self.mixture.weight[k].ln());
            for (d, share) in shares.iter_mut().enumerate() {
                let column = self.mixture.columns[k * amounts.len() + d];
                let far = f64::from(amounts[d]) - column.mean;
                let constant = 0.5 * (std::f64::consts::TAU * column.variance).ln();
                base += part * (constant + 0.5 * column.spread / column.variance);
                *share += part * 0.5 * (far * far - column.spread) / column.variance;
            }
        }
        let mut contributions: Vec<(usize, f32)> =
            self.content.columns.iter().zip(&shares).map(|(&c, &s)| (c, s as f32)).collect();
        let mut path = self.describe(&block.schema, amounts, &parts);
        if let Some((column, surprisal)) = self.content.greatest(encoded) {
            let usual = self.usual_surprisal();
            base += f64::from(SURPRISAL_WEIGHT * usual);
            contributions.push((column, SURPRISAL_WEIGHT * (surprisal - usual)));
            path.push(format!(
                "{} is the rarest kind: surprisal {surprisal:.2}, usually {usual:.2}",
                block.schema.column(column)
            ));
        }
        contributions.retain(|(_, share)| *share != 0.0);
        contributions.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let base = base as f32;
        let sum: f32 = contributions.iter().map(|(_, share)| share).sum();
        let unattributed = score - base - sum;
        Explanation { score, base, contributions, unattributed, path, ..Default::default() }
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(codec::encode(FORMAT, &self.content)?)
    }
}

/// Buffers that live as long as a scorer.
#[derive(Default)]
struct Scratch {
    row: Vec<f32>,
    logs: Vec<[f32; 8]>,
}

/// The density at work; it keeps nothing of any entity.
struct BayesScorer {
    model: Arc<Bayes>,
    scratch: Scratch,
}

impl Scorer for BayesScorer {
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        out.clear();
        self.model.content.check(block)?;
        for encoded in block.encoded.outer_iter() {
            out.push(RowScore::Score(self.model.score(encoded, &mut self.scratch)));
        }
        Ok(())
    }
}
