//! What an operator wants to see of the threats.

use super::limits::{PAGE, PAGE_BYTES};
use super::{Replication, lock};
use regions::digest::Place;
use regions::threats::{Record, Status};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use threat::{Severity, ThreatId, Timestamp};

/// Where a threat stands in a list: the gravest first, of those the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    gravity: Reverse<Severity>,
    last_seen: Reverse<Timestamp>,
    id: ThreatId,
}

impl Rank {
    /// The rank of a record.
    pub fn of(record: &Record) -> Self {
        let (gravity, last_seen) = (Reverse(record.gravity()), Reverse(record.last_seen));
        Self { gravity, last_seen, id: record.id }
    }
}

/// Which threats to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Ids from one to another, both included.
    pub ids: (ThreatId, ThreatId),
    /// At least so grave.
    pub severity: Option<Severity>,
    /// Not closed.
    pub open: bool,
    /// Whose text holds this one.
    pub entity: Option<String>,
    /// After the last one of the page before.
    pub after: Option<Rank>,
    /// At most so many.
    pub most: u32,
}

impl Default for Query {
    fn default() -> Self {
        let ids = (ThreatId(0), ThreatId(u128::MAX));
        Self { ids, severity: None, open: false, entity: None, after: None, most: PAGE as u32 }
    }
}

impl Query {
    fn holds(&self, record: &Record) -> bool {
        self.severity.is_none_or(|least| record.gravity() >= least)
            && (!self.open || record.status() != Status::Closed)
            && self.entity.as_ref().is_none_or(|e| record.entity.to_string().contains(&**e))
    }
}

/// Threats, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The node that was asked.
    pub node: String,
    /// By rank.
    pub records: Vec<Record>,
    /// All that the query asks for after the page before, these and those of later pages.
    pub matching: u64,
    /// All that the node knows.
    pub known: u64,
}

impl Replication {
    /// The first threats that a query asks for. The state is looked through in pieces, between
    /// which others get to it: what changes meanwhile is in the list as it was or as it is.
    pub async fn list(&self, query: &Query) -> Page {
        let most = PAGE.min(query.most as usize);
        let (mut best, mut matching) = (BTreeMap::new(), 0u64);
        let (first, last) = (Place::of(query.ids.0), Place::of(query.ids.1));
        for partition in first.partition..=last.partition {
            let least = Place { partition, bucket: 0 }.first().max(query.ids.0);
            let greatest = Place { partition, bucket: u8::MAX }.last().min(query.ids.1);
            {
                let held = lock(&self.held);
                for record in held.state.range(least, greatest).filter(|r| query.holds(r)) {
                    let rank = Rank::of(record);
                    if query.after.is_some_and(|after| rank <= after) {
                        continue;
                    }
                    matching += 1;
                    // Cloned only if it may be in the list.
                    if best.len() < most || best.last_key_value().is_some_and(|(l, _)| rank < *l) {
                        best.insert(rank, record.clone());
                        if best.len() > most {
                            best.pop_last();
                        }
                    }
                }
            }
            tokio::task::yield_now().await;
        }
        let mut bytes = 0;
        let fits = |record: &Record| {
            bytes += record.encode().map_or(PAGE_BYTES, |e| e.len());
            bytes <= PAGE_BYTES
        };
        let all: Vec<Record> = best.into_values().collect();
        let count = all.iter().map(fits).take_while(|fits| *fits).count().max(1);
        let records = all.into_iter().take(count).collect();
        let known = lock(&self.held).state.len() as u64;
        Page { node: self.name.clone(), records, matching, known }
    }
}
