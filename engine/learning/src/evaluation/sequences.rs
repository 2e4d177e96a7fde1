//! Whole sessions of event names, judged by the sequence detector: a session scores by its most
//! surprising event, its end included.
//!
//! Only the sequence detector sees tokens, so it decides alone, at its own calibrated threshold.

use super::units::{self, Error, Judged};
use crate::training::hold_out;
use detection::block::{Block, History, Token};
use detection::calibration::Budget;
use detection::schema::Schema;
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{DetectorKind, EntityId, Timestamp};

/// A session: its events by name, in order.
pub type Session = Vec<String>;

/// Numbers the events met in training from 1; 0 ends a session, the last one is any other event.
#[derive(Clone, Debug)]
struct Alphabet<'a>(BTreeMap<&'a str, Token>);

impl<'a> Alphabet<'a> {
    fn of(sessions: &'a [Session]) -> Result<Self, Error> {
        let mut all: BTreeMap<&str, Token> =
            sessions.iter().flatten().map(|event| (event.as_str(), 0)).collect();
        if all.len() > usize::from(Token::MAX) - 2 {
            return Err(Error::Alphabet(all.len()));
        }
        all.values_mut().zip(1..).for_each(|(token, i)| *token = i);
        Ok(Self(all))
    }

    fn size(&self) -> Token {
        self.0.len() as Token + 2
    }

    fn tokens(&self, session: &[String]) -> Vec<Token> {
        let other = self.size() - 1;
        let known = |event: &String| self.0.get(event.as_str()).copied().unwrap_or(other);
        session.iter().map(known).chain([0]).collect()
    }
}

/// Each session as an entity of its own, and for each row the number of its session.
fn rows<'a>(
    sessions: impl Iterator<Item = &'a Session>,
    alphabet: &Alphabet<'_>,
) -> (Block, Vec<usize>) {
    let schema = Schema {
        name: "sessions".into(),
        version: 1,
        numeric: Vec::new(),
        categories: Vec::new(),
        tokens: alphabet.size(),
    };
    let (mut unit, mut token, mut history) = (Vec::new(), Vec::new(), Vec::new());
    for (number, session) in sessions.enumerate() {
        let mut past = History::default();
        for t in alphabet.tokens(session) {
            unit.push(number);
            token.push(t);
            history.push(past);
            past.push(t);
        }
    }
    let block = Block {
        schema: Arc::new(schema),
        raw: Array2::zeros((unit.len(), 0)),
        categories: Array2::zeros((unit.len(), 0)),
        encoded: Array2::zeros((unit.len(), 0)),
        entity: unit.iter().map(|&u| EntityId(u as u64)).collect(),
        token,
        history,
        time: vec![Timestamp::default(); unit.len()],
    };
    (block, unit)
}

fn greatest(scores: &[f32]) -> f32 {
    scores.iter().copied().fold(f32::MIN, f32::max)
}

/// Learns from benign `training` sessions and judges others. The threshold comes from training
/// sessions alone, held out as `detect` holds out rows; then the model learns from all of them.
///
/// # Errors
/// When there is too little to learn from, or too many kinds of events.
pub fn judge(
    training: &[Session],
    judged: &[Session],
    budget: &Budget,
    seed: u64,
) -> Result<Judged, Error> {
    let alphabet = Alphabet::of(training)?;
    let learn = |learnt: &[usize]| -> Result<_, Error> {
        let (block, _) = rows(learnt.iter().map(|&s| &training[s]), &alphabet);
        units::train(DetectorKind::Sequence, &block, seed)
    };
    let scores = |model, sessions: &[&Session]| -> Result<Vec<f32>, Error> {
        let (block, unit) = rows(sessions.iter().copied(), &alphabet);
        units::score(model, &block, &unit, sessions.len(), 0.0, greatest)
    };
    let (learnt, held) = hold_out(training.len());
    let held: Vec<&Session> = held.iter().map(|&s| &training[s]).collect();
    let first = learn(&learnt)?;
    let mut calm = scores(&first, &held)?;
    let all: Vec<usize> = (0..training.len()).collect();
    let model = learn(&all)?;
    // The model that judges learnt from a few sessions more. Where many sessions are alike, the
    // small difference that makes would lift all of them over a threshold that lies among them.
    for (calm, now) in calm.iter_mut().zip(scores(&model, &held)?) {
        *calm = calm.max(now);
    }
    let found = scores(&model, &judged.iter().collect::<Vec<_>>())?;
    units::decide(&calm, found, budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::metrics::Summary;
    use threat::entropy::Rng;

    /// Sessions of one grammar: open, some reads, close.
    fn sessions(count: usize, seed: u64) -> Vec<Session> {
        let mut rng = Rng::new(seed);
        let mut session = |_| {
            let reads = 1 + rng.below(4);
            let middle = std::iter::repeat_n("read", reads);
            ["open"].into_iter().chain(middle).chain(["close"]).map(String::from).collect()
        };
        (0..count).map(&mut session).collect()
    }

    #[test]
    fn broken_sessions_stand_out_and_the_budget_holds() {
        let good = sessions(300, 2);
        let mut all = good.clone();
        // Cut off before the end, out of order, an event that nobody knows.
        all.extend(sessions(20, 3).into_iter().map(|s| s[..s.len() - 1].to_vec()));
        all.extend(sessions(20, 4).into_iter().map(|s| s.into_iter().rev().collect()));
        all.push(vec!["open".into(), "format".into(), "close".into()]);
        let run = || judge(&sessions(400, 1), &all, &Budget::Percent(1.0), 7).unwrap();
        let found = run();
        let positive: Vec<bool> = (0..all.len()).map(|i| i >= good.len()).collect();
        let auc = Summary::of(&found.scores, &positive).unwrap().auc;
        assert!(auc > 0.99, "{auc}");
        let false_ones = found.verdicts[..good.len()].iter().filter(|v| **v).count();
        assert!(false_ones < 15, "{false_ones} of 300 good sessions");
        assert_eq!(run(), found, "same sessions and seed");
    }

    #[test]
    fn what_cannot_be_learnt_is_refused() {
        assert!(judge(&sessions(3, 1), &sessions(3, 2), &Budget::Percent(1.0), 1).is_err());
    }
}
