//! R1: what was written is read; nobody reads what is older than what was acknowledged before.
//!
//! Each value is written once, and the log's order is the order of the writes, so that a witness
//! is known and checking takes one pass: an operation that began after another had ended must lie
//! after it in the log. (Horn, Kroening: "Faster linearizability checking via
//! P-compositionality", FORTE 2015, has the general case.)

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "R1",
    says: "the control log is linearizable",
    source: "chaos R1; design 7, consensus",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut sets: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    let mut written: BTreeMap<u64, u64> = BTreeMap::new();
    for (at, entry) in case.entries() {
        if let What::Set { index, key, value } = entry.what {
            sets.entry(key).or_default().push((index, value));
            if written.insert(value, index).is_some() {
                let what = format!("the write of {value} was done again, at {index}");
                return Finding::broken(entry.at, what, [at]);
            }
        }
    }
    // The greatest index that was acknowledged so far, and the entry that did.
    let mut floor = (0, 0);
    let mut open: BTreeMap<u64, (usize, (u64, usize), &Ask)> = BTreeMap::new();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Asked { op, ask } => {
                open.insert(*op, (at, floor, ask));
            }
            What::Answered { op, done } => {
                let Some((asked, before, ask)) = open.remove(op) else { continue };
                let Done::At { index, value } = *done else { continue };
                let evidence = vec![before.1, asked, at];
                let index = match ask {
                    Ask::Write { value, .. } => {
                        let Some(index) = written.get(value).copied() else {
                            let what = format!("the write of {value} was acknowledged, never done");
                            return Finding::broken(entry.at, what, evidence);
                        };
                        if index <= before.0 {
                            let what = format!(
                                "a write lies at {index}; {} was acknowledged before it began",
                                before.0
                            );
                            return Finding::broken(entry.at, what, evidence);
                        }
                        index
                    }
                    Ask::Read { key } => {
                        if index < before.0 {
                            let what = format!(
                                "a read saw the log up to {index}; {} was acknowledged before",
                                before.0
                            );
                            return Finding::broken(entry.at, what, evidence);
                        }
                        let all = sets.get(key).map_or(&[][..], Vec::as_slice);
                        let last = all.iter().rev().find(|(at, _)| *at <= index).map(|s| s.1);
                        if last != value {
                            let what = format!("key {key} was read as {value:?}, it was {last:?}");
                            return Finding::broken(entry.at, what, evidence);
                        }
                        index
                    }
                    _ => continue,
                };
                checked += 1;
                if index > floor.0 {
                    floor = (index, at);
                }
            }
            _ => {}
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    fn write(value: u64) -> Ask {
        Ask::Write { key: 1, value }
    }

    #[test]
    fn a_read_of_an_old_value_is_seen() {
        let mut bench = Bench::default();
        bench.op(1, write(7), Done::At { index: 2, value: None });
        bench.note(None, What::Set { index: 2, key: 1, value: 7 });
        bench.op(2, write(8), Done::At { index: 3, value: None });
        bench.note(None, What::Set { index: 3, key: 1, value: 8 });
        bench.op(3, Ask::Read { key: 1 }, Done::At { index: 3, value: Some(8) });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(3));
        bench.op(4, Ask::Read { key: 1 }, Done::At { index: 2, value: Some(7) });
        assert!(!bench.check(&INVARIANT).held(), "a stale read");
    }

    #[test]
    fn a_value_that_was_not_there_and_a_write_that_was_not_done_are_seen() {
        let mut bench = Bench::default();
        bench.op(1, Ask::Read { key: 1 }, Done::At { index: 2, value: Some(7) });
        assert!(!bench.check(&INVARIANT).held());
        let mut bench = Bench::default();
        bench.op(1, write(7), Done::At { index: 2, value: None });
        assert!(!bench.check(&INVARIANT).held());
    }
}
