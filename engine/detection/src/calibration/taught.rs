//! What a calibration learns from rows that analysts labelled.

use super::Calibrator;

/// Steps, in decades of the tail, in which the law beyond the 95th percentile is kept once rows
/// were labelled: that far a tail between two steps is off at most.
const STEP: f32 = 0.05;

/// Tail up to which the steps are kept: no budget asks for more, as that is one row in 10^8.
const FINE: f32 = 8.0;

impl Calibrator {
    /// This calibration after rows that are known to be benign, with these scores. How often
    /// benign rows reach a score is learnt as a rate: with the fitted law as prior, worth one row,
    /// each labelled row that reaches the score adds one (the Gamma prior of a Poisson rate,
    /// Murphy 2012, chapter 3), so that a tail falls by log10(1 + k). One label moves a threshold
    /// a little, ten as far as one decade of the budget; none opens it for whatever scores less.
    ///
    /// Rows that score `threat` or more teach nothing: a row known to be a threat scores so high.
    /// Infinity is no such row.
    pub fn with_benign(&self, scores: &[f32], threat: f32) -> Self {
        let Some(&(last, floor)) = self.parts.knots.last() else { return self.clone() };
        let counts = |s: &f32| s.is_finite() && *s > last && *s < threat;
        let mut above: Vec<f32> = scores.iter().copied().filter(counts).collect();
        above.sort_unstable_by(f32::total_cmp);
        let Some(&highest) = above.last() else { return self.clone() };
        let tail = |s: f32| {
            let reach = above.len() - above.partition_point(|&a| a < s);
            (self.tail(s) - ((1 + reach) as f32).log10()).max(floor)
        };
        let steps = (1..).map(|i| floor + STEP * i as f32).take_while(|t| *t < FINE);
        let mut kept: Vec<f32> = steps.map(|t| self.score_at(t)).filter(|s| *s < highest).collect();
        kept.extend(&above);
        kept.sort_unstable_by(f32::total_cmp);
        kept.dedup();
        kept.retain(|s| *s > last);
        let mut parts = self.parts.clone();
        parts.knots.extend(kept.into_iter().map(|s| (s, tail(s))));
        // Beyond the highest labelled row the law is what it was: a generalised Pareto law over a
        // higher threshold has the same shape (Pickands 1975).
        parts.beyond = f64::from(self.tail(highest));
        parts.scale += parts.shape * (f64::from(highest) - f64::from(last));
        Self { parts }
    }
}

#[cfg(test)]
mod tests {
    use crate::calibration::Calibrator;
    use proptest::prelude::*;

    fn calibrator() -> Calibrator {
        let scores: Vec<f32> = (0..1_000).map(|i| -((i as f32 + 0.5) / 1_000.0).ln()).collect();
        Calibrator::fit(&scores).unwrap()
    }

    #[test]
    fn each_false_positive_makes_scores_up_to_its_own_less_rare() {
        let before = calibrator();
        let once = before.with_benign(&[12.0], f32::INFINITY);
        for score in [6.0, 9.0, 12.0] {
            let fell = before.tail(score) - once.tail(score);
            assert!((fell - 2f32.log10()).abs() < 0.06, "{score}: {fell}");
        }
        assert!(once.score_at(3.0) > before.score_at(3.0));
        let nine = before.with_benign(&[12.0; 9], f32::INFINITY);
        assert!((before.tail(12.0) - nine.tail(12.0) - 1.0).abs() < 1e-5);
        // What scores higher is as rare as it was, and what is ordinary stays so.
        for score in [0.5, 1.0, 12.1, 14.0, 40.0] {
            assert!((once.tail(score) - before.tail(score)).abs() < 1e-3, "{score}");
        }
    }

    #[test]
    fn ordinary_impossible_and_overruled_scores_teach_nothing() {
        let before = calibrator();
        assert_eq!(before.with_benign(&[0.1, f32::NAN, f32::INFINITY], f32::INFINITY), before);
        assert_eq!(before.with_benign(&[], f32::INFINITY), before);
        assert_eq!(before.with_benign(&[12.0], 12.0), before);
    }

    proptest! {
        #[test]
        fn it_stays_a_calibration_and_never_makes_a_score_rarer(
            benign in prop::collection::vec(-1f32..200.0, 0..40),
            threat in prop::option::of(0f32..200.0),
            scores in prop::array::uniform32(-1f32..300.0),
        ) {
            let before = calibrator();
            let after = before.with_benign(&benign, threat.unwrap_or(f32::INFINITY));
            let bytes = serde_json::to_vec(&after).unwrap();
            prop_assert!(serde_json::from_slice::<Calibrator>(&bytes).is_ok());
            let mut scores = scores;
            scores.sort_unstable_by(f32::total_cmp);
            for pair in scores.windows(2) {
                prop_assert!(after.tail(pair[0]) <= after.tail(pair[1]));
            }
            for score in scores.into_iter().filter(|s| before.tail(*s) < 7.0) {
                prop_assert!(after.tail(score) <= before.tail(score) + 0.06, "{score}");
            }
            for tail in [1.0f32, 2.0, 3.0, 5.0] {
                prop_assert!(after.tail(after.score_at(tail)) >= tail - 1e-4);
            }
        }
    }
}
