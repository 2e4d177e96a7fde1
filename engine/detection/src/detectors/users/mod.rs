//! User behaviour: does an account act like itself, or like anybody?
//!
//! What an account usually does (hosts, sources, hours, methods: the schema's identity columns; its
//! tokens and what follows what) is held against what all others do. A value's evidence is
//! ln p(others) − ln p(itself): a value that the account never had counts the more, the longer the
//! account was watched and the fewer new values it usually has, and less where its peers (`groups`)
//! have it. The row's score adds the evidence of its token, which may speak for the account, the
//! evidence of each column where it speaks against it (a usual desk excuses no strange server), and
//! the account's risk: what such evidence its latest logons left, as features kept it.
//!
//! Profiles are part of the artifact, so that a score is a function of the row alone. Comparing
//! self with others on commands follows Schonlau, DuMouchel, Ju, Karr, Theus, Vardi ("Computer
//! intrusion: detecting masquerades", Statistical Science 2001).

pub mod columns;
pub mod groups;
pub mod profile;
mod train;

#[cfg(test)]
mod tests;

use crate::block::Block;
use crate::detector::{Entry, Error, Explanation, Model, RowScore, Scorer, Train};
use crate::encoder::ln_from_one;
use columns::{Columns, Kind};
use profile::{Counts, Profile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{DetectorKind, codec};

/// The catalogue's line.
pub const ENTRY: Entry = Entry {
    kind: DetectorKind::Users,
    summary: "an account that acts unlike its own past and its peers",
    format: FORMAT,
    train: Train::Benign(|block, options| Ok(Arc::new(Users::train(block, options)?))),
    decode: |bytes| Ok(Arc::new(Users::decode(bytes)?)),
};

/// Version of the artifact's bytes.
const FORMAT: u8 = 1;

/// Weight of the others' habits in what others do after a token.
const OTHERS_PRIOR: f64 = 20.0;

/// Weight of an account's tokens in what it does after a token, and of its peers' tokens in its
/// own: chosen, like the one above, on clean commands alone, where each account's later blocks were
/// to be told from those of others.
const AFTER_PRIOR: f64 = 2.0;
const TOKEN_PRIOR: f64 = 1.0;

/// Weight of all others in what an account's peers do.
const PEERS_PRIOR: f64 = 20.0;

/// Added to each value's count among others (the Jeffreys prior).
const UNSEEN: f64 = 0.5;

/// The evidence of a single token at most: one odd command is no masquerade.
const TOKEN_MOST: f64 = 2.0;

/// And at least: no command proves who typed it.
const TOKEN_LEAST: f64 = -6.0;

/// The evidence of one column at most.
const COLUMN_MOST: f64 = 8.0;

/// Rows have to span so many seconds before an hour is one that an account is never seen at: nearly
/// a day; and nearly a week before a day of the week is.
const DAY_WATCHED: f64 = 20.0 * 3_600.0;
const WEEK_WATCHED: f64 = 6.0 * 86_400.0;

/// One account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    /// Hash of its name.
    id: u64,
    group: u16,
    profile: Profile,
}

/// What the artifact holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Content {
    /// Names of the compared columns, to know the schema by.
    kinds: Vec<String>,
    tokens: u16,
    /// Seconds from the first row to the last.
    span: f64,
    all: Profile,
    groups: Vec<Profile>,
    /// Ascending by id.
    accounts: Vec<Account>,
    /// Mean score of the training rows: what a benign row scores.
    mean: f32,
}

/// A trained model.
#[derive(Clone, Debug)]
pub struct Users {
    content: Content,
}

/// What one column says about a row.
struct Evidence {
    /// Its place among the categories.
    category: usize,
    /// ln p(others) − ln p(itself).
    amount: f64,
    /// The account's rows with the value, and its peers'.
    own: u64,
    peers: u64,
}

/// ln of a positive number, the same bits everywhere.
fn ln(x: f64) -> f64 {
    if x >= 1.0 { ln_from_one(x) } else { -ln_from_one(1.0 / x) }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { detector: "users", reason: reason.to_owned() }
}

fn names(block: &Block, columns: &Columns) -> Vec<String> {
    columns.kinds.iter().map(|k| block.schema.categories[k.category].name.clone()).collect()
}

impl Users {
    /// Loads an artifact.
    ///
    /// # Errors
    /// [`Error::Codec`] or [`Error::Invalid`] when the bytes are no such model.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let content: Content = codec::decode(FORMAT, bytes)?;
        let kinds = content.kinds.len();
        let own = content.accounts.iter().map(|a| &a.profile);
        if !own.chain(&content.groups).chain([&content.all]).all(|p| p.is_valid(kinds)) {
            return Err(invalid("counts are unsorted or do not add up"));
        }
        if !content.accounts.is_sorted_by(|a, b| a.id < b.id) {
            return Err(invalid("accounts are out of order"));
        }
        if content.accounts.iter().any(|a| usize::from(a.group) >= content.groups.len()) {
            return Err(invalid("an account is in no group"));
        }
        if !(content.span.is_finite() && content.mean.is_finite()) {
            return Err(invalid("a number is not finite"));
        }
        Ok(Self { content })
    }

    /// Whether the rows have the columns that this was trained on.
    fn check(&self, block: &Block, columns: &Columns) -> Result<(), Error> {
        let fits = block.schema.tokens == self.content.tokens;
        if fits && names(block, columns) == self.content.kinds {
            return Ok(());
        }
        Err(invalid("the rows have other columns"))
    }

    fn account(&self, id: u64) -> Option<&Account> {
        let accounts = &self.content.accounts;
        accounts.binary_search_by_key(&id, |a| a.id).ok().map(|at| &accounts[at])
    }

    /// The score of a row; `None` when it names no account, or one without profile and risk.
    fn score(&self, block: &Block, columns: &Columns, row: usize) -> Option<f32> {
        let id = account_of(block, columns, row)?;
        let risk = risk_of(block, columns, row);
        let Some(account) = self.account(id) else {
            return (columns.risk.is_some()).then_some(risk as f32);
        };
        let token = self.token(account, block, row);
        let against = self.evidence(account, block, columns, row);
        let sum: f64 = against.iter().map(|e| e.amount.clamp(0.0, COLUMN_MOST)).sum();
        Some((token + sum + risk) as f32)
    }

    /// Evidence of the row's token against the account, after the token before it.
    fn token(&self, account: &Account, block: &Block, row: usize) -> f64 {
        if block.schema.tokens == 0 {
            return 0.0;
        }
        let (all, own) = (&self.content.all, &account.profile);
        let group = &self.content.groups[usize::from(account.group)];
        let token = u64::from(block.token[row]);
        let mut others = others(&all.tokens, &own.tokens, token);
        let peers = peers(&group.tokens, &own.tokens, token, others);
        let mut itself = mixed(own.tokens.count(token), own.tokens.total, peers, TOKEN_PRIOR);
        if let Some(last) = profile::before(block, row) {
            let both = profile::pair(last, token);
            let less = |of: fn(&Profile) -> &Counts, value| {
                of(all).count(value).saturating_sub(of(own).count(value))
            };
            let (pairs, befores) = (less(|p| &p.pairs, both), less(|p| &p.before, last));
            others = mixed(pairs, befores, others, OTHERS_PRIOR);
            let (pairs, befores) = (own.pairs.count(both), own.before.count(last));
            itself = mixed(pairs, befores, itself, AFTER_PRIOR);
        }
        ln(others / itself).clamp(TOKEN_LEAST, TOKEN_MOST)
    }

    /// Evidence of each compared column that has a value.
    fn evidence(
        &self,
        account: &Account,
        block: &Block,
        columns: &Columns,
        row: usize,
    ) -> Vec<Evidence> {
        let group = &self.content.groups[usize::from(account.group)];
        let mut all = Vec::with_capacity(columns.kinds.len());
        for (i, column) in columns.kinds.iter().enumerate() {
            let value = block.categories[(row, column.category)];
            let watched = match column.kind {
                Kind::Hour => self.content.span >= DAY_WATCHED,
                Kind::Weekday => self.content.span >= WEEK_WATCHED,
                Kind::Thing => true,
            };
            if value == 0 || !watched {
                continue;
            }
            let own = &account.profile.kinds[i];
            let others = others(&self.content.all.kinds[i], own, value);
            let peers_share = peers(&group.kinds[i], own, value, others);
            // As many pseudo-counts as it had different values (Witten, Bell 1991): an account that
            // roams is expected to roam on.
            let prior = own.distinct().max(1) as f64;
            let itself = mixed(own.count(value), own.total, peers_share, prior);
            all.push(Evidence {
                category: column.category,
                amount: ln(others / itself),
                own: own.count(value),
                peers: group.kinds[i].count(value).saturating_sub(own.count(value)),
            });
        }
        all
    }
}

/// `hits` of `total`, drawn to `prior` with a weight.
fn mixed(hits: u64, total: u64, prior: f64, weight: f64) -> f64 {
    (hits as f64 + weight * prior) / (total as f64 + weight)
}

/// Share of a value among all but the account itself.
fn others(all: &Counts, own: &Counts, value: u64) -> f64 {
    let hits = all.count(value).saturating_sub(own.count(value)) as f64;
    let total = all.total.saturating_sub(own.total) as f64;
    (hits + UNSEEN) / (total + UNSEEN * (all.distinct() + 1) as f64)
}

/// Share of a value among the account's peers.
fn peers(group: &Counts, own: &Counts, value: u64, others: f64) -> f64 {
    let hits = group.count(value).saturating_sub(own.count(value));
    mixed(hits, group.total.saturating_sub(own.total), others, PEERS_PRIOR)
}

/// Hash of the account's name, if the row names one.
fn account_of(block: &Block, columns: &Columns, row: usize) -> Option<u64> {
    columns.account.map(|c| block.categories[(row, c)]).filter(|&id| id != 0)
}

fn risk_of(block: &Block, columns: &Columns, row: usize) -> f64 {
    columns.risk.map_or(0.0, |c| f64::from(block.raw[(row, c)].max(0.0)))
}

impl Model for Users {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Users
    }

    fn scorer(self: Arc<Self>) -> Box<dyn Scorer> {
        Box::new(UsersScorer(self))
    }

    fn explain(&self, block: &Block, row: usize) -> Explanation {
        let columns = Columns::of(&block.schema);
        let path = |line: &str| Explanation { path: vec![line.to_owned()], ..Default::default() };
        if self.check(block, &columns).is_err() {
            return path("the row has other columns");
        }
        let (Some(id), Some(score)) =
            (account_of(block, &columns, row), self.score(block, &columns, row))
        else {
            return path("the row names no known account");
        };
        let mut shares = vec![0.0f64; block.schema.width()];
        let mut lines = Vec::new();
        let mut usual = BTreeMap::new();
        let risk = risk_of(block, &columns, row);
        if let Some(column) = columns.risk {
            shares[column] = risk;
        }
        if let Some(account) = self.account(id) {
            let rows = account.profile.rows;
            lines.push(format!("the account is known by {rows} rows"));
            for e in self.evidence(account, block, &columns, row) {
                let column = block.schema.numeric.len() + e.category;
                shares[column] = e.amount.clamp(0.0, COLUMN_MOST);
                usual.insert(column, (e.own as f64 / rows.max(1) as f64).min(1.0) as f32);
                let name = &block.schema.categories[e.category].name;
                lines.push(
                    match e.own {
                        0 => {
                            format!("{name}: never with this account, {} times with peers", e.peers)
                        }
                        n => format!("{name}: {n} times with this account, {} with peers", e.peers),
                    } + &format!(", evidence {:+.2}", e.amount),
                );
            }
            let token = self.token(account, block, row);
            if block.schema.tokens > 0 {
                lines.push(format!("what it did, after what it did before: evidence {token:+.2}"));
            }
        } else {
            lines.push("the account has no profile yet".to_owned());
        }
        if columns.risk.is_some() {
            lines.push(format!("risk left by its latest logons: {risk:.2}"));
        }
        let mut explanation = Explanation::of_shares(score, self.content.mean, &shares, lines);
        explanation.usual = usual;
        explanation
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(codec::encode(FORMAT, &self.content)?)
    }
}

/// The model at work; it keeps no state.
struct UsersScorer(Arc<Users>);

impl Scorer for UsersScorer {
    fn score(&mut self, block: &Block, out: &mut Vec<RowScore>) -> Result<(), Error> {
        out.clear();
        let columns = Columns::of(&block.schema);
        self.0.check(block, &columns)?;
        out.extend((0..block.len()).map(|row| {
            self.0.score(block, &columns, row).map_or(RowScore::Abstain, RowScore::Score)
        }));
        Ok(())
    }
}
