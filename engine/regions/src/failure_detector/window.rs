//! Intervals between heartbeats, and how unlikely a silence is after them.

use super::{Settings, WINDOW};
use std::collections::VecDeque;
use std::time::Duration;

/// The last intervals, in microseconds, with sums that are exact.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    intervals: VecDeque<u64>,
    sum: u64,
    squares: u128,
}

impl Window {
    pub(super) fn push(&mut self, interval: Duration) {
        if self.intervals.len() >= WINDOW
            && let Some(old) = self.intervals.pop_front()
        {
            self.sum -= old;
            self.squares -= u128::from(old).pow(2);
        }
        // An hour is more than any silence that gets here; it keeps the sums from overflowing.
        let new = interval.as_micros().min(3_600_000_000) as u64;
        self.intervals.push_back(new);
        self.sum += new;
        self.squares += u128::from(new).pow(2);
    }

    /// Mean of the intervals in seconds, at least the period: heartbeats that waited in a buffer
    /// arrive all at once, which does not make the next one due earlier.
    pub(super) fn mean(&self, settings: &Settings) -> f64 {
        let period = settings.period.as_secs_f64();
        if self.intervals.is_empty() { period } else { period.max(self.raw_mean()) }
    }

    /// Deviation in seconds, at least the least one.
    pub(super) fn deviation(&self, settings: &Settings) -> f64 {
        let least = settings.min_deviation.as_secs_f64();
        if self.intervals.is_empty() {
            return least;
        }
        let mean_of_squares = self.squares as f64 / self.intervals.len() as f64 * 1e-12;
        (mean_of_squares - self.raw_mean().powi(2)).max(0.0).sqrt().max(least)
    }

    fn raw_mean(&self) -> f64 {
        self.sum as f64 / self.intervals.len() as f64 * 1e-6
    }

    /// Minus the decimal logarithm of the probability that a heartbeat comes after `silence`.
    pub(super) fn phi(&self, silence: Duration, settings: &Settings) -> f64 {
        if silence >= settings.silence {
            return f64::INFINITY;
        }
        let late = silence.as_secs_f64() - settings.pause.as_secs_f64() - self.mean(settings);
        phi_of(late / self.deviation(settings))
    }
}

/// Minus the decimal logarithm of the upper tail of the standard normal distribution.
fn phi_of(z: f64) -> f64 {
    let lower = z < 0.0;
    let ln_tail = ln_erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2) - std::f64::consts::LN_2;
    let ln = if lower { (-ln_tail.exp()).ln_1p() } else { ln_tail };
    -ln / std::f64::consts::LN_10
}

/// Logarithm of the complementary error function for `x >= 0`, to 1.2e-7 of erfc at any depth: the
/// Chebyshev fit of Press et al., "Numerical Recipes", 6.2, whose exponent is not taken.
fn ln_erfc(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let fit = FIT.iter().rev().fold(0.0, |sum, c| sum * t + c);
    t.ln() - x * x + fit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_is_the_tail_of_the_normal_distribution() {
        // Upper tails from tables: 0.5, 0.158655, 2.8665e-7, 7.6199e-24, and 0.841345 below.
        for (z, tail) in [(0.0, 0.5), (1.0, 0.158_655), (5.0, 2.866_5e-7), (10.0, 7.619_9e-24)] {
            assert!((phi_of(z) + f64::log10(tail)).abs() < 1e-4, "{z}");
        }
        assert!((phi_of(-1.0) + f64::log10(0.841_345)).abs() < 1e-5);
        // Where the tail itself is no number any more.
        assert!((phi_of(60.0) - 783.907).abs() < 0.01, "{}", phi_of(60.0));
    }

    #[test]
    fn the_window_forgets_and_its_sums_stay_exact() {
        let mut window = Window::default();
        for n in 0..10_000u64 {
            window.push(Duration::from_micros(n * n % 7_919));
        }
        for _ in 0..WINDOW {
            window.push(Duration::from_millis(700));
        }
        let settings = Settings::default();
        assert_eq!(window.intervals.len(), WINDOW);
        assert!((window.mean(&settings) - 0.7).abs() < 1e-12);
        assert_eq!(window.deviation(&settings), 0.15);
    }
}
