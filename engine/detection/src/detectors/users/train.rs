//! Learning: rows by account, peers by what they do, counts of each and of all.

use super::columns::Columns;
use super::profile::Profile;
use super::{Account, Content, Users, account_of, groups, names};
use crate::block::Block;
use crate::detector::{Error, TrainOptions};
use std::collections::BTreeMap;

/// Rows of known accounts needed in all: fewer are no habits.
const ROWS_LEAST: usize = 50;

/// Rows of an account from which it has a profile.
const ACCOUNT_ROWS: usize = 10;

/// Accounts profiled: those with the most rows. What a large site has on its busiest servers;
/// grouping them takes a second at most.
const ACCOUNTS: usize = 8_192;

impl Users {
    /// Learns from benign rows.
    ///
    /// # Errors
    /// [`Error::TooFewRows`] when the schema names no account or too few rows do.
    pub fn train(block: &Block, options: &TrainOptions) -> Result<Self, Error> {
        let columns = Columns::of(&block.schema);
        let mut by_account: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for row in 0..block.len() {
            if let Some(id) = account_of(block, &columns, row) {
                by_account.entry(id).or_default().push(row);
            }
        }
        let known: Vec<usize> = by_account.values().flatten().copied().collect();
        if known.len() < ROWS_LEAST {
            let (needed, got) = (ROWS_LEAST, known.len());
            return Err(Error::TooFewRows { detector: "users", needed, got });
        }
        let mut rows: Vec<(u64, Vec<usize>)> =
            by_account.into_iter().filter(|(_, rows)| rows.len() >= ACCOUNT_ROWS).collect();
        rows.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
        rows.truncate(ACCOUNTS);
        rows.sort_unstable();
        let learn = |rows: &[usize]| Profile::learn(block, &columns, rows);
        let profiles: Vec<Profile> = rows.iter().map(|(_, rows)| learn(rows)).collect();
        let grouped = groups::assign(&profiles, options.seed);
        let count = grouped.iter().max().map_or(0, |&g| usize::from(g) + 1);
        let group = |number: usize| -> Vec<usize> {
            let own = rows.iter().zip(&grouped).filter(|(_, g)| usize::from(**g) == number);
            own.flat_map(|((_, rows), _)| rows.iter().copied()).collect()
        };
        let (first, last) = (block.time.iter().min(), block.time.iter().max());
        let mut model = Self {
            content: Content {
                kinds: names(block, &columns),
                tokens: block.schema.tokens,
                span: first.zip(last).map_or(0.0, |(first, last)| last.since(*first)),
                all: learn(&known),
                groups: (0..count).map(|number| learn(&group(number))).collect(),
                accounts: rows
                    .into_iter()
                    .zip(grouped)
                    .zip(profiles)
                    .map(|(((id, _), group), profile)| Account { id, group, profile })
                    .collect(),
                mean: 0.0,
            },
        };
        let scores = (0..block.len()).filter_map(|row| model.score(block, &columns, row));
        let (sum, n) = scores.fold((0.0, 0u32), |(sum, n), s| (sum + f64::from(s), n + 1));
        model.content.mean = (sum / f64::from(n.max(1))) as f32;
        Ok(model)
    }
}
