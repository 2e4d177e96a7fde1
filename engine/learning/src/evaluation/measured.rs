//! What an evaluation measured: for the ensemble and each detector the measures, the curves and the
//! calibration, and how much of each label was found. A value; how it is shown is elsewhere.

use super::judge::Judged;
use super::metrics::{Confusion, Error, Step, Summary, interval, steps, thinned};
use detection::calibration::Budget;
use std::collections::BTreeMap;
use threat::DetectorKind;

/// Tails between the points of a calibration curve.
const TAIL_STEP: f32 = 0.25;

/// The greatest tail of a calibration curve: one in ten thousand, which few tables can check.
const TAIL_MOST: f32 = 4.0;

/// The ensemble or a detector, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// Its measures with the lower and the upper end of their intervals; `None` when the rows are
    /// all benign or all attacks.
    pub ranking: Option<[Summary; 3]>,
    /// What its own threshold does.
    pub own: Confusion,
    /// Its curve, thinned for a plot.
    pub curve: Vec<Step>,
    /// Stated share of benign rows at or above a tail, and the share that there was.
    pub calibration: Vec<(f64, f64)>,
}

/// What was measured of a judged table.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The budget of the verdicts.
    pub budget: Budget,
    /// Benign rows and attacks.
    pub rows: (usize, usize),
    /// Of these, the ones that repeat earlier ones too often for a verdict of their own.
    pub repeats: (usize, usize),
    /// The ensemble, then the detectors.
    pub scorers: Vec<Measured>,
    /// Of each label but the benign one: rows found and rows, the most frequent first.
    pub found: Vec<(String, usize, usize)>,
}

impl Evaluation {
    /// Measures answers against labels; `benign` is the label of benign rows.
    ///
    /// # Errors
    /// [`Error::Length`] when answers and labels are not of the same rows.
    pub fn of(
        judged: &[Judged],
        labels: &[&str],
        benign: &str,
        budget: Budget,
        seed: u64,
    ) -> Result<Self, Error> {
        if judged.len() != labels.len() {
            return Err(Error::Length { scores: judged.len(), rows: labels.len() });
        }
        let attack: Vec<bool> = labels.iter().map(|l| *l != benign).collect();
        let attacks = attack.iter().filter(|a| **a).count();
        let verdicts = judged.iter().map(|j| j.threat);
        let scores = judged.iter().map(|j| j.score).collect();
        let mut scorers = vec![measured("ensemble", scores, verdicts, &attack, seed)];
        let threshold = budget.threshold_tail(None);
        for kind in DetectorKind::ALL {
            let tail = |j: &Judged| j.tails.iter().find(|t| t.0 == kind).map(|t| t.1);
            if judged.iter().any(|j| tail(j).is_some()) {
                let scores: Vec<f32> = judged.iter().map(|j| tail(j).unwrap_or(0.0)).collect();
                let verdicts: Vec<bool> = scores.iter().map(|s| *s >= threshold).collect();
                scorers.push(measured(kind.name(), scores, verdicts, &attack, seed));
            }
        }
        let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (j, label) in judged.iter().zip(labels).filter(|(_, l)| **l != benign) {
            let counts = found.entry(label).or_default();
            counts.0 += usize::from(j.threat);
            counts.1 += 1;
        }
        let mut found: Vec<(String, usize, usize)> =
            found.into_iter().map(|(label, (hits, rows))| (label.to_owned(), hits, rows)).collect();
        found.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
        let of = |attacks: bool| judged.iter().zip(&attack).filter(move |(_, a)| **a == attacks);
        let repeats = |attacks| of(attacks).filter(|(j, _)| j.repeat).count();
        let repeats = (repeats(false), repeats(true));
        Ok(Self { budget, rows: (attack.len() - attacks, attacks), repeats, scorers, found })
    }
}

fn measured(
    name: &'static str,
    scores: Vec<f32>,
    verdicts: impl IntoIterator<Item = bool>,
    attack: &[bool],
    seed: u64,
) -> Measured {
    let ranking = || -> Result<[Summary; 3], Error> {
        let (low, high) = interval(&scores, attack, seed)?;
        Ok([Summary::of(&scores, attack)?, low, high])
    };
    let benign: Vec<f32> =
        scores.iter().zip(attack).filter(|(_, a)| !**a).map(|(s, _)| *s).collect();
    let points = (TAIL_MOST / TAIL_STEP) as u32;
    let calibration = (1..=points).map(|i| {
        let tail = i as f32 * TAIL_STEP;
        let above = benign.iter().filter(|s| **s >= tail).count();
        (10f64.powf(f64::from(-tail)), above as f64 / benign.len().max(1) as f64)
    });
    Measured {
        name,
        ranking: ranking().ok(),
        own: Confusion::of(verdicts, attack),
        curve: steps(&scores, attack).map(|s| thinned(&s)).unwrap_or_default(),
        calibration: calibration.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_counts_what_was_found_of_each_label() {
        let row = |score, threat| Judged {
            score,
            threat,
            repeat: false,
            tails: vec![(DetectorKind::Bayes, score / 2.0)],
        };
        let judged = [row(5.0, true), row(1.0, false), row(4.0, true), row(0.5, false)];
        let labels = ["scan", "scan", "ok", "ok"];
        let e = Evaluation::of(&judged, &labels, "ok", Budget::Percent(1.0), 0).unwrap();
        assert_eq!((e.rows, e.found.clone()), ((2, 2), vec![("scan".to_owned(), 1, 2)]));
        let names: Vec<_> = e.scorers.iter().map(|s| s.name).collect();
        assert_eq!(names, ["ensemble", "bayes"]);
        assert_eq!(e.scorers[0].ranking.unwrap()[0].auc, 0.75);
        let bayes = &e.scorers[1];
        assert_eq!((bayes.own.hits, bayes.own.false_alarms), (1, 1));
        // One of two benign rows lies at or above each tail up to 2.
        assert_eq!(bayes.calibration[7], (0.01, 0.5));
        let alone = Evaluation::of(&judged[..1], &labels[..1], "ok", Budget::Percent(1.0), 0);
        assert!(alone.unwrap().scorers[0].ranking.is_none());
    }
}
