//! How far a share that was counted may be from the true one, and a measure of few rows from what
//! other rows would have given.

use threat::entropy::Rng;

/// The normal quantile of a two-sided interval of 95%.
const Z: f64 = 1.959_963_984_540_054;

/// The 95% interval of a share of `hits` in `rows` (Wilson 1927): right for small counts, too.
pub fn share(hits: usize, rows: usize) -> (f64, f64) {
    if rows == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (rows as f64, hits as f64 / rows as f64);
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The 95% interval of a measure by drawing rows anew, positives and others each among themselves,
/// so that every draw has as many of both.
pub fn bootstrap(
    scores: &[f32],
    positive: &[bool],
    draws: usize,
    seed: u64,
    measure: impl Fn(&[f32], &[bool]) -> f64,
) -> (f64, f64) {
    let kind = |wanted: bool| -> Vec<usize> {
        (0..scores.len()).filter(|&r| positive[r] == wanted).collect()
    };
    let kinds = [kind(true), kind(false)];
    let mut rng = Rng::fork(seed, "bootstrap");
    let mut values: Vec<f64> = (0..draws.max(1))
        .map(|_| {
            let mut drawn = Vec::with_capacity(scores.len());
            for rows in kinds.iter().filter(|k| !k.is_empty()) {
                drawn.extend((0..rows.len()).map(|_| rows[rng.below(rows.len())]));
            }
            let scores: Vec<f32> = drawn.iter().map(|&r| scores[r]).collect();
            let positive: Vec<bool> = drawn.iter().map(|&r| positive[r]).collect();
            measure(&scores, &positive)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
    (at(0.025), at(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::metrics::roc_auc;

    #[test]
    fn a_share_lies_in_its_interval_and_more_rows_narrow_it() {
        for (hits, rows) in [(0, 10), (10, 10), (1, 100), (14, 1_457)] {
            let (low, high) = share(hits, rows);
            let p = hits as f64 / rows as f64;
            assert!(low <= p && p <= high && low < high, "{hits} of {rows}: {low} {high}");
        }
        assert!(share(10, 1_000).1 < share(1, 100).1);
        assert_eq!(share(0, 0), (0.0, 1.0));
    }

    #[test]
    fn the_bootstrap_holds_the_measure_and_repeats() {
        let scores: Vec<f32> = (0..200).map(|i| (i * 37 % 101) as f32).collect();
        let positive: Vec<bool> = (0..200).map(|i| i % 4 == 0).collect();
        let auc = roc_auc(&scores, &positive);
        let (low, high) = bootstrap(&scores, &positive, 200, 1, roc_auc);
        assert!(low < auc && auc < high, "{low} {auc} {high}");
        assert_eq!((low, high), bootstrap(&scores, &positive, 200, 1, roc_auc));
    }
}
