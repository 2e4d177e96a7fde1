//! E1: whatever was acknowledged to a sender has a verdict, and the ledger that says so survives.

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "E1",
    says: "every acknowledged event has a verdict, and none is lost",
    source: "chaos E1; design 4",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut judged: BTreeMap<(u32, u64), u32> = BTreeMap::new();
    let mut asked = BTreeMap::new();
    let mut acknowledged: BTreeMap<(u32, u32), (u64, usize)> = BTreeMap::new();
    let mut ledger: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let (mut reborn, mut checked) = (0, 0);
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Verdict(verdict) => {
                judged.insert((verdict.source, verdict.offset), verdict.workload);
            }
            What::Asked { op, ask: Ask::Judge { source, start, end } } => {
                asked.insert(*op, (*source, *start, *end));
            }
            What::Answered { op, done: Done::Judged } => {
                let Some(&(source, start, end)) = asked.get(op) else { continue };
                for offset in start + 1..=end {
                    let Some(workload) = judged.get(&(source, offset)) else {
                        let what = format!("event {offset} of source {source} has no verdict");
                        return Finding::broken(entry.at, what, [at]);
                    };
                    acknowledged.insert((*workload, source), (offset, at));
                    checked += 1;
                }
            }
            What::Reborn => reborn += 1,
            What::Ledger { workload, source, end } => {
                let known = ledger.entry((*workload, *source)).or_default();
                *known = (*known).max(*end);
            }
            _ => {}
        }
    }
    // Two disks that are gone may have been all that had it.
    let alone = (0..case.plan.regions.len())
        .any(|region| case.plan.nodes.iter().filter(|n| n.region == region).count() < 2);
    if reborn > usize::from(!alone) {
        return Finding::Held(checked);
    }
    for ((workload, source), (offset, at)) in acknowledged {
        let known = ledger.get(&(workload, source)).copied().unwrap_or_default();
        if known < offset {
            let what = format!(
                "event {offset} of source {source} was acknowledged, no disk knows of more than \
                 {known}"
            );
            return Finding::broken(case.plan.end(), what, [at]);
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::{Bench, verdict};
    use super::*;

    #[test]
    fn an_event_without_a_verdict_and_a_lost_one_are_seen() {
        let ask = Ask::Judge { source: 1, start: 0, end: 1 };
        let mut bench = Bench::default();
        bench.op(1, ask.clone(), Done::Judged);
        assert!(!bench.check(&INVARIANT).held(), "no verdict");
        let mut bench = Bench::default();
        bench.note(0, What::Verdict(verdict(1))).op(1, ask, Done::Judged);
        assert!(!bench.check(&INVARIANT).held(), "in no ledger");
        bench.note(0, What::Ledger { workload: 3, source: 1, end: 1 });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
    }
}
