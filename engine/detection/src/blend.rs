//! From the tails of a class's detectors to the two numbers of a verdict: what decides, and what
//! ranks.
//!
//! What decides is the second-highest tail of the three voters: it reaches a threshold exactly when
//! two of them do. What ranks is the voters' weighted mean, each weighted by how well it told
//! disturbed benign rows from benign ones in training; its calibrated tail is kept on the vote's
//! side of the threshold, so that score and vote never disagree. Where labels were shown to hold
//! for rows that they were not learnt from, the labelled detector's tail has its share in both.

use crate::calibration::{Calibrator, Error};
use serde::{Deserialize, Serialize};
use threat::DetectorKind;
use threat::mutants::{Mutant, is_live};

/// How far a score that would disagree with its vote is put from the threshold at most: enough to
/// keep such rows in order, too little to look like a difference.
const ASIDE: f32 = 1e-3;

/// How a class's tails become one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blend {
    /// What each voter counts in the ranking, in catalogue order.
    pub weights: Vec<(DetectorKind, f32)>,
    /// The labelled detector's share, 0 to 1; 0 where there is none, or where its labels were not
    /// shown to hold.
    pub labels: f32,
    /// Calibrates what decides.
    pub decision: Calibrator,
    /// Calibrates what ranks.
    pub rank: Calibrator,
}

/// What the detectors said of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tails {
    /// The voters' tails, as many as voted.
    pub voters: Vec<(DetectorKind, f32)>,
    /// The labelled detector's.
    pub labelled: Option<f32>,
}

/// The answer for one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Two voters reach the threshold, or the blend with the labelled detector does.
    pub threat: bool,
    /// Calibrated tail, at least the threshold exactly when `threat`.
    pub score: f32,
}

impl Tails {
    /// The second-highest of the voters' tails; `None` when fewer than two voted.
    pub fn second(&self) -> Option<f32> {
        let mut tails: Vec<f32> = self.voters.iter().map(|t| t.1).collect();
        tails.sort_by(|a, b| b.total_cmp(a));
        if is_live(Mutant::MissingVoteAgrees) && tails.len() == 1 {
            return tails.first().copied();
        }
        tails.get(1).copied()
    }

    fn mean(&self, weights: &[(DetectorKind, f32)]) -> Option<f32> {
        let weight = |kind| weights.iter().find(|w| w.0 == kind).map_or(0.0, |w| w.1);
        let total: f32 = self.voters.iter().map(|t| weight(t.0)).sum();
        let sum: f32 = self.voters.iter().map(|t| weight(t.0) * t.1).sum();
        // Voters without any weight count the same.
        match self.voters.len() {
            0 => None,
            n if total <= 0.0 => Some(self.voters.iter().map(|t| t.1).sum::<f32>() / n as f32),
            _ => Some(sum / total),
        }
    }

    /// What decides, before calibration; `None` when fewer than two voted.
    pub fn decisive(&self, labels: f32) -> Option<f32> {
        Some(self.with_labels(self.second()?, labels))
    }

    fn ranking(&self, weights: &[(DetectorKind, f32)], labels: f32) -> Option<f32> {
        Some(self.with_labels(self.mean(weights)?, labels))
    }

    fn with_labels(&self, tail: f32, labels: f32) -> f32 {
        match self.labelled {
            Some(labelled) if labels > 0.0 => (1.0 - labels) * tail + labels * labelled,
            _ => tail,
        }
    }
}

impl Blend {
    /// Calibrates on what was said of benign rows that no model learnt from. Rows with fewer than
    /// two voters are left out.
    ///
    /// # Errors
    /// [`Error`].
    pub fn fit(
        weights: Vec<(DetectorKind, f32)>,
        labels: f32,
        held_out: &[Tails],
    ) -> Result<Self, Error> {
        let decisive: Vec<f32> = held_out.iter().filter_map(|t| t.decisive(labels)).collect();
        let full = held_out.iter().filter(|t| t.voters.len() > 1);
        let ranking: Vec<f32> = full.filter_map(|t| t.ranking(&weights, labels)).collect();
        let (decision, rank) = (Calibrator::fit(&decisive)?, Calibrator::fit(&ranking)?);
        Ok(Self { weights, labels, decision, rank })
    }

    /// This blend after what was said of rows that analysts labelled: see
    /// [`Calibrator::with_benign`]. The lowest of the threats ends what benign rows move.
    pub fn taught(&self, benign: &[Tails], threats: &[Tails]) -> Self {
        let decisive = |tails: &[Tails]| -> Vec<f32> {
            tails.iter().filter_map(|t| t.decisive(self.labels)).collect()
        };
        let ranking = |tails: &[Tails]| -> Vec<f32> {
            let full = tails.iter().filter(|t| t.voters.len() > 1);
            full.filter_map(|t| t.ranking(&self.weights, self.labels)).collect()
        };
        let least = |all: Vec<f32>| all.into_iter().fold(f32::INFINITY, f32::min);
        Self {
            weights: self.weights.clone(),
            labels: self.labels,
            decision: self.decision.with_benign(&decisive(benign), least(decisive(threats))),
            rank: self.rank.with_benign(&ranking(benign), least(ranking(threats))),
        }
    }

    /// What is wrong with a blend that was read from somewhere.
    pub fn problem(&self) -> Option<&'static str> {
        if !self.weights.iter().all(|w| w.1.is_finite() && w.1 >= 0.0) {
            return Some("a voter's weight is no amount");
        }
        (!(0.0..=1.0).contains(&self.labels)).then_some("the labels' share is not within 0 and 1")
    }

    /// The answer under a threshold, given as a decisive tail before calibration and as a
    /// calibrated one; `None` when fewer than two voters voted.
    pub fn answer(&self, tails: &Tails, (raw, calibrated): (f32, f32)) -> Option<Answer> {
        let threat = tails.decisive(self.labels)? >= raw;
        let tail = self.rank.tail(tails.ranking(&self.weights, self.labels)?);
        // The least tail that a threat keeps, and the greatest that a benign row keeps.
        let (over, under) = (calibrated * (1.0 + ASIDE), calibrated * (1.0 - ASIDE));
        let score = match threat {
            true if tail < over => calibrated + (over - calibrated) * (tail / over),
            false if tail > under => calibrated - (calibrated - under) * (under / tail),
            _ => tail,
        };
        Some(Answer { threat, score })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [DetectorKind; 3] =
        [DetectorKind::Forest, DetectorKind::Bayes, DetectorKind::Neighbours];

    fn tails(voters: [f32; 3], labelled: Option<f32>) -> Tails {
        Tails { voters: KINDS.into_iter().zip(voters).collect(), labelled }
    }

    fn blend(labels: f32) -> Blend {
        let rows: Vec<Tails> = (0..300)
            .map(|i| {
                let t = |k: i32| -((i * k % 300) as f32 / 300.0 + 0.003).log10();
                tails([t(1), t(7), t(11)], Some(t(13)))
            })
            .collect();
        Blend::fit(KINDS.into_iter().zip([0.1, 1.0, 0.5]).collect(), labels, &rows).unwrap()
    }

    proptest! {
        #[test]
        fn score_and_vote_never_disagree(
            v in prop::array::uniform3(0f32..9.0),
            l in 0f32..9.0,
            labels in prop::sample::select(vec![0.0f32, 0.5, 1.0]),
            budget in 0.5f32..5.0,
        ) {
            let blend = blend(labels);
            let limits = (blend.decision.score_at(budget), budget);
            let answer = blend.answer(&tails(v, Some(l)), limits).unwrap();
            prop_assert_eq!(answer.score >= budget, answer.threat);
            prop_assert!(answer.score.is_finite() && answer.score >= 0.0);
            if labels == 0.0 {
                let yes = v.iter().filter(|t| **t >= limits.0).count();
                prop_assert_eq!(answer.threat, yes >= 2);
            }
        }

        #[test]
        fn of_equal_votes_the_higher_mean_ranks_higher(
            a in prop::array::uniform3(0f32..9.0),
            b in prop::array::uniform3(0f32..9.0),
        ) {
            let blend = blend(0.0);
            let limits = (blend.decision.score_at(2.0), 2.0);
            let (x, y) = (tails(a, None), tails(b, None));
            let (p, q) = (blend.answer(&x, limits).unwrap(), blend.answer(&y, limits).unwrap());
            if p.threat == q.threat && x.mean(&blend.weights) <= y.mean(&blend.weights) {
                prop_assert!(p.score <= q.score, "{p:?} {q:?}");
            }
        }
    }

    #[test]
    fn one_voter_decides_nothing_and_no_weight_counts_equally() {
        let one = Tails { voters: vec![(DetectorKind::Bayes, 9.0)], labelled: Some(9.0) };
        assert_eq!(blend(0.0).answer(&one, (1.0, 1.0)), None);
        assert_eq!(tails([1.0, 2.0, 6.0], None).mean(&[]), Some(3.0));
        let mut bad = blend(0.0);
        bad.labels = 2.0;
        assert!(bad.problem().is_some() && blend(1.0).problem().is_none());
    }
}
