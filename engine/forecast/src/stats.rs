//! Small statistics: means, medians, quantiles, spreads. All of them are total functions: of
//! nothing they give 0.

/// Sorts numbers; NaN, which no caller has, would come last.
pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Arithmetic mean.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Standard deviation of a whole population.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|v| (v - centre) * (v - centre)).sum();
    if values.is_empty() { 0.0 } else { (squares / values.len() as f64).sqrt() }
}

/// The quantile `p` of sorted numbers, linear between neighbours (type 7 of Hyndman and Fan:
/// "Sample quantiles in statistical packages", 1996).
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = p.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let share = place - below as f64;
    // Not `a + share * (b - a)`: that can miss b by a rounding and leave the order of quantiles.
    if share == 0.0 { sorted[below] } else { sorted[below] * (1.0 - share) + sorted[above] * share }
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

/// Median absolute deviation from `centre`.
pub(crate) fn absolute_deviation(values: &[f64], centre: f64) -> f64 {
    median(values.iter().map(|v| (v - centre).abs()))
}

/// A median absolute deviation times this estimates a normal standard deviation.
pub(crate) const MAD_TO_SD: f64 = 1.4826;

/// How many standard deviations a normal value is above its mean with the probability `tail`, of
/// 0 to 0.5; 4.5e-4 off at most (Abramowitz and Stegun: "Handbook of mathematical functions",
/// 1964, 26.2.23). Without end as the tail goes to 0, hence bounded.
pub(crate) fn normal_above(tail: f64) -> f64 {
    let t = (-2.0 * tail.clamp(1e-12, 0.5).ln()).sqrt();
    let over = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let under = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - over / under).max(0.0)
}

/// The mean size of a normal value is this share of its standard deviation.
pub(crate) const NORMAL_SIZE: f64 = 0.797_884_560_802_865_4;

/// The quantiles `ps` of `(value, weight)` pairs: the smallest value at which that share of the
/// weight is reached.
pub(crate) fn weighted_quantiles(mut pairs: Vec<(f64, f64)>, ps: &[f64]) -> Vec<f64> {
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let total: f64 = pairs.iter().map(|p| p.1).sum();
    let at = |p: &f64| {
        let mut sum = 0.0;
        let reached = pairs.iter().find(|pair| {
            sum += pair.1;
            sum >= p * total
        });
        reached.or(pairs.last()).map_or(0.0, |pair| pair.0)
    };
    ps.iter().map(at).collect()
}

#[cfg(test)]
mod tests;
