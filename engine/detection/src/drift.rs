//! Drift: do the scores of benign events still come as they came in training?
//!
//! Each score becomes a probability p by its calibration; while nothing has changed, p is uniform.
//! Against that a handful of bets is placed, each of which would win by some change: scores moved
//! up or down, spread out or drew together, or grew a heavy tail. The wealth of a bet that is
//! opened anew at every observation is a Shiryaev-Roberts statistic, and the mean of several is
//! again one: it reaches `run_length` no sooner, on average, than after `run_length` observations
//! without a change (e-detectors: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework
//! for sequential change detection", 2022). So the rate of false alarms is stated, not tuned.
//!
//! What is fed must be nearly independent: feed an entity's burst once.

mod monitor;
pub use monitor::{Drift, Monitor};

use serde::{Deserialize, Serialize};

/// Sizes of the bets on place and on spread: small ones win slowly by small changes. A calibration
/// on a thousand rows errs, which a stake s pays for: the mean of p is off by 0.9% (a standard
/// deviation), which wins s·1.8% an observation, while the variance of p costs s²/6. From a half
/// on, not even four such deviations pay.
const STAKES: [f64; 3] = [0.5, 0.7, 0.9];

/// Bets: up and down, apart and together for each stake, and one on a heavy tail.
const BETS: usize = 4 * STAKES.len() + 1;

/// The least probability that counts: one score without measure must not decide alone.
const LEAST: f64 = 1e-4;

/// Observations without an alarm that are due on average while nothing changes: with a thousand
/// observations an hour, one false alarm in forty days.
pub const RUN_LENGTH: f64 = 1e6;

/// What has changed about the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Higher than in training.
    Higher,
    /// Lower than in training.
    Lower,
    /// Both ends are more frequent.
    Wider,
    /// Both ends are less frequent.
    Narrower,
    /// The highest are more frequent.
    HeavierTail,
}

/// A change was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Observations since the watch began or was last reset.
    pub observations: u64,
    /// The likeliest kind of change: the bet that won most.
    pub change: Change,
    /// Observations since the winning bets were last nearly broke: about when the change began.
    pub since: u64,
}

/// Watches one stream of probabilities.
#[derive(Clone, Debug)]
pub struct Watch {
    run_length: f64,
    wealth: [f64; BETS],
    /// Observation at which each bet's wealth was last no more than that of a bet just opened.
    poor: [u64; BETS],
    observations: u64,
}

impl Watch {
    /// A watch with that mean number of observations between false alarms; at least 1.
    pub fn new(run_length: f64) -> Self {
        let run_length = run_length.max(1.0);
        Self { run_length, wealth: [0.0; BETS], poor: [0; BETS], observations: 0 }
    }

    /// Takes the probability that a benign event scores as high, and starts over after an alarm.
    /// What is no number says nothing.
    pub fn observe(&mut self, p: f64) -> Option<Alarm> {
        if p.is_nan() {
            return None;
        }
        let p = p.clamp(LEAST, 1.0);
        self.observations += 1;
        for (bet, factor) in factors(p).into_iter().enumerate() {
            self.wealth[bet] = (self.wealth[bet] + 1.0) * factor;
            if self.wealth[bet] <= 2.0 {
                self.poor[bet] = self.observations;
            }
        }
        let mean = self.wealth.iter().sum::<f64>() / BETS as f64;
        if mean < self.run_length {
            return None;
        }
        let best = (0..BETS).max_by(|&a, &b| self.wealth[a].total_cmp(&self.wealth[b]));
        let best = best.unwrap_or(0);
        let alarm = Alarm {
            observations: self.observations,
            change: change(best),
            since: self.observations - self.poor[best],
        };
        *self = Self::new(self.run_length);
        Some(alarm)
    }
}

/// What each bet pays on `p`; each has a mean of 1 over a uniform one.
fn factors(p: f64) -> [f64; BETS] {
    // Both have a mean of 0 over a uniform p, and lie between -1 and 1.
    let (place, spread) = (1.0 - 2.0 * p, 4.0 * (p - 0.5).abs() - 1.0);
    let mut all = [1.0; BETS];
    for (i, stake) in STAKES.into_iter().enumerate() {
        all[4 * i] = 1.0 + stake * place;
        all[4 * i + 1] = 1.0 - stake * place;
        all[4 * i + 2] = 1.0 + stake * spread;
        all[4 * i + 3] = 1.0 - stake * spread;
    }
    // The density ½·p^(-½), as a power bet (Vovk 2021), scaled for the probabilities cut off.
    all[BETS - 1] = 0.5 / p.sqrt();
    all
}

fn change(bet: usize) -> Change {
    match bet % 4 {
        _ if bet == BETS - 1 => Change::HeavierTail,
        0 => Change::Higher,
        1 => Change::Lower,
        2 => Change::Wider,
        _ => Change::Narrower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::entropy::Rng;

    /// Observations until the first alarm, at most `most`.
    fn first(
        seed: u64,
        run_length: f64,
        most: u64,
        draw: impl Fn(&mut Rng) -> f64,
    ) -> Option<Alarm> {
        let (mut rng, mut watch) = (Rng::new(seed), Watch::new(run_length));
        (0..most).find_map(|_| watch.observe(draw(&mut rng)))
    }

    #[test]
    fn every_bet_is_fair() {
        let steps = 1_000_000;
        let mut sums = [0.0; BETS];
        for i in 0..steps {
            let p = (i as f64 + 0.5) / steps as f64;
            factors(p.max(LEAST)).iter().zip(&mut sums).for_each(|(f, s)| *s += f);
        }
        for sum in sums {
            let mean = sum / steps as f64;
            assert!((0.985..=1.0001).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn false_alarms_are_rarer_than_stated() {
        let (runs, most, stated) = (200, 2_000, 10_000.0);
        let alarms = (0..runs).filter(|&s| first(s, stated, most, Rng::unit).is_some()).count();
        // Within a fifth of the stated length no more than a fifth of the runs may alarm.
        assert!(alarms <= 40, "{alarms} of {runs}");
    }

    #[test]
    fn each_kind_of_change_is_found_and_named() {
        let cases: [(Change, fn(&mut Rng) -> f64); 4] = [
            (Change::Higher, |r| 1.0 - r.unit().sqrt()),
            (Change::Lower, |r| r.unit().sqrt()),
            (Change::Narrower, |r| 0.5 + (r.unit() - 0.5) * 0.7),
            (Change::Wider, |r| {
                let u = r.unit();
                match r.chance(0.3) {
                    true if u < 0.5 => 0.2 * u,
                    true => 1.0 - 0.2 * (1.0 - u),
                    false => u,
                }
            }),
        ];
        for (expected, draw) in cases {
            let alarms: Vec<Alarm> =
                (0..20).filter_map(|seed| first(seed, RUN_LENGTH, 5_000, draw)).collect();
            assert_eq!(alarms.len(), 20, "each is found");
            let named = alarms.iter().filter(|a| a.change == expected).count();
            assert!(named >= 15, "{expected:?}: {alarms:?}");
            assert!(alarms.iter().all(|a| a.since <= a.observations));
        }
        let alarm = first(1, RUN_LENGTH, 5_000, |r| if r.chance(0.1) { 1e-5 } else { r.unit() });
        assert_eq!(alarm.map(|a| a.change), Some(Change::HeavierTail));
    }

    #[test]
    fn it_starts_over_after_an_alarm_and_takes_no_number_for_one() {
        let mut watch = Watch::new(100.0);
        let alarms = (0..2_000).filter(|_| watch.observe(0.01).is_some()).count();
        assert!(alarms > 10, "{alarms}");
        let mut watch = Watch::new(100.0);
        assert!((0..2_000).all(|_| watch.observe(f64::NAN).is_none()));
    }
}
