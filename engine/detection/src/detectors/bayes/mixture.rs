//! Variational Bayesian mixture of Gaussians with diagonal covariances (Bishop 2006, chapter 10.2):
//! a Dirichlet prior over weights which empties components that the data does not need, and a
//! normal-gamma prior over each mean and precision. Seeded by k-means++ (Arthur, Vassilvitskii
//! 2007).
//!
//! All that is kept of the rows are sufficient statistics: from them alone the parameters follow,
//! and further rows can be added. Not here: fast scoring (`density`) and categories (`mod`).

use super::special::digamma;
use serde::{Deserialize, Serialize};
use threat::entropy::Rng;

/// Components at most: on flows and tables more did not help, and scoring stays under a
/// microsecond.
pub const COMPONENTS: usize = 48;

/// A component needs some rows of its own to start from.
const ROWS_PER_COMPONENT: usize = 10;

/// Rows learnt from; a seeded sample of larger sets, so that learning takes about a second.
const ROWS: usize = 20_000;

/// Passes at most.
const PASSES: usize = 60;

/// Gain in mean log-likelihood a row under which passes end.
const GAIN: f64 = 1e-3;

/// Passes of k-means before the first variational one.
const KMEANS_PASSES: usize = 5;

/// Added to each component's variance, in standardised units: columns that are nearly constant in
/// training must not make every later change infinitely unlikely.
const VARIANCE_FLOOR: f64 = 0.1;

/// Rate of the gamma prior of a component's precision. Its shape is half the number of columns: the
/// diagonal case of a Wishart prior with unit scale and the fewest degrees of freedom that it can
/// have. A wider prior lets components of a few outlying rows cover much of the space.
const PRIOR_RATE: f64 = 0.5;

/// Prior rows behind a component's mean, at 0, the mean of standardised columns.
const PRIOR_MEAN_ROWS: f64 = 1.0;

/// A component this much (in nats) under the best has no part in a row.
const NO_PART: f64 = -40.0;

/// Sums over rows, weighted by each component's part in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Columns.
    pub columns: usize,
    /// Rows of each component.
    pub rows: Vec<f64>,
    /// Σ x, a row of columns for each component.
    pub sum: Vec<f64>,
    /// Σ x², likewise.
    pub squares: Vec<f64>,
}

impl Statistics {
    /// Zero.
    pub fn new(components: usize, columns: usize) -> Self {
        let zeros = vec![0.0; components * columns];
        Self { columns, rows: vec![0.0; components], sum: zeros.clone(), squares: zeros }
    }

    /// Adds a share of a row to a component.
    fn add(&mut self, component: usize, share: f64, row: &[f64]) {
        self.rows[component] += share;
        let at = component * self.columns;
        let sums = self.sum[at..].iter_mut().zip(&mut self.squares[at..]);
        for (x, (sum, square)) in row.iter().zip(sums) {
            *sum += share * x;
            *square += share * x * x;
        }
    }

    /// What is wrong with statistics that were read from somewhere.
    pub fn problem(&self) -> Option<&'static str> {
        let wanted = self.rows.len().checked_mul(self.columns);
        if wanted != Some(self.sum.len()) || wanted != Some(self.squares.len()) {
            return Some("statistics are of another shape");
        }
        if self.rows.len() > COMPONENTS {
            return Some("too many components");
        }
        if !self.sum.iter().all(|x| x.is_finite()) {
            return Some("statistics are not finite");
        }
        let amounts = self.rows.iter().chain(&self.squares);
        if !amounts.into_iter().all(|x| x.is_finite() && *x >= 0.0) {
            return Some("statistics are not finite or negative");
        }
        None
    }

    /// Fades these by `keep` and adds `other`.
    pub fn fold(&mut self, keep: f64, other: &Self) {
        let pairs = [
            (&mut self.rows, &other.rows),
            (&mut self.sum, &other.sum),
            (&mut self.squares, &other.squares),
        ];
        for (mine, theirs) in pairs {
            mine.iter_mut().zip(theirs).for_each(|(m, t)| *m = *m * keep + t);
        }
    }
}

/// The posterior of one component's column, by its means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Mean.
    pub mean: f64,
    /// Variance: the inverse of the expected precision.
    pub variance: f64,
    /// Expected logarithm of the precision.
    pub log_precision: f64,
    /// Mean squared distance of the component's rows from `mean`.
    pub spread: f64,
}

/// A mixture: what follows from statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Expected weight of each component.
    pub weight: Vec<f64>,
    /// Expected logarithm of each weight.
    pub log_weight: Vec<f64>,
    /// Variance of each mean in units of the component's own variance.
    pub doubt: Vec<f64>,
    /// Columns of the components, component by component.
    pub columns: Vec<Column>,
    width: usize,
}

impl Mixture {
    /// The posterior of statistics (Bishop 10.58 to 10.66 with diagonal precisions).
    pub fn of(statistics: &Statistics) -> Self {
        let components = statistics.rows.len();
        let prior = 1.0 / components.max(1) as f64;
        let total: f64 = statistics.rows.iter().sum::<f64>() + prior * components as f64;
        let mut columns = Vec::with_capacity(statistics.sum.len());
        for (k, &rows) in statistics.rows.iter().enumerate() {
            let shape = 0.5 * (statistics.columns as f64 + rows);
            for at in k * statistics.columns..(k + 1) * statistics.columns {
                let (sum, squares) = (statistics.sum[at], statistics.squares[at]);
                let own = if rows > 0.0 { sum / rows } else { 0.0 };
                let scatter = (squares - own * sum).max(0.0) + VARIANCE_FLOOR * rows;
                let pull = PRIOR_MEAN_ROWS * rows / (PRIOR_MEAN_ROWS + rows) * own * own;
                let rate = PRIOR_RATE + 0.5 * (scatter + pull);
                let mean = sum / (PRIOR_MEAN_ROWS + rows);
                let spread = if rows > 0.0 {
                    (squares / rows - 2.0 * mean * own + mean * mean).max(0.0)
                } else {
                    0.0
                };
                let log_precision = digamma(shape) - rate.ln();
                columns.push(Column { mean, variance: rate / shape, log_precision, spread });
            }
        }
        Self {
            weight: statistics.rows.iter().map(|r| (r + prior) / total).collect(),
            log_weight: statistics
                .rows
                .iter()
                .map(|r| digamma(r + prior) - digamma(total))
                .collect(),
            doubt: statistics.rows.iter().map(|r| 1.0 / (PRIOR_MEAN_ROWS + r)).collect(),
            columns,
            width: statistics.columns,
        }
    }

    /// Expected log of each component's part (Bishop 10.46) into `parts`, made to sum to 1 there;
    /// returns the logarithm of what they summed to.
    fn responsibilities(&self, row: &[f64], base: &[f64], parts: &mut [f64]) -> f64 {
        for (k, part) in parts.iter_mut().enumerate() {
            let columns = &self.columns[k * self.width..(k + 1) * self.width];
            let far: f64 = row
                .iter()
                .zip(columns)
                .map(|(x, c)| (x - c.mean) * (x - c.mean) / c.variance)
                .sum();
            *part = base[k] - 0.5 * far;
        }
        let most = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for part in parts.iter_mut() {
            let under = *part - most;
            *part = if under < NO_PART { 0.0 } else { under.exp() };
            sum += *part;
        }
        parts.iter_mut().for_each(|p| *p /= sum);
        most + sum.ln()
    }

    /// Statistics of the rows under this mixture, and their mean log-likelihood.
    pub fn expect(&self, rows: &[f64]) -> (Statistics, f64) {
        let components = self.weight.len();
        let base: Vec<f64> = (0..components)
            .map(|k| {
                let columns = &self.columns[k * self.width..(k + 1) * self.width];
                let logs: f64 = columns.iter().map(|c| c.log_precision - self.doubt[k]).sum();
                let constant = self.width as f64 * std::f64::consts::TAU.ln();
                self.log_weight[k] + 0.5 * (logs - constant)
            })
            .collect();
        let mut statistics = Statistics::new(components, self.width);
        let mut parts = vec![0.0; components];
        let mut likelihood = 0.0;
        for row in rows.chunks_exact(self.width) {
            likelihood += self.responsibilities(row, &base, &mut parts);
            for (k, &part) in parts.iter().enumerate() {
                if part > 0.0 {
                    statistics.add(k, part, row);
                }
            }
        }
        let count = (rows.len() / self.width).max(1);
        (statistics, likelihood / count as f64)
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Centres by k-means++, then the statistics of a few passes of k-means.
fn seeded(rows: &[f64], width: usize, components: usize, rng: &mut Rng) -> Statistics {
    let row = |r: usize| &rows[r * width..(r + 1) * width];
    let count = rows.len() / width;
    let mut centres = row(rng.below(count)).to_vec();
    let mut nearest: Vec<f64> = (0..count).map(|r| distance(row(r), &centres)).collect();
    while centres.len() < components * width {
        let mut left = rng.unit() * nearest.iter().sum::<f64>();
        let drawn = nearest.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        let centre = row(drawn.unwrap_or(count - 1)).to_vec();
        for (r, d) in nearest.iter_mut().enumerate() {
            *d = d.min(distance(row(r), &centre));
        }
        centres.extend(centre);
    }
    let mut statistics = Statistics::new(components, width);
    for _ in 0..KMEANS_PASSES {
        statistics = Statistics::new(components, width);
        for row in rows.chunks_exact(width) {
            let mut best = (f64::INFINITY, 0);
            for (k, centre) in centres.chunks_exact(width).enumerate() {
                let d = distance(row, centre);
                if d < best.0 {
                    best = (d, k);
                }
            }
            statistics.add(best.1, 1.0, row);
        }
        let sums = statistics.sum.chunks_exact(width).zip(&statistics.rows);
        for (centre, (sum, &members)) in centres.chunks_exact_mut(width).zip(sums) {
            if members > 0.0 {
                centre.iter_mut().zip(sum).for_each(|(c, s)| *c = s / members);
            }
        }
    }
    statistics
}

/// Fits a mixture to rows of `width` standardised columns, one row after another in `rows`.
pub fn fit(rows: &[f64], width: usize, seed: u64) -> Statistics {
    let count = rows.len().checked_div(width).unwrap_or(0);
    if count == 0 {
        return Statistics::new(0, width);
    }
    let mut rng = Rng::fork(seed, "bayes/mixture");
    let mut order: Vec<usize> = (0..count).collect();
    if count > ROWS {
        rng.shuffle(&mut order);
        order.truncate(ROWS);
        order.sort_unstable();
    }
    let rows: Vec<f64> =
        order.iter().flat_map(|r| &rows[r * width..(r + 1) * width]).copied().collect();
    let components = (order.len() / ROWS_PER_COMPONENT).clamp(1, COMPONENTS);
    let mut statistics = seeded(&rows, width, components, &mut rng);
    let mut before = f64::NEG_INFINITY;
    for _ in 0..PASSES {
        let (next, likelihood) = Mixture::of(&statistics).expect(&rows);
        statistics = next;
        if likelihood - before < GAIN {
            break;
        }
        before = likelihood;
    }
    statistics
}
