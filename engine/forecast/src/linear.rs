//! Ridge regression by normal equations: what the autoregressive members are fitted with.
//!
//! Hoerl and Kennard: "Ridge regression", Technometrics 1970; the shrinkage may pull towards a
//! prior instead of 0. Residuals are weighted down as Huber does ("Robust estimation of a location
//! parameter", 1964), so that one burst does not turn the coefficients.

use crate::stats::{MAD_TO_SD, median};

/// Residuals up to this many standard deviations count in full.
const HUBER: f64 = 2.5;

/// A pivot below this share of the largest means columns that depend on each other; the ridge
/// keeps it from happening, unless a series is all but constant.
const PIVOT: f64 = 1e-12;

/// Rows of a regression, flat: `rows * columns` inputs, one target per row.
#[derive(Debug, Default)]
pub(crate) struct Design {
    columns: usize,
    inputs: Vec<f64>,
    targets: Vec<f64>,
}

/// Strength of the shrinkage of a column and what it is shrunk to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prior {
    /// Added to the diagonal.
    pub(crate) strength: f64,
    /// The coefficient that no data would give.
    pub(crate) mean: f64,
}

impl Design {
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        let inputs = Vec::with_capacity(columns * rows);
        Self { columns, inputs, targets: Vec::with_capacity(rows) }
    }

    pub(crate) fn push(&mut self, inputs: impl IntoIterator<Item = f64>, target: f64) {
        self.inputs.extend(inputs);
        self.targets.push(target);
        debug_assert_eq!(self.inputs.len(), self.columns * self.targets.len());
    }

    /// Coefficients with `weights` (1 each where empty); `None` where they are not determined.
    pub(crate) fn solve(&self, priors: &[Prior], weights: &[f64]) -> Option<Vec<f64>> {
        let p = self.columns;
        let mut gram = vec![0.0; p * p];
        let mut right = vec![0.0; p];
        for (r, (row, target)) in self.inputs.chunks_exact(p).zip(&self.targets).enumerate() {
            let weight = weights.get(r).copied().unwrap_or(1.0);
            for (i, input) in row.iter().enumerate() {
                // Most columns are indicators of an hour, which are 0 in most rows.
                if *input == 0.0 {
                    continue;
                }
                let scaled = weight * input;
                right[i] += scaled * target;
                for (sum, other) in gram[i * p + i..(i + 1) * p].iter_mut().zip(&row[i..]) {
                    *sum += scaled * other;
                }
            }
        }
        for (i, prior) in priors.iter().enumerate() {
            gram[i * p + i] += prior.strength;
            right[i] += prior.strength * prior.mean;
        }
        cholesky(gram, right, p)
    }

    /// Coefficients, with rows of large residuals weighted down.
    pub(crate) fn solve_robustly(&self, priors: &[Prior], rounds: usize) -> Option<Vec<f64>> {
        let mut found = self.solve(priors, &[])?;
        for _ in 0..rounds {
            let residuals = self.residuals(&found);
            let bound = HUBER * MAD_TO_SD * median(residuals.iter().map(|r| r.abs()));
            if bound <= 0.0 {
                break;
            }
            let weights: Vec<f64> =
                residuals.iter().map(|r| 1.0 / (r.abs() / bound).max(1.0)).collect();
            found = self.solve(priors, &weights)?;
        }
        Some(found)
    }

    fn residuals(&self, coefficients: &[f64]) -> Vec<f64> {
        let rows = self.inputs.chunks_exact(self.columns).zip(&self.targets);
        rows.map(|(row, target)| target - dot(row, coefficients)).collect()
    }
}

/// The sum of products.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Solves `gram · x = right` for a symmetric positive matrix of which the upper half is given.
fn cholesky(mut gram: Vec<f64>, mut right: Vec<f64>, p: usize) -> Option<Vec<f64>> {
    let largest = (0..p).map(|i| gram[i * p + i]).fold(0.0, f64::max);
    // Row i of the upper half becomes row i of the factor U with U'U = gram.
    for i in 0..p {
        let pivot = gram[i * p + i];
        if !(pivot.is_finite() && pivot > PIVOT * largest) {
            return None;
        }
        let root = pivot.sqrt();
        let (upper, lower) = gram.split_at_mut((i + 1) * p);
        let row = &mut upper[i * p..];
        row[i..].iter_mut().for_each(|v| *v /= root);
        for (below, j) in lower.chunks_exact_mut(p).zip(i + 1..) {
            let factor = row[j];
            if factor != 0.0 {
                below[j..].iter_mut().zip(&row[j..]).for_each(|(v, u)| *v -= factor * u);
            }
        }
    }
    for i in 0..p {
        right[i] /= gram[i * p + i];
        let done = right[i];
        for j in i + 1..p {
            right[j] -= gram[i * p + j] * done;
        }
    }
    for i in (0..p).rev() {
        let sum = dot(&gram[i * p + i + 1..(i + 1) * p], &right[i + 1..]);
        right[i] = (right[i] - sum) / gram[i * p + i];
    }
    right.iter().all(|v| v.is_finite()).then_some(right)
}

#[cfg(test)]
mod tests;
