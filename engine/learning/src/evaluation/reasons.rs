//! Whether reasons are reasons: does the score fall when what an explanation names is made
//! ordinary, does it add up, and does a stated counterfactual flip the verdict?

use super::judge::Judge;
use detection::block::Block;
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::counterfactual::{Change, Value, ordinary};
use detection::dossier::{answer, dossier};
use detection::explain::{Error, contributions, replay};
use std::sync::Arc;
use threat::entropy::Rng;
use threat::{EventClass, Replay};

/// Rows that are looked at: a dossier costs hundreds of scorings, and a share is then known to a
/// few hundredths.
pub const REASONED_ROWS: usize = 200;

/// Features of an explanation that are made ordinary: those that a reader remembers.
const NAMED: usize = 3;

/// Draws of as many random features to compare with.
const DRAWS: usize = 5;

/// What was measured of the reasons for verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reasons {
    /// Threat verdicts looked at.
    pub rows: usize,
    /// Mean part of a voter's score, beyond its base, that no feature explains.
    pub unattributed: f64,
    /// Mean fall of the score when the named features are made ordinary.
    pub named: f64,
    /// Mean fall when as many random ones are.
    pub random: f64,
    /// Verdicts for which a counterfactual was stated.
    pub stated: usize,
    /// Stated ones that flip the verdict when they are applied.
    pub flipped: usize,
}

/// Measures the reasons for the threat verdicts among the rows of a block that is not encoded, at
/// most [`REASONED_ROWS`] of them evenly.
///
/// # Errors
/// When the rows do not fit the bundle.
pub fn reasons(
    bundle: &Arc<Bundle>,
    class: EventClass,
    block: &Block,
    budget: Budget,
    seed: u64,
) -> Result<Reasons, Error> {
    let models = bundle.classes.get(&class).ok_or(Error::NoModels(class))?;
    let mut judge = Judge::new(Arc::clone(bundle), budget);
    let verdicts = judge.verdicts(class, block);
    let threats: Vec<usize> = (0..verdicts.len()).filter(|&r| verdicts[r].threat).collect();
    let step = threats.len().div_ceil(REASONED_ROWS).max(1);
    let mut rng = Rng::fork(seed, "evaluation/reasons");
    let mut out = Reasons::default();
    let width = block.schema.width();
    for &row in threats.iter().step_by(step) {
        let replay = replay(block, row);
        let one = judge.encoded(class, block.select(&[row]));
        let shares = contributions(models, &one, 0, &verdicts[row], &[]);
        let named: Vec<usize> = (0..NAMED.min(shares.len()))
            .filter_map(|i| (0..width).find(|&c| block.schema.column(c) == shares[i].feature))
            .collect();
        let score = |replay: &Replay| -> Result<f64, Error> {
            Ok(answer(bundle, class, replay, &budget)?.map_or(0.0, |a| f64::from(a.score)))
        };
        let full = score(&replay)?;
        let without = |columns: &[usize]| -> Result<f64, Error> {
            let mut changed = replay.clone();
            for &column in columns {
                let to = ordinary(&models.encoder, replay.numeric.len(), column);
                to.into_iter().for_each(|to| set(&mut changed, column, to));
            }
            Ok(full - score(&changed)?)
        };
        out.named += without(&named)?;
        for _ in 0..DRAWS {
            let mut all: Vec<usize> = (0..width).collect();
            rng.shuffle(&mut all);
            all.truncate(named.len());
            out.random += without(&all)? / DRAWS as f64;
        }
        out.unattributed += unattributed(models, &one);
        if let Some(changes) = dossier(bundle, class, &replay, &budget)?.counterfactual {
            out.stated += 1;
            let mut changed = replay.clone();
            changes.iter().for_each(|Change { column, to, .. }| set(&mut changed, *column, *to));
            let flips = answer(bundle, class, &changed, &budget)?.is_none_or(|a| !a.threat);
            out.flipped += usize::from(flips);
        }
        out.rows += 1;
    }
    let rows = out.rows.max(1) as f64;
    for sum in [&mut out.named, &mut out.random, &mut out.unattributed] {
        *sum /= rows;
    }
    Ok(out)
}

/// Mean over the models of the part of the score that no column explains.
fn unattributed(models: &detection::bundle::ClassModels, one: &Block) -> f64 {
    let parts = models.models.iter().map(|(_, model, _)| {
        let e = model.explain(one, 0);
        let whole = f64::from((e.score - e.base).abs()).max(f64::from(e.unattributed.abs()));
        if whole > 0.0 { f64::from(e.unattributed.abs()) / whole } else { 0.0 }
    });
    parts.sum::<f64>() / models.models.len().max(1) as f64
}

fn set(replay: &mut Replay, column: usize, value: Value) {
    match value {
        Value::Number(x) => replay.numeric[column] = x,
        Value::Category(hash) => replay.categories[column - replay.numeric.len()] = hash,
    }
}
