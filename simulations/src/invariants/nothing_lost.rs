//! R2: what was acknowledged is in the log of every node that is there at the end.

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "R2",
    says: "no acknowledged command is lost",
    source: "chaos R2; features, durability",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let (mut asked, mut acknowledged) = (BTreeMap::new(), BTreeMap::new());
    let (mut written, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Asked { op, ask: Ask::Write { value, .. } } => {
                asked.insert(*op, *value);
            }
            What::Answered { op, done: Done::At { .. } } => {
                if let Some(value) = asked.get(op) {
                    acknowledged.insert(*value, at);
                }
            }
            What::Set { value, index, .. } => {
                written.entry(*value).or_insert(*index);
            }
            What::State { index, .. } => {
                ends.insert(entry.who, (*index, at));
            }
            _ => {}
        }
    }
    let missing = acknowledged.iter().find(|(value, _)| !written.contains_key(value));
    if let Some((value, at)) = missing {
        let what = format!("the write of {value} was acknowledged and is nowhere");
        return Finding::broken(case.journal.entries[*at].at, what, [*at]);
    }
    let last = acknowledged.iter().filter_map(|(value, at)| Some((written.get(value)?, at))).max();
    let Some((last, acknowledged_at)) = last else { return Finding::Held(0) };
    let settled = case.settled();
    for (who, (index, at)) in &ends {
        if who.is_some_and(|w| settled.contains(&w)) && index < last {
            let what = format!("node {who:?} has the log up to {index}, {last} was acknowledged");
            return Finding::broken(case.plan.end(), what, [*acknowledged_at, *at]);
        }
    }
    Finding::Held(acknowledged.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_lost_write_and_a_node_without_it_are_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Up);
        bench.op(1, Ask::Write { key: 1, value: 7 }, Done::At { index: 5, value: None });
        assert!(!bench.check(&INVARIANT).held(), "nobody applied it");
        bench.note(None, What::Set { index: 5, key: 1, value: 7 });
        bench.at(60_000_000).note(None, What::Heals { core: vec![0] });
        bench.at(75_000_000).note(0, What::State { index: 5, digest: 1 });
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, What::State { index: 4, digest: 1 });
        assert!(!bench.check(&INVARIANT).held(), "a node has less");
    }
}
