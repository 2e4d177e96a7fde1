//! Blocks of accounts' commands, judged by the user-behaviour detector: a block scores by the mean
//! evidence of its commands that somebody else typed them.
//!
//! Only that detector knows accounts by their past, so it decides alone, at its own calibrated
//! threshold.

use super::units::{self, Error, Judged};
use detection::block::{Block, History, Token};
use detection::calibration::Budget;
use detection::schema::{ACCOUNT, Category, Group, Schema};
use ndarray::Array2;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threat::entity::{Entity, hash_bytes};
use threat::{DetectorKind, Timestamp};

/// An account's clean blocks are cut into so many stretches, and each but the first is scored, for
/// calibration, by what was learnt before it: later blocks by earlier ones, as in use. On clean
/// blocks alone, of which the later ones were kept aside, this came nearest to the budget; two
/// halves stayed far under it, and the last two fifths alone were often over it.
const STRETCHES: usize = 5;

/// An account's commands, cut into blocks in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its blocks of commands.
    pub blocks: Vec<Vec<String>>,
    /// Its first so many blocks are known to be its owner's.
    pub clean: usize,
    /// Places of later blocks to judge; nothing is known of the others.
    pub judged: BTreeSet<usize>,
}

impl Account {
    fn clean(&self) -> Vec<usize> {
        (0..self.blocks.len().min(self.clean)).collect()
    }
}

/// Commands of clean blocks by token; 0 is any other command.
struct Alphabet<'a>(BTreeMap<&'a str, Token>);

impl<'a> Alphabet<'a> {
    fn of(accounts: &'a [Account]) -> Result<Self, Error> {
        let clean = accounts.iter().flat_map(|a| a.clean().into_iter().map(|b| &a.blocks[b]));
        let mut all: BTreeMap<&str, Token> =
            clean.flatten().map(|command| (command.as_str(), 0)).collect();
        if all.len() >= usize::from(Token::MAX) {
            return Err(Error::Alphabet(all.len()));
        }
        all.values_mut().zip(1..).for_each(|(token, i)| *token = i);
        Ok(Self(all))
    }
}

/// The given blocks of each account as rows, and for each row the number of its block among all of
/// them.
fn rows(
    accounts: &[Account],
    wanted: &[Vec<usize>],
    alphabet: &Alphabet<'_>,
) -> (Block, Vec<usize>) {
    let schema = Schema {
        name: "commands".into(),
        version: 1,
        numeric: Vec::new(),
        categories: vec![Category { name: ACCOUNT.into(), group: Group::Identity }],
        tokens: alphabet.0.len() as Token + 1,
    };
    let (mut unit, mut units) = (Vec::new(), 0);
    let (mut entity, mut names, mut token, mut history) = (vec![], vec![], vec![], vec![]);
    for (account, blocks) in accounts.iter().zip(wanted) {
        let id = Entity::User(account.name.as_str().into()).id();
        let mut past = History::default();
        for (i, &block) in blocks.iter().enumerate() {
            if i > 0 && blocks[i - 1] + 1 != block {
                past = History::default();
            }
            for command in &account.blocks[block] {
                let t = alphabet.0.get(command.as_str()).copied().unwrap_or(0);
                unit.push(units);
                entity.push(id);
                names.push(hash_bytes(account.name.as_bytes()));
                token.push(t);
                history.push(past);
                past.push(t);
            }
            units += 1;
        }
    }
    let rows = unit.len();
    let block = Block {
        schema: Arc::new(schema),
        raw: Array2::zeros((rows, 0)),
        categories: Array2::from_shape_fn((rows, 1), |(r, _)| names[r]),
        encoded: Array2::zeros((rows, 0)),
        entity,
        token,
        history,
        time: vec![Timestamp::default(); rows],
    };
    (block, unit)
}

fn mean(scores: &[f32]) -> f32 {
    let sum: f64 = scores.iter().map(|&s| f64::from(s)).sum();
    (sum / scores.len() as f64) as f32
}

/// Learns from the clean blocks of all accounts and judges later ones: account by account, block by
/// block. The threshold comes from clean blocks alone, pooled over the accounts, each judged by
/// what was learnt before it.
///
/// # Errors
/// When there is too little to learn from, or too many different commands.
pub fn judge(accounts: &[Account], budget: &Budget, seed: u64) -> Result<Judged, Error> {
    let alphabet = Alphabet::of(accounts)?;
    let scores = |learnt: &[Vec<usize>], asked: &[Vec<usize>]| -> Result<Vec<f32>, Error> {
        let (block, _) = rows(accounts, learnt, &alphabet);
        let model = units::train(DetectorKind::Users, &block, seed)?;
        let (block, unit) = rows(accounts, asked, &alphabet);
        let count = asked.iter().map(Vec::len).sum();
        units::score(&model, &block, &unit, count, 0.0, mean)
    };
    let clean: Vec<Vec<usize>> = accounts.iter().map(Account::clean).collect();
    let mut held = Vec::new();
    for stretch in 1..STRETCHES {
        let end = |blocks: &Vec<usize>, stretch: usize| blocks.len() * stretch / STRETCHES;
        let before: Vec<_> = clean.iter().map(|b| b[..end(b, stretch)].to_vec()).collect();
        let next = clean.iter().map(|b| b[end(b, stretch)..end(b, stretch + 1)].to_vec());
        held.extend(scores(&before, &next.collect::<Vec<_>>())?);
    }
    let asked: Vec<Vec<usize>> =
        accounts.iter().map(|a| a.judged.iter().copied().collect()).collect();
    units::decide(&held, scores(&clean, &asked)?, budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::metrics::Summary;
    use threat::entropy::Rng;

    /// Blocks of commands of somebody who likes some commands, one after the other.
    fn blocks(likes: usize, count: usize, rng: &mut Rng) -> Vec<Vec<String>> {
        let mut command = |_| {
            let own = rng.chance(0.7);
            format!("c{}", if own { likes + rng.below(4) } else { rng.below(30) })
        };
        (0..count).map(|_| (0..50).map(&mut command).collect()).collect()
    }

    #[test]
    fn another_ones_commands_stand_out_and_the_budget_holds() {
        let mut rng = Rng::new(5);
        let mut accounts = Vec::new();
        let mut positive = Vec::new();
        for user in 0..6 {
            let mut own = blocks(user * 5, 60, &mut rng);
            let judged = if user < 3 { (40..60).collect() } else { BTreeSet::new() };
            for b in &judged {
                let bad = b % 4 == 0;
                if bad {
                    own[*b] = blocks((user + 3) * 5, 1, &mut rng).remove(0);
                }
                positive.push(bad);
            }
            accounts.push(Account { name: format!("u{user}"), blocks: own, clean: 40, judged });
        }
        let run = || judge(&accounts, &Budget::Percent(1.0), 3).unwrap();
        let found = run();
        assert_eq!(found.scores.len(), positive.len());
        let auc = Summary::of(&found.scores, &positive).unwrap().auc;
        assert!(auc > 0.99, "{auc}");
        let wrong = found.verdicts.iter().zip(&positive).filter(|(v, p)| **v && !**p).count();
        assert!(wrong <= 3, "{wrong} of 45 clean blocks");
        assert_eq!(run(), found, "same blocks and seed");
    }
}
