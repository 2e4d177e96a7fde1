//! Mixing forecasts by how well they did (Bates and Granger: "The combination of forecasts", 1969,
//! weights by inverse squared errors; sharper weights fit the wide differences between methods of
//! different kinds).

use crate::stats::mean;
use crate::validation::{Plan, Record};

/// Weights fall with this power of the error.
const POWER: i32 = 4;

/// Weights that add up to 1, of mean absolute errors.
pub(crate) fn weights(errors: &[f64]) -> Vec<f64> {
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let raw = |error: &f64| match least {
        // A method without any error takes all.
        l if l <= 0.0 => f64::from(u8::from(*error <= 0.0)),
        l => (l / error).powi(POWER),
    };
    let raw: Vec<f64> = errors.iter().map(raw).collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|w| w / total).collect()
}

/// The weighted mean of forecasts.
pub(crate) fn mixed(forecasts: &[&[f64]], weights: &[f64]) -> Vec<f64> {
    let horizon = forecasts.iter().map(|f| f.len()).min().unwrap_or(0);
    let at = |h: usize| forecasts.iter().zip(weights).map(|(f, w)| f[h] * w).sum();
    (0..horizon).map(at).collect()
}

/// Errors of each method over the origins `of`, on the scale of the series.
pub(crate) fn errors(records: &[&Record], of: impl Iterator<Item = usize> + Clone) -> Vec<f64> {
    let over =
        |r: &&Record| mean(&of.clone().map(|k| r.measured.scaled_errors[k]).collect::<Vec<f64>>());
    records.iter().map(over).collect()
}

/// What a mix would have forecast from each origin, its weights taken from the other origins.
pub(crate) fn validated(records: &[&Record], plan: &Plan) -> Vec<Vec<f64>> {
    let from = |k: usize| {
        let others: Vec<usize> = plan.others(k).collect();
        let weights = weights(&errors(records, others.into_iter()));
        let forecasts: Vec<&[f64]> =
            records.iter().map(|r| r.measured.forecasts[k].as_slice()).collect();
        mixed(&forecasts, &weights)
    };
    (0..plan.origins.len()).map(from).collect()
}

#[cfg(test)]
mod tests;
