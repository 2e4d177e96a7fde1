//! Distributions that traffic is drawn from: log-normal, bounded Pareto, geometric, Zipf.
//!
//! Web objects and sessions are heavy-tailed (Crovella and Bestavros, "Self-similarity in World
//! Wide Web traffic", 1997); names are popular by rank (Breslau et al., "Web caching and Zipf-like
//! distributions", 1999). Only drawing is here; who draws what stands with each behaviour.

use threat::entropy::Rng;

/// Log-normal with the given median; `sigma` is the standard deviation of its logarithm.
pub(super) fn lognormal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    median * (sigma * rng.normal()).exp()
}

/// Pareto from `scale` upwards with tail index `alpha`, cut at `cap`.
pub(super) fn pareto(rng: &mut Rng, scale: f64, alpha: f64, cap: f64) -> f64 {
    (scale * (1.0 - rng.unit()).powf(-1.0 / alpha)).min(cap)
}

/// At least 1, with the given mean.
pub(super) fn geometric(rng: &mut Rng, mean: f64) -> usize {
    if mean <= 1.0 {
        return 1;
    }
    1 + ((1.0 - rng.unit()).ln() / (1.0 - 1.0 / mean).ln()) as usize
}

/// A whole number of `low..=high`.
pub(super) fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    low + rng.below((high.saturating_sub(low) + 1) as usize) as u64
}

/// One of a non-empty constant list.
pub(super) fn one_of<T: Copy, const N: usize>(rng: &mut Rng, items: &[T; N]) -> T {
    const { assert!(N > 0) }
    items[rng.below(N)]
}

/// Ranks `0..n` with probability falling as `1 / (rank + 1)^s`.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(n: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-s);
                sum
            })
            .collect();
        cumulative.iter_mut().for_each(|c| *c /= sum);
        Self { cumulative }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let u = rng.unit();
        self.cumulative.partition_point(|&c| c <= u).min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_ranks_are_right() {
        let mut rng = Rng::new(3);
        let n = 50_000;
        let mean = (0..n).map(|_| geometric(&mut rng, 6.0)).sum::<usize>() as f64 / f64::from(n);
        assert!((mean - 6.0).abs() < 0.15, "{mean}");
        let mut below = 0;
        for _ in 0..n {
            below += u32::from(lognormal(&mut rng, 12.0, 1.3) < 12.0);
        }
        assert!((f64::from(below) / f64::from(n) - 0.5).abs() < 0.01);
        let zipf = Zipf::new(100, 1.0);
        let mut seen = [0u32; 100];
        for _ in 0..n {
            seen[zipf.draw(&mut rng)] += 1;
        }
        assert!((f64::from(seen[0]) / f64::from(seen[9]) - 10.0).abs() < 1.6, "{seen:?}");
        assert!((0..n).all(|_| (100.0..=1e6).contains(&pareto(&mut rng, 100.0, 1.1, 1e6))));
    }
}
