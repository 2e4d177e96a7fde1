//! C5: a threat counts each event once, however often it was told or judged.

use super::{Case, Finding, Invariant};
use crate::journal::{Truth, What};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "C5",
    says: "a threat counts no event twice",
    source: "design 4, counts; chaos C2",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut judged: BTreeMap<(u32, bool, u32), BTreeSet<u64>> = BTreeMap::new();
    // Of what a node judged and did not write down before it ended there is no entry.
    let slack = in_flight(case);
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match entry.what {
            What::Verdict(verdict) if verdict.threat => {
                let key = (verdict.host, verdict.truth == Truth::KnownBad, verdict.source);
                judged.entry(key).or_default().insert(verdict.offset);
            }
            What::Counted { host, known_bad, source, verdicts } => {
                let events = judged.get(&(host, known_bad, source)).map_or(0, BTreeSet::len);
                if verdicts > events as u64 + slack {
                    let what = format!("{verdicts} verdicts are counted of {events} events");
                    return Finding::broken(entry.at, what, [at]);
                }
                checked += 1;
            }
            _ => {}
        }
    }
    Finding::Held(checked)
}

/// Events that may have been folded and not noted, since a node ended in between.
fn in_flight(case: &Case<'_>) -> u64 {
    let ends = |what: &What| matches!(what, What::Down);
    let downs = case.journal.entries.iter().filter(|e| ends(&e.what)).count() as u64;
    let batch = case.plan.workloads.iter().map(|w| u64::from(w.batch)).max().unwrap_or(1);
    // What is under way at the very end, too.
    (downs + 1) * batch
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::{Bench, verdict};
    use super::*;
    use crate::journal::Judged;

    #[test]
    fn counting_twice_is_seen() {
        let counted = |verdicts| What::Counted { host: 5, known_bad: true, source: 1, verdicts };
        let mut bench = Bench::default();
        for offset in 1..=4 {
            let judged = Judged { threat: true, truth: Truth::KnownBad, ..verdict(offset) };
            bench.note(0, What::Verdict(judged));
        }
        bench.note(0, counted(4));
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, counted(8));
        assert!(!bench.check(&INVARIANT).held());
    }
}
