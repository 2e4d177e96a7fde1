//! Feature schemas: which numbers and categories a class of events is turned into, by name and
//! version.

use serde::{Deserialize, Serialize};

/// What a feature tells about; the groups that the architecture names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The event's own amounts and kinds.
    Core,
    /// Time of day, gaps, regularity.
    Temporal,
    /// What the entity did in its recent past.
    Behavioural,
    /// Packets and flags.
    Packet,
    /// Shapes of distributions: entropy, spread.
    Distribution,
    /// Who talks to whom: degrees, first contacts.
    Topology,
    /// Who and where: held against an account's own past, and never encoded, since among all rows
    /// most names are rare.
    Identity,
}

/// The identity column that names the account. What is held against the account's past begins with
/// this name.
pub const ACCOUNT: &str = "account";
/// The identity column of the hour of the day.
pub const HOUR: &str = "account_hour";
/// The identity column of the day of the week.
pub const WEEKDAY: &str = "account_weekday";
/// The numeric column of the account's risk.
pub const RISK: &str = "account_risk";

/// A numeric feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numeric {
    /// Its name, `snake_case`, unique in the schema.
    pub name: String,
    /// What it tells about.
    pub group: Group,
    /// Its unit (`bytes`, `seconds`, `count`, `ratio`).
    pub unit: String,
    /// An amount of this very event, to be modelled as a density ("volume"). Window features are
    /// not: devices differ in them more than attacks do.
    pub volume: bool,
}

/// A categorical feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// Its name, `snake_case`, unique in the schema.
    pub name: String,
    /// What it tells about.
    pub group: Group,
}

/// The features of one class of events, in column order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The class's name, or a table's.
    pub name: String,
    /// Grows with every change of meaning or order.
    pub version: u32,
    /// Numeric columns.
    pub numeric: Vec<Numeric>,
    /// Categorical columns.
    pub categories: Vec<Category>,
    /// Distinct tokens of the event-token alphabet, 0 when events of this schema have no sequence.
    pub tokens: u16,
}

impl Schema {
    /// All encoded columns: numeric ones, then one of surprisal for each category.
    pub fn width(&self) -> usize {
        self.numeric.len() + self.categories.len()
    }

    /// The name of an encoded column.
    pub fn column(&self, index: usize) -> &str {
        match index.checked_sub(self.numeric.len()) {
            None => &self.numeric[index].name,
            Some(c) => self.categories.get(c).map_or("?", |c| &c.name),
        }
    }

    /// Indices of the numeric columns that are volumes.
    pub fn volumes(&self) -> Vec<usize> {
        (0..self.numeric.len()).filter(|&i| self.numeric[i].volume).collect()
    }

    /// blake3 over the canonical form: names a schema in artifacts.
    pub fn hash(&self) -> [u8; 32] {
        let mut h = blake3::Hasher::new();
        h.update(self.name.as_bytes());
        h.update(&self.version.to_le_bytes());
        h.update(&self.tokens.to_le_bytes());
        for n in &self.numeric {
            h.update(b"\0n");
            h.update(n.name.as_bytes());
            h.update(&[u8::from(n.volume)]);
        }
        for c in &self.categories {
            h.update(b"\0c");
            h.update(c.name.as_bytes());
        }
        *h.finalize().as_bytes()
    }
}
