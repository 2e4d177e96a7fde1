//! What labels are worth: how much better attacks are found with a labelled detector that was not
//! taught them.
//!
//! Labels of one place often say little about another, and of one kind of attack about the next. So
//! attacks are held out by what they have in common: by entity where rows have one, by name where
//! there are several, and by rows. The labelled detector gets the share in the answer with which
//! most held-out attacks are found at the same rate of false alarms, which is none where labels do
//! not hold. Test data has no part in it.

use crate::evaluation::metrics::Summary;
use detection::blend::Tails;
use detection::block::Block;
use detection::calibration::Calibrator;
use detection::detector::{Model, RowScore, Train, TrainOptions};
use detection::detectors::CATALOGUE;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::DetectorKind;

/// Attack rows that must be left to learn from when a group is held out: with fewer, nothing can be
/// said about whether labels hold, and they are not used.
pub const TAUGHT_ATTACKS: usize = 100;

/// Parts into which groups of attacks are dealt.
const PARTS: usize = 3;

/// Shares of the labelled detector that are tried, the smallest first: of equally good ones it
/// wins.
const SHARES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];

/// Rows with their labels.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The rows, in event order, not encoded.
    pub block: Block,
    /// Of each row 0 when it is benign, else the number of its label.
    pub labels: Vec<u16>,
}

impl Labelled {
    /// Places of the benign rows, or of the attacks.
    pub fn places(&self, attack: bool) -> Vec<usize> {
        (0..self.labels.len()).filter(|&r| (self.labels[r] > 0) == attack).collect()
    }
}

/// What the voters say of held-out benign rows and of all attacks, none of which they learnt from.
pub struct Voted<'a> {
    /// Benign rows to learn from.
    pub learn: &'a Block,
    /// Benign rows held out.
    pub held: &'a Block,
    /// The attacks.
    pub attacks: &'a Block,
    /// Number of each attack's label.
    pub names: &'a [u16],
    /// What the voters say of the held-out benign rows.
    pub of_held: &'a [Tails],
    /// What they say of the attacks.
    pub of_attacks: &'a [Tails],
}

/// A labelled detector with what it is worth.
pub struct Taught {
    /// Calibrates its scores.
    pub calibrator: Calibrator,
    /// Its share in the answer.
    pub share: f32,
    /// Its tails of the held-out benign rows.
    pub of_held: Vec<Option<f32>>,
}

/// Trains the labelled detector of the catalogue on benign rows and attacks.
pub fn train(benign: &Block, attacks: &Block, seed: u64) -> Option<Arc<dyn Model>> {
    let entry = CATALOGUE.iter().find(|e| e.kind == DetectorKind::Labelled)?;
    let Train::Labelled(train) = entry.train else { return None };
    let both = Block::concat(&[benign.clone(), attacks.clone()])?;
    let attack: Vec<bool> = (0..both.len()).map(|r| r >= benign.len()).collect();
    train(&both, &attack, &TrainOptions { seed }).ok()
}

fn scores(model: &Arc<dyn Model>, block: &Block) -> Option<Vec<f32>> {
    let mut out = Vec::new();
    Arc::clone(model).scorer().score(block, &mut out).ok()?;
    let score = |s: RowScore| if let RowScore::Score(s) = s { Some(s) } else { None };
    out.into_iter().map(score).collect()
}

/// Learns from labels and measures what they are worth; `None` when there are too few.
pub fn teach(voted: &Voted<'_>, seed: u64) -> Option<Taught> {
    if voted.attacks.len() < TAUGHT_ATTACKS {
        return None;
    }
    let model = train(voted.learn, voted.attacks, seed)?;
    let of_held = scores(&model, voted.held)?;
    let calibrator = Calibrator::fit(&of_held).ok()?;
    let share = share(voted, seed)?;
    let of_held = of_held.into_iter().map(|s| Some(calibrator.tail(s))).collect();
    Some(Taught { calibrator, share, of_held })
}

/// The ways to deal the attacks into parts, each a part number for each attack.
fn schemes(voted: &Voted<'_>) -> Option<Vec<Vec<usize>>> {
    let entities = &voted.attacks.entity;
    let by_entity = groups(entities.iter().map(|e| e.0));
    let known = voted.learn.entity.iter().any(|e| *e != voted.learn.entity[0]);
    match by_entity.len() {
        // Rows of several entities, of which only one attacks: nothing says that labels hold.
        1 if known => return None,
        n if n > 1 => return Some(vec![dealt(&by_entity, entities.len())]),
        _ => {}
    }
    let mut schemes = vec![(0..entities.len()).map(|r| r % PARTS).collect()];
    let by_name = groups(voted.names.iter().map(|n| u64::from(*n)));
    if by_name.len() > 1 {
        schemes.push(dealt(&by_name, voted.names.len()));
    }
    Some(schemes)
}

/// Rows by what they have in common, the largest group first.
fn groups(keys: impl Iterator<Item = u64>) -> Vec<Vec<usize>> {
    let mut by_key: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    keys.enumerate().for_each(|(row, key)| by_key.entry(key).or_default().push(row));
    let mut all: Vec<Vec<usize>> = by_key.into_values().collect();
    all.sort_by_key(|g| std::cmp::Reverse(g.len()));
    all
}

fn dealt(groups: &[Vec<usize>], rows: usize) -> Vec<usize> {
    let mut parts = vec![0; rows];
    for (i, group) in groups.iter().enumerate() {
        group.iter().for_each(|&row| parts[row] = i % PARTS);
    }
    parts
}

/// The share with which most attacks of parts that were not taught are found; `None` when a part
/// leaves too few to learn from.
fn share(voted: &Voted<'_>, seed: u64) -> Option<f32> {
    let mut found = [0.0f64; SHARES.len()];
    for parts in schemes(voted)? {
        let used: Vec<usize> = (0..PARTS).filter(|p| parts.contains(p)).collect();
        for &part in &used {
            let (out, kept): (Vec<usize>, Vec<usize>) =
                (0..parts.len()).partition(|&row| parts[row] == part);
            if kept.len() < TAUGHT_ATTACKS {
                return None;
            }
            let model = train(voted.learn, &voted.attacks.select(&kept), seed)?;
            let calm = scores(&model, voted.held)?;
            let loud = scores(&model, &voted.attacks.select(&out))?;
            let calibrator = Calibrator::fit(&calm).ok()?;
            let tail = |s: f32| Some(calibrator.tail(s));
            let asked: Vec<(&Tails, Option<f32>)> = (voted.of_held.iter())
                .zip(calm.into_iter().map(tail))
                .chain(
                    out.iter().map(|&row| &voted.of_attacks[row]).zip(loud.into_iter().map(tail)),
                )
                .collect();
            for (share, found) in SHARES.into_iter().zip(&mut found) {
                *found += quality(&asked, voted.of_held.len(), share) / used.len() as f64;
            }
        }
    }
    let mut best = 0;
    for at in 1..SHARES.len() {
        if found[at] > found[best] {
            best = at;
        }
    }
    Some(SHARES[best])
}

/// Share of the attacks found at one percent of false alarms, and the area under the whole curve,
/// in equal parts.
fn quality(asked: &[(&Tails, Option<f32>)], benign: usize, share: f32) -> f64 {
    let decisive = |(tails, labelled): &(&Tails, Option<f32>)| {
        Tails { labelled: *labelled, ..(*tails).clone() }.decisive(share).unwrap_or(0.0)
    };
    let scores: Vec<f32> = asked.iter().map(decisive).collect();
    let attack: Vec<bool> = (0..scores.len()).map(|row| row >= benign).collect();
    Summary::of(&scores, &attack).map_or(0.0, |s| s.auc + s.hits_at_one_percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use detection::block::History;
    use detection::schema::{Group, Numeric, Schema};
    use ndarray::Array2;
    use threat::entropy::Rng;
    use threat::{EntityId, Timestamp};

    /// Rows of two columns around `at`, of the given entity.
    fn rows(count: usize, at: [f64; 2], entity: u64, rng: &mut Rng) -> Block {
        let numeric = (0..2).map(|i| Numeric {
            name: format!("n{i}"),
            group: Group::Core,
            unit: "count".into(),
            volume: true,
        });
        let schema = Schema {
            name: "test".into(),
            version: 1,
            numeric: numeric.collect(),
            categories: vec![],
            tokens: 0,
        };
        Block {
            schema: Arc::new(schema),
            raw: Array2::from_shape_fn((count, 2), |(_, c)| (at[c] + rng.normal()) as f32),
            categories: Array2::zeros((count, 0)),
            encoded: Array2::zeros((count, 0)),
            entity: vec![EntityId(entity); count],
            token: vec![0; count],
            history: vec![History::default(); count],
            time: vec![Timestamp::default(); count],
        }
    }

    /// The share when voters see nothing and attacks of two entities lie at `first` and `second`.
    fn share_of(first: [f64; 2], second: [f64; 2], count: usize) -> Option<f32> {
        let mut rng = Rng::new(5);
        let learn = rows(600, [0.0, 0.0], 1, &mut rng);
        let held = rows(400, [0.0, 0.0], 1, &mut rng);
        let attacks = [rows(count, first, 2, &mut rng), rows(count, second, 3, &mut rng)];
        let attacks = Block::concat(&attacks)?;
        let blind = |n: usize, rng: &mut Rng| -> Vec<Tails> {
            let tail = |rng: &mut Rng| -rng.unit().max(1e-3).log10() as f32;
            let kinds = [DetectorKind::Forest, DetectorKind::Bayes];
            (0..n)
                .map(|_| Tails {
                    voters: kinds.into_iter().map(|k| (k, tail(rng))).collect(),
                    labelled: None,
                })
                .collect()
        };
        let of_held = blind(held.len(), &mut rng);
        let of_attacks = blind(attacks.len(), &mut rng);
        let voted = Voted {
            learn: &learn,
            held: &held,
            attacks: &attacks,
            names: &vec![1; attacks.len()],
            of_held: &of_held,
            of_attacks: &of_attacks,
        };
        teach(&voted, 1).map(|taught| taught.share)
    }

    #[test]
    fn labels_count_where_they_hold_and_only_there() {
        // The second entity's attacks are like the first's.
        assert!(share_of([6.0, 0.0], [6.0, 0.0], 150).unwrap() > 0.5);
        // They are on the other side of the benign rows: what one teaches misleads about the other.
        assert_eq!(share_of([6.0, 0.0], [-6.0, 0.0], 150), Some(0.0));
        // Too few are left to learn from when one entity is held out.
        assert_eq!(share_of([6.0, 0.0], [6.0, 0.0], 60), None);
    }
}
