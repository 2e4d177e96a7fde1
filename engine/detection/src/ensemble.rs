//! The ensemble vote: two of the three detectors named for an event's class agree, or the rules
//! decide.
//!
//! Each voter's score becomes a calibrated tail, and `blend` makes one answer of them. With one
//! voter missing or abstaining both others must agree; with fewer, the rules decide alone and the
//! verdict says so. This is a vote of models, not consensus.

use crate::blend::Tails;
use crate::block::Block;
use crate::bundle::{Bundle, ClassModels};
use crate::calibration::Budget;
use crate::detector::RowScore;
use crate::features::FeatureBatch;
use crate::scorers::BatchScores;
use std::collections::BTreeMap;
use threat::entropy::mix64;
use threat::mutants::{Mutant, is_live};
use threat::verdict::{Absence, Abstention};
use threat::{Ballot, DetectorKind, EventClass, RuleHit, Severity, Verdict, VerdictSource, Vote};

/// After so many events of one kind from one source a further one is no news: its tails stay under
/// the threshold, whatever the budget, and at most [`REPEAT_TAIL`], which turns a flood into one
/// threat.
pub const REPEAT_LIMIT: u32 = 20;

/// Tail of a repeated event at most: one in fifty. All voters together are that far out less often,
/// so that a flood still ranks near the top, and what is rare as well as odd ranks above it.
pub const REPEAT_TAIL: f32 = 1.7;

/// A rule of this level or above makes a threat without the voters.
pub const RULE_THREAT: Severity = Severity::Medium;

/// The three voters of a class of events.
pub const fn voters(class: EventClass) -> [DetectorKind; 3] {
    use DetectorKind::{Bayes, Forest, Neighbours, Sequence, Users};
    match class {
        EventClass::Flow | EventClass::Dns | EventClass::Http | EventClass::Tls => {
            [Forest, Sequence, Bayes]
        }
        EventClass::Authentication => [Users, Sequence, Bayes],
        EventClass::Finding | EventClass::File | EventClass::Anomaly | EventClass::Generic => {
            [Forest, Bayes, Neighbours]
        }
    }
}

/// The detectors that are asked about a class of events: its voters, and the one that learns from
/// labels.
pub const fn asked(class: EventClass) -> [DetectorKind; 4] {
    let [a, b, c] = voters(class);
    [a, b, c, DetectorKind::Labelled]
}

/// What each detector answered to one feature batch.
pub type Answers = BTreeMap<DetectorKind, Result<BatchScores, Absence>>;

/// The decision maker of one shard.
pub struct Ensemble {
    budget: Budget,
    bundle: u64,
    /// By class: the ensemble's threshold as a decisive tail, and as a calibrated one.
    thresholds: BTreeMap<EventClass, (f32, f32)>,
}

impl Ensemble {
    /// Decides within `budget`.
    pub const fn new(budget: Budget) -> Self {
        Self { budget, bundle: 0, thresholds: BTreeMap::new() }
    }

    fn adopt(&mut self, bundle: &Bundle) {
        if self.bundle == bundle.id() {
            return;
        }
        self.bundle = bundle.id();
        self.thresholds = bundle
            .classes
            .iter()
            .map(|(&class, models)| (class, thresholds(models, &self.budget)))
            .collect();
    }

    /// One verdict for each row of the batch, in order. `hits` holds the rules that matched each
    /// row.
    pub fn decide(
        &mut self,
        features: &FeatureBatch,
        answers: &Answers,
        mut hits: Vec<Vec<RuleHit>>,
    ) -> Vec<Verdict> {
        hits.resize(features.rows.len(), Vec::new());
        if let Some(bundle) = &features.bundle {
            self.adopt(bundle);
        }
        let mut verdicts: Vec<Option<Verdict>> = vec![None; features.rows.len()];
        for (index, (class, block, places)) in features.blocks.iter().enumerate() {
            let models = features.bundle.as_ref().and_then(|b| b.classes.get(class));
            let limits = self.thresholds.get(class).copied();
            for (row, &place) in places.iter().enumerate() {
                let at = place as usize;
                let repeats = features.repeats[at];
                let votes = voters(*class).map(|detector| Vote {
                    detector,
                    ballot: match (&features.bundle, models, limits) {
                        (None, ..) => Ballot::Missing(Absence::Learning),
                        (_, Some(models), Some((raw, _))) => {
                            ballot(detector, models, answers, (index, row), repeats, raw)
                        }
                        _ => Ballot::Abstained(Abstention::NoModel),
                    },
                });
                let labelled = models.zip(limits).and_then(|(models, (raw, _))| {
                    labelled(models, answers, (index, row), repeats, raw)
                });
                verdicts[at] = Some(verdict(
                    features.rows[at],
                    votes,
                    labelled,
                    std::mem::take(&mut hits[at]),
                    models.zip(limits),
                    self.bundle_of(features),
                    inputs_hash(block, row),
                ));
            }
        }
        // Every row is in exactly one block, so none is without a verdict.
        verdicts.into_iter().flatten().collect()
    }

    fn bundle_of(&self, features: &FeatureBatch) -> u64 {
        features.bundle.as_ref().map_or(0, |b| b.id())
    }
}

/// The thresholds of a class under a budget: (decisive tail, calibrated tail).
pub fn thresholds(models: &ClassModels, budget: &Budget) -> (f32, f32) {
    let tail = budget.threshold_tail(models.events_per_day());
    (models.ensemble.decision.score_at(tail), tail)
}

fn ballot(
    detector: DetectorKind,
    models: &ClassModels,
    answers: &Answers,
    (block, row): (usize, usize),
    repeats: u32,
    threshold: f32,
) -> Ballot {
    let scores = match answers.get(&detector) {
        None => return Ballot::Missing(Absence::Down),
        Some(Err(why)) => return Ballot::Missing(*why),
        Some(Ok(scores)) => scores,
    };
    let Some((_, calibrator)) = models.model(detector) else {
        return Ballot::Abstained(Abstention::NoModel);
    };
    match scores.get(block).and_then(Option::as_ref).and_then(|s| s.get(row)) {
        None => Ballot::Missing(Absence::Failed),
        Some(RowScore::Abstain) => Ballot::Abstained(Abstention::NothingToSay),
        Some(RowScore::Score(score)) if !score.is_finite() => Ballot::Missing(Absence::NotANumber),
        Some(&RowScore::Score(score)) => {
            let tail = capped(calibrator.tail(score), repeats, threshold);
            Ballot::Voted { score, tail, threat: tail >= threshold }
        }
    }
}

fn capped(tail: f32, repeats: u32, threshold: f32) -> f32 {
    if repeats < REPEAT_LIMIT { tail } else { tail.min(REPEAT_TAIL).min(threshold.next_down()) }
}

/// The labelled detector's tail, where it answered and counts.
fn labelled(
    models: &ClassModels,
    answers: &Answers,
    (block, row): (usize, usize),
    repeats: u32,
    threshold: f32,
) -> Option<f32> {
    if models.ensemble.labels <= 0.0 {
        return None;
    }
    let (_, calibrator) = models.model(DetectorKind::Labelled)?;
    let scores = answers.get(&DetectorKind::Labelled)?.as_ref().ok()?;
    match scores.get(block)?.as_ref()?.get(row)? {
        RowScore::Score(score) if score.is_finite() => {
            Some(capped(calibrator.tail(*score), repeats, threshold))
        }
        _ => None,
    }
}

fn verdict(
    event: u32,
    votes: [Vote; 3],
    labelled: Option<f32>,
    rules: Vec<RuleHit>,
    limits: Option<(&ClassModels, (f32, f32))>,
    bundle: u64,
    inputs: u64,
) -> Verdict {
    let mut verdict = Verdict {
        event,
        threat: false,
        score: 0.0,
        severity: Severity::Informational,
        source: VerdictSource::Rules,
        votes,
        rules,
        bundle,
        inputs,
    };
    let mut threshold = f32::INFINITY;
    if let Some((models, limits)) = limits
        && let Some(answer) = models.ensemble.answer(&tails(&votes, labelled), limits)
    {
        verdict.source = VerdictSource::Ml;
        verdict.score = answer.score;
        verdict.threat = answer.threat;
        threshold = limits.1;
    }
    settle(&mut verdict, threshold);
    verdict
}

/// What the voters and the labelled detector said, as tails.
pub fn tails(votes: &[Vote; 3], labelled: Option<f32>) -> Tails {
    let voters = votes.iter().filter_map(|vote| match vote.ballot {
        Ballot::Voted { tail, .. } => Some((vote.detector, tail)),
        _ => None,
    });
    Tails { voters: voters.collect(), labelled }
}

/// Sets severity, and lets rules of [`RULE_THREAT`] and above make a threat. Called again when a
/// correlation adds a hit.
pub fn settle(verdict: &mut Verdict, threshold: f32) {
    let by_voters = verdict.source == VerdictSource::Ml && verdict.threat;
    let ml = match verdict.score - threshold {
        _ if !by_voters => Severity::Informational,
        over if over < 1.0 => Severity::Low,
        over if over < 3.0 => Severity::Medium,
        _ => Severity::High,
    };
    let off = verdict.source == VerdictSource::Rules && is_live(Mutant::RulesFallbackOff);
    let rules = verdict.rules.iter().map(|h| h.severity).filter(|_| !off);
    let rules = rules.max().unwrap_or_default();
    verdict.threat |= rules >= RULE_THREAT;
    verdict.severity = verdict.severity.max(match (ml, rules) {
        // Voters and a rule that agree are worth a level more than either.
        (m, r) if m > Severity::Informational && r >= RULE_THREAT => raise(m.max(r)),
        (m, r) => m.max(r),
    });
}

fn raise(severity: Severity) -> Severity {
    Severity::ALL[(severity.id() as usize).min(Severity::ALL.len() - 1)]
}

/// Hash of everything the voters saw of a row.
pub fn inputs_hash(block: &Block, row: usize) -> u64 {
    let mut h = mix64(u64::from(block.token[row]));
    for v in block.raw.row(row) {
        h = mix64(h ^ u64::from(v.to_bits()));
    }
    for c in block.categories.row(row) {
        h = mix64(h ^ c);
    }
    for t in block.history[row].as_slice().chunks(4) {
        h = mix64(h ^ t.iter().fold(1u64, |a, &t| a << 16 | u64::from(t)));
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(tails: [Option<f32>; 3]) -> [Vote; 3] {
        let kinds = voters(EventClass::Flow);
        std::array::from_fn(|i| Vote {
            detector: kinds[i],
            ballot: tails[i].map_or(Ballot::Missing(Absence::Down), |tail| Ballot::Voted {
                score: tail,
                tail,
                threat: tail >= 3.0,
            }),
        })
    }

    #[test]
    fn the_table_of_votes() {
        // Two of three; two of two; never one; the score agrees with the vote in every case.
        let cases = [
            ([Some(5.0), Some(4.0), Some(0.1)], Some(true)),
            ([Some(5.0), Some(2.9), Some(0.1)], Some(false)),
            ([Some(5.0), Some(5.0), Some(5.0)], Some(true)),
            ([Some(5.0), None, Some(3.0)], Some(true)),
            ([Some(5.0), None, Some(2.0)], Some(false)),
            ([None, None, Some(9.0)], None),
            ([None, None, None], None),
        ];
        for (given, expected) in cases {
            let votes = votes(given);
            let yes = votes
                .iter()
                .filter(|v| matches!(v.ballot, Ballot::Voted { threat: true, .. }))
                .count();
            let decided = tails(&votes, None).decisive(0.0).map(|s| s >= 3.0);
            assert_eq!(decided, expected, "{given:?}");
            if let Some(threat) = decided {
                assert_eq!(threat, yes >= 2, "{given:?}");
            }
        }
    }

    #[test]
    fn a_repeat_is_under_every_threshold() {
        for threshold in [0.5, 1.24, 1.7, 2.0, 5.0] {
            let tail = capped(9.0, REPEAT_LIMIT, threshold);
            assert!(tail < threshold && tail <= REPEAT_TAIL, "{tail} {threshold}");
            assert_eq!(capped(0.1, REPEAT_LIMIT, threshold), 0.1);
            assert_eq!(capped(9.0, REPEAT_LIMIT - 1, threshold), 9.0);
        }
    }

    #[test]
    fn a_rule_of_medium_level_is_enough_and_agreement_raises() {
        let hit = |severity| RuleHit {
            id: "r".into(),
            title: "r".into(),
            severity,
            technique: None,
            fields: Vec::new(),
            correlation: false,
        };
        let settled = |rules: Vec<RuleHit>, source, threat, score| {
            let mut v = Verdict {
                event: 0,
                threat,
                score,
                severity: Severity::Informational,
                source,
                votes: votes([None; 3]),
                rules,
                bundle: 0,
                inputs: 0,
            };
            settle(&mut v, 5.0);
            (v.threat, v.severity)
        };
        use Severity::{Critical, High, Informational, Low, Medium};
        assert_eq!(settled(vec![hit(Low)], VerdictSource::Rules, false, 0.0), (false, Low));
        assert_eq!(settled(vec![hit(Medium)], VerdictSource::Rules, false, 0.0), (true, Medium));
        assert_eq!(settled(vec![], VerdictSource::Ml, false, 2.0), (false, Informational));
        assert_eq!(settled(vec![], VerdictSource::Ml, true, 5.5), (true, Low));
        assert_eq!(settled(vec![], VerdictSource::Ml, true, 9.0), (true, High));
        assert_eq!(settled(vec![hit(High)], VerdictSource::Ml, true, 5.5), (true, Critical));
    }
}
