//! Which columns of a schema tell who acted, and what is compared with the account's past.

use crate::schema::{ACCOUNT, Group, HOUR, RISK, Schema, WEEKDAY};

/// How values of a kind relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hours of the day, from 1: a ring.
    Hour,
    /// Days of the week.
    Weekday,
    /// Anything else: hosts, sources, methods.
    Thing,
}

/// A category that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindColumn {
    /// Its place among the categories.
    pub category: usize,
    /// How its values relate.
    pub kind: Kind,
}

/// The columns that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The category that names the account.
    pub account: Option<usize>,
    /// What is compared.
    pub kinds: Vec<KindColumn>,
    /// The numeric column of the account's risk.
    pub risk: Option<usize>,
}

impl Columns {
    /// Those of a schema.
    pub fn of(schema: &Schema) -> Self {
        let identity = |c: &usize| schema.categories[*c].group == Group::Identity;
        let name = |c: usize| schema.categories[c].name.as_str();
        let all = (0..schema.categories.len()).filter(identity);
        let kinds = all.filter(|&c| name(c) != ACCOUNT).map(|category| KindColumn {
            category,
            kind: match name(category) {
                HOUR => Kind::Hour,
                WEEKDAY => Kind::Weekday,
                _ => Kind::Thing,
            },
        });
        Self {
            account: (0..schema.categories.len()).find(|&c| name(c) == ACCOUNT),
            kinds: kinds.collect(),
            risk: schema.numeric.iter().position(|n| n.name == RISK),
        }
    }
}
