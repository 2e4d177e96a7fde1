//! A mixture laid out for scoring: components in lanes, constants folded, idle components dropped.
//!
//! The density is that of Gaussians at the posterior's means (weight, mean, inverse expected
//! precision); the Student tails of the exact predictive density would cost a logarithm for each
//! column and component. Plain arithmetic in one fixed order: the same bits on every machine.

use super::mixture::{Mixture, Statistics};
use crate::detectors::sequence::math;

/// Components side by side.
const LANES: usize = 8;

/// A component of fewer rows than this has been emptied by the prior, and is not scored.
const ROWS_LEAST: f64 = 0.5;

/// The log-density of lanes without a component.
const NOTHING: f32 = -1e30;

/// Components that matter, in lanes.
#[derive(Clone, Debug)]
pub struct Density {
    /// Indices of the components in the statistics.
    pub active: Vec<usize>,
    constants: Vec<[f32; LANES]>,
    /// Mean and half the precision, column by column within a group of lanes.
    terms: Vec<([f32; LANES], [f32; LANES])>,
    columns: usize,
}

impl Density {
    /// Lays out a mixture.
    pub fn new(mixture: &Mixture, statistics: &Statistics) -> Self {
        let columns = statistics.columns;
        let active: Vec<usize> =
            (0..statistics.rows.len()).filter(|&k| statistics.rows[k] >= ROWS_LEAST).collect();
        let (mut constants, mut terms) = (Vec::new(), Vec::new());
        for group in active.chunks(LANES) {
            let mut constant = [NOTHING; LANES];
            for (lane, &k) in group.iter().enumerate() {
                let own = &mixture.columns[k * columns..(k + 1) * columns];
                let logs: f64 = own.iter().map(|c| (std::f64::consts::TAU * c.variance).ln()).sum();
                constant[lane] = (mixture.weight[k].ln() - 0.5 * logs) as f32;
            }
            constants.push(constant);
            for d in 0..columns {
                let (mut mean, mut half) = ([0.0; LANES], [0.0; LANES]);
                for (lane, &k) in group.iter().enumerate() {
                    let column = mixture.columns[k * columns + d];
                    mean[lane] = column.mean as f32;
                    half[lane] = (0.5 / column.variance) as f32;
                }
                terms.push((mean, half));
            }
        }
        Self { active, constants, terms, columns }
    }

    /// Everything is a finite number.
    pub fn is_finite(&self) -> bool {
        let terms = self.terms.iter().flat_map(|(m, h)| m.iter().chain(h));
        self.constants.as_flattened().iter().chain(terms).all(|x| x.is_finite())
    }

    /// ln(weight · density) of each active component, in groups of lanes; `logs` is overwritten.
    #[inline]
    fn joint(&self, row: &[f32], logs: &mut Vec<[f32; LANES]>) {
        logs.clear();
        for (g, constant) in self.constants.iter().enumerate() {
            let mut log = *constant;
            let terms = &self.terms[g * self.columns..(g + 1) * self.columns];
            for (x, (mean, half)) in row.iter().zip(terms) {
                for lane in 0..LANES {
                    let far = x - mean[lane];
                    log[lane] -= far * far * half[lane];
                }
            }
            logs.push(log);
        }
    }

    /// −ln of the density at `row`; 0 when there is no component at all.
    #[inline]
    pub fn surprise(&self, row: &[f32], logs: &mut Vec<[f32; LANES]>) -> f32 {
        if self.active.is_empty() {
            return 0.0;
        }
        self.joint(row, logs);
        let mut most = [NOTHING; LANES];
        for group in logs.iter() {
            for lane in 0..LANES {
                most[lane] = if group[lane] > most[lane] { group[lane] } else { most[lane] };
            }
        }
        let most = most.iter().fold(NOTHING, |a, &b| if b > a { b } else { a });
        let mut sums = [0.0f32; LANES];
        for group in logs.iter() {
            for lane in 0..LANES {
                sums[lane] += math::exp(group[lane] - most);
            }
        }
        -(most + math::ln(sums.iter().sum()))
    }

    /// Each active component's part in `row`, in the order of `active`.
    pub fn parts(&self, row: &[f32]) -> Vec<f64> {
        let mut logs = Vec::new();
        self.joint(row, &mut logs);
        let logs = &logs.as_flattened()[..self.active.len()];
        let most = logs.iter().copied().fold(NOTHING, f32::max);
        let parts: Vec<f64> = logs.iter().map(|l| f64::from(l - most).exp()).collect();
        let sum: f64 = parts.iter().sum();
        parts.into_iter().map(|p| p / sum).collect()
    }
}
