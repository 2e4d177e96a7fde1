//! Everything that can be said about a stored verdict: the voters' paths, the nearest benign rows,
//! and the smallest change found that flips it. Made on request, since it costs a thousand
//! scorings.

use crate::blend::{Answer, Tails};
use crate::block::Block;
use crate::bundle::{Bundle, ClassModels};
use crate::calibration::Budget;
use crate::counterfactual::{self, Change};
use crate::detector::RowScore;
use crate::ensemble::{asked, thresholds, voters};
use crate::explain::{Error, block_of, rescore};
use threat::verdict::Ballot;
use threat::{DetectorKind, EventClass, Replay, Verdict};

/// Benign rows shown as the nearest.
pub const NEAREST: usize = 3;

/// How a voter came to its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The voter.
    pub detector: DetectorKind,
    /// Its steps, in words.
    pub steps: Vec<String>,
    /// Encoded column name and its share of the score, greatest first.
    pub contributions: Vec<(String, f32)>,
    /// Part of the score that no column explains.
    pub unattributed: f32,
}

/// A benign row that the bundle remembers, with its distance.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// Mean absolute difference over the encoded columns.
    pub distance: f32,
    /// The features that differ most: name, here, there.
    pub differences: Vec<(String, f32, f32)>,
}

/// The dossier of one verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// How each voter decided.
    pub paths: Vec<Path>,
    /// The nearest benign rows.
    pub nearest: Vec<Near>,
    /// The changes that flip the voters' verdict; `None` when none was found within the limit,
    /// empty when the voters took it for benign anyway.
    pub counterfactual: Option<Vec<Change>>,
    /// Names of the encoded columns, for the counterfactual.
    pub columns: Vec<String>,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Each voter: stored score, score now, equal bits.
    pub scores: Vec<(DetectorKind, f32, Option<f32>, bool)>,
    /// The inputs hash to what the verdict says.
    pub inputs: bool,
}

impl Verified {
    /// All scores and the inputs are equal, bit by bit.
    pub fn holds(&self) -> bool {
        self.inputs && self.scores.iter().all(|s| s.3)
    }
}

/// Scores a stored verdict again and compares bits.
///
/// # Errors
/// When the bundle does not fit the stored inputs.
pub fn verify(
    bundle: &Bundle,
    class: EventClass,
    verdict: &Verdict,
    replay: &Replay,
) -> Result<Verified, Error> {
    let (scores, inputs) = rescore(bundle, class, replay)?;
    let now = |kind| {
        scores.iter().find(|(k, _)| *k == kind).and_then(|(_, s)| match s {
            RowScore::Score(s) => Some(*s),
            RowScore::Abstain => None,
        })
    };
    let scores = verdict
        .votes
        .iter()
        .filter_map(|vote| {
            let Ballot::Voted { score, .. } = vote.ballot else { return None };
            let again = now(vote.detector);
            let same = again.is_some_and(|a| a.to_bits() == score.to_bits());
            Some((vote.detector, score, again, same))
        })
        .collect();
    Ok(Verified { scores, inputs: inputs == verdict.inputs })
}

/// Makes the dossier of a stored verdict under a budget.
///
/// # Errors
/// When the bundle does not fit the stored inputs.
pub fn dossier(
    bundle: &Bundle,
    class: EventClass,
    replay: &Replay,
    budget: &Budget,
) -> Result<Dossier, Error> {
    let models = bundle.classes.get(&class).ok_or(Error::NoModels(class))?;
    let block = block_of(bundle, class, replay)?;
    let paths: Vec<Path> = asked(class)
        .into_iter()
        .filter_map(|detector| {
            let (model, _) = models.model(detector)?;
            let e = model.explain(&block, 0);
            let name = |(column, c): &(usize, f32)| (block.schema.column(*column).to_owned(), *c);
            Some(Path {
                detector,
                steps: e.path,
                contributions: e.contributions.iter().map(name).collect(),
                unattributed: e.unattributed,
            })
        })
        .collect();
    let order = order(models, &block, class);
    let counterfactual = counterfactual::search(
        &models.encoder,
        &replay.numeric,
        &replay.categories,
        &order,
        |numeric, categories| {
            let changed = Replay {
                numeric: numeric.to_vec(),
                categories: categories.to_vec(),
                ..replay.clone()
            };
            // A row that cannot be scored is no threat that could be flipped.
            answer(bundle, class, &changed, budget).is_ok_and(|a| a.is_some_and(|a| a.threat))
        },
    );
    Ok(Dossier {
        paths,
        nearest: nearest(models, &block),
        counterfactual,
        columns: (0..block.schema.width()).map(|c| block.schema.column(c).to_owned()).collect(),
    })
}

/// Columns by their part in the voters' scores, greatest first, then all others.
fn order(models: &ClassModels, block: &Block, class: EventClass) -> Vec<usize> {
    let mut shares = vec![0.0f32; block.schema.width()];
    for detector in asked(class) {
        let Some((model, _)) = models.model(detector) else { continue };
        let reasons = model.explain(block, 0).contributions;
        let total: f32 = reasons.iter().map(|r| r.1.max(0.0)).sum();
        for (column, c) in reasons {
            shares[column] += if total > 0.0 { c.max(0.0) / total } else { 0.0 };
        }
    }
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
    order
}

/// What the ensemble says of a stored finding's inputs under a budget; `None` when fewer than two
/// voters have something to say.
///
/// # Errors
/// When the bundle does not fit the inputs.
pub fn answer(
    bundle: &Bundle,
    class: EventClass,
    replay: &Replay,
    budget: &Budget,
) -> Result<Option<Answer>, Error> {
    let models = bundle.classes.get(&class).ok_or(Error::NoModels(class))?;
    let tails = tails(bundle, class, replay)?;
    Ok(models.ensemble.answer(&tails, thresholds(models, budget)))
}

/// What each detector says of a stored finding's inputs.
///
/// # Errors
/// When the bundle does not fit the inputs.
pub fn tails(bundle: &Bundle, class: EventClass, replay: &Replay) -> Result<Tails, Error> {
    let models = bundle.classes.get(&class).ok_or(Error::NoModels(class))?;
    let (scores, _) = rescore(bundle, class, replay)?;
    let tail = |detector| {
        let (_, score) = *scores.iter().find(|(k, _)| *k == detector)?;
        let RowScore::Score(score) = score else { return None };
        Some(models.model(detector)?.1.tail(score))
    };
    let voters = voters(class).into_iter().filter_map(|kind| Some((kind, tail(kind)?)));
    Ok(Tails { voters: voters.collect(), labelled: tail(DetectorKind::Labelled) })
}

fn nearest(models: &ClassModels, block: &Block) -> Vec<Near> {
    let here = block.encoded.row(0);
    let mut all: Vec<Near> = models
        .reference
        .rows
        .iter()
        .filter_map(|row| {
            let mut there = vec![0.0; models.encoder.width()];
            let fits = row.raw.len() == block.raw.ncols();
            fits.then(|| models.encoder.encode_row(&row.raw, &row.categories, &mut there))?;
            let apart = |c: usize| (here[c] - there[c]).abs();
            let distance = (0..there.len()).map(apart).sum::<f32>() / there.len().max(1) as f32;
            let mut columns: Vec<usize> = (0..row.raw.len()).collect();
            columns.sort_by(|&a, &b| apart(b).total_cmp(&apart(a)).then(a.cmp(&b)));
            let differences = columns
                .into_iter()
                .take(3)
                .map(|c| (block.schema.column(c).to_owned(), block.raw[(0, c)], row.raw[c]))
                .collect();
            Some(Near { distance, differences })
        })
        .collect();
    all.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    all.truncate(NEAREST);
    all
}
