//! How well scores tell labelled rows apart: ROC-AUC with ties, average precision, the rate of hits
//! at a bounded rate of false alarms, curves, and bootstrap intervals.
//!
//! Higher scores are more anomalous; `true` marks an attack. Everything is a function of scores and
//! truth; a shuffle of the rows changes nothing.

use threat::entropy::Rng;

/// False alarms that [`Summary::hits_at_one_percent`] allows.
pub const ONE_PERCENT: f64 = 0.01;

/// Resamples of a bootstrap interval: its ends then move by less than its third digit.
pub const RESAMPLES: usize = 200;

/// Points that a curve keeps at most: finer steps than a pixel nobody sees.
pub const CURVE_POINTS: usize = 512;

/// Why nothing can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Scores and truth are not of the same rows.
    #[error("{scores} scores for {rows} rows")]
    Length {
        /// Scores given.
        scores: usize,
        /// Rows with truth.
        rows: usize,
    },
    /// One of the two sides is empty.
    #[error("a ranking is measured on benign rows and attacks; the rows are all {0}")]
    OneSided(&'static str),
}

/// A step of a ranking: everything at or above `score` taken for an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The threshold.
    pub score: f32,
    /// Share of the benign rows at or above it.
    pub false_rate: f64,
    /// Share of the attacks at or above it.
    pub hit_rate: f64,
    /// Share of attacks among the rows at or above it.
    pub precision: f64,
}

/// What a ranking is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Area under the ROC curve: how often an attack is above a benign row, ties half.
    pub auc: f64,
    /// Average precision, the area under the precision-recall steps.
    pub precision: f64,
    /// Highest share of attacks found with at most [`ONE_PERCENT`] false alarms.
    pub hits_at_one_percent: f64,
}

/// A row's score, whether it is an attack, and how often it counts.
type Weighed = (f32, bool, f64);

/// All steps of a ranking, the highest threshold first.
///
/// # Errors
/// [`Error`].
pub fn steps(scores: &[f32], attack: &[bool]) -> Result<Vec<Step>, Error> {
    if scores.len() != attack.len() {
        return Err(Error::Length { scores: scores.len(), rows: attack.len() });
    }
    let mut rows: Vec<Weighed> = scores.iter().zip(attack).map(|(&s, &a)| (s, a, 1.0)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    sorted_steps(&rows)
}

fn sorted_steps(rows: &[Weighed]) -> Result<Vec<Step>, Error> {
    let attacks: f64 = rows.iter().filter(|r| r.1).map(|r| r.2).sum();
    let benign: f64 = rows.iter().filter(|r| !r.1).map(|r| r.2).sum();
    if attacks == 0.0 || benign == 0.0 {
        return Err(Error::OneSided(if attacks == 0.0 { "benign" } else { "attacks" }));
    }
    let (mut hits, mut alarms) = (0.0, 0.0);
    let mut steps = Vec::new();
    // 0 and −0 are one score.
    for same in rows.chunk_by(|a, b| a.0 == b.0) {
        for &(_, attack, weight) in same {
            *(if attack { &mut hits } else { &mut alarms }) += weight;
        }
        if hits + alarms > 0.0 {
            steps.push(Step {
                score: same[0].0,
                false_rate: alarms / benign,
                hit_rate: hits / attacks,
                precision: hits / (hits + alarms),
            });
        }
    }
    Ok(steps)
}

impl Summary {
    /// Of scores and truth.
    ///
    /// # Errors
    /// [`Error`].
    pub fn of(scores: &[f32], attack: &[bool]) -> Result<Self, Error> {
        Ok(Self::of_steps(&steps(scores, attack)?))
    }

    fn of_steps(steps: &[Step]) -> Self {
        let (mut auc, mut precision, mut hits) = (0.0, 0.0, 0.0f64);
        let (mut x, mut y) = (0.0, 0.0);
        for s in steps {
            auc += (s.false_rate - x) * (s.hit_rate + y) / 2.0;
            precision += (s.hit_rate - y) * s.precision;
            (x, y) = (s.false_rate, s.hit_rate);
            if x <= ONE_PERCENT {
                hits = y;
            }
        }
        Self { auc, precision, hits_at_one_percent: hits }
    }
}

/// Lower and upper end of the middle 95% of [`RESAMPLES`] bootstrap resamples of rows, for each
/// measure. Resamples without one of the two sides are drawn again.
///
/// # Errors
/// [`Error`].
pub fn interval(scores: &[f32], attack: &[bool], seed: u64) -> Result<(Summary, Summary), Error> {
    Summary::of(scores, attack)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut rng = Rng::fork(seed, "metrics/bootstrap");
    let mut drawn: Vec<Summary> = Vec::with_capacity(RESAMPLES);
    let mut counts = vec![0.0; scores.len()];
    // With both sides there, a resample lacks one with probability under 3/4 at worst (one row
    // of each), so that this many draws are enough but for one in 10^12.
    for _ in 0..RESAMPLES * 8 {
        counts.fill(0.0);
        for _ in 0..scores.len() {
            counts[rng.below(scores.len())] += 1.0;
        }
        let rows: Vec<Weighed> = order.iter().map(|&r| (scores[r], attack[r], counts[r])).collect();
        if let Ok(steps) = sorted_steps(&rows) {
            drawn.push(Summary::of_steps(&steps));
        }
        if drawn.len() == RESAMPLES {
            break;
        }
    }
    let ends = |value: fn(&Summary) -> f64| {
        let mut all: Vec<f64> = drawn.iter().map(value).collect();
        all.sort_by(f64::total_cmp);
        let at = |q: f64| all.get(((all.len() - 1) as f64 * q).round() as usize).copied();
        (at(0.025).unwrap_or(0.0), at(0.975).unwrap_or(1.0))
    };
    let (auc, precision) = (ends(|s| s.auc), ends(|s| s.precision));
    let hits = ends(|s| s.hits_at_one_percent);
    let end = |auc, precision, hits| Summary { auc, precision, hits_at_one_percent: hits };
    Ok((end(auc.0, precision.0, hits.0), end(auc.1, precision.1, hits.1)))
}

/// What a threshold does: rows taken for attacks, by truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Attacks that were found.
    pub hits: usize,
    /// Attacks in all.
    pub attacks: usize,
    /// Benign rows that were taken for attacks.
    pub false_alarms: usize,
    /// Benign rows in all.
    pub benign: usize,
}

impl Confusion {
    /// Counts verdicts.
    pub fn of(verdicts: impl IntoIterator<Item = bool>, attack: &[bool]) -> Self {
        let mut c = Self::default();
        for (verdict, &attack) in verdicts.into_iter().zip(attack) {
            if attack {
                c.attacks += 1;
                c.hits += usize::from(verdict);
            } else {
                c.benign += 1;
                c.false_alarms += usize::from(verdict);
            }
        }
        c
    }

    /// Share of the attacks that were found; 0 when there are none.
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.attacks.max(1) as f64
    }

    /// Share of the benign rows that were taken for attacks; 0 when there are none.
    pub fn false_rate(&self) -> f64 {
        self.false_alarms as f64 / self.benign.max(1) as f64
    }

    /// 95% interval of a share of `part` in `whole` (Wilson 1927).
    pub fn wilson(part: usize, whole: usize) -> (f64, f64) {
        const Z: f64 = 1.959_964;
        if whole == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (whole as f64, part as f64 / whole as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
}

/// At most about [`CURVE_POINTS`] of the steps, each a visible way from the one before; the last
/// one stays.
pub fn thinned(steps: &[Step]) -> Vec<Step> {
    let far = 2.0 / CURVE_POINTS as f64;
    let mut kept: Vec<Step> = Vec::new();
    for (i, &s) in steps.iter().enumerate() {
        let moved = kept
            .last()
            .is_none_or(|k| (s.false_rate - k.false_rate) + (s.hit_rate - k.hit_rate) >= far);
        if moved || i + 1 == steps.len() {
            kept.push(s);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_a_small_ranking_are_those_computed_by_hand() {
        // By score: attack, benign, attack + benign (tied), attack.
        let scores = [4.0, 3.0, 2.0, 2.0, 1.0];
        let attack = [true, false, true, false, true];
        let s = Summary::of(&scores, &attack).unwrap();
        // Pairs: 4 beats both; 2 loses to 3 and ties with 2; 1 loses both: 2.5 of 6.
        assert!((s.auc - 2.5 / 6.0).abs() < 1e-12);
        // Steps of recall 1/3 at 1/1, 1/3 at 2/4, 1/3 at 3/5.
        assert!((s.precision - (1.0 + 0.5 + 0.6) / 3.0).abs() < 1e-12);
        assert!((s.hits_at_one_percent - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_perfect_and_a_constant_ranking() {
        let attack: Vec<bool> = (0..400).map(|i| i % 4 == 0).collect();
        let scores: Vec<f32> = attack.iter().map(|&a| f32::from(u8::from(a))).collect();
        let perfect = Summary::of(&scores, &attack).unwrap();
        assert_eq!((perfect.auc, perfect.precision, perfect.hits_at_one_percent), (1.0, 1.0, 1.0));
        let constant = Summary::of(&vec![0.5; 400], &attack).unwrap();
        assert_eq!((constant.auc, constant.hits_at_one_percent), (0.5, 0.0));
        assert!((constant.precision - 0.25).abs() < 1e-12);
    }

    #[test]
    fn one_side_alone_is_refused() {
        assert_eq!(Summary::of(&[1.0], &[true]), Err(Error::OneSided("attacks")));
        assert_eq!(Summary::of(&[1.0], &[]), Err(Error::Length { scores: 1, rows: 0 }));
    }

    #[test]
    fn an_interval_holds_its_estimate_and_narrows_with_rows() {
        let mut rng = Rng::new(1);
        let mut width = f64::INFINITY;
        for rows in [200, 20_000] {
            let attack: Vec<bool> = (0..rows).map(|i| i % 5 == 0).collect();
            let scores: Vec<f32> =
                attack.iter().map(|&a| (rng.normal() + f64::from(u8::from(a))) as f32).collect();
            let middle = Summary::of(&scores, &attack).unwrap();
            let (low, high) = interval(&scores, &attack, 7).unwrap();
            assert!(low.auc < middle.auc && middle.auc < high.auc);
            assert!(high.auc - low.auc < width / 3.0);
            width = high.auc - low.auc;
        }
    }

    #[test]
    fn shares_have_wilsons_interval() {
        let (low, high) = Confusion::wilson(10, 1_000);
        assert!((low - 0.005_44).abs() < 1e-4 && (high - 0.018_3).abs() < 1e-4, "{low} {high}");
        let c = Confusion::of([true, true, false, false], &[true, false, true, false]);
        assert_eq!((c.hit_rate(), c.false_rate()), (0.5, 0.5));
    }
}
