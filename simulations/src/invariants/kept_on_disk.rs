//! E4: what was acknowledged to a sender is on a disk, and is counted there once. Nodes that have
//! copies of the same verdicts say the same of them.

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "E4",
    says: "every acknowledged event has its verdict on a disk, once",
    source: "chaos E1, E2; design 4, durability",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut asked = BTreeMap::new();
    let mut acknowledged: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    // By source, workload and end.
    let mut kept: BTreeMap<(u32, u32, u64), (u64, u64, usize)> = BTreeMap::new();
    let mut reborn = 0;
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Asked { op, ask: Ask::Judge { source, end, .. } } => {
                asked.insert(*op, (*source, *end));
            }
            What::Answered { op, done: Done::Judged } => {
                if let Some((source, end)) = asked.get(op) {
                    acknowledged.insert(*source, (*end, at));
                }
            }
            What::Reborn => reborn += 1,
            What::Kept { workload, source, start, end, events } => {
                let key = (*source, *workload, *end);
                let first = *kept.entry(key).or_insert((*start, *events, at));
                if first.1 != *events {
                    let what = format!(
                        "two nodes count {} and {events} events of source {source} up to {end}",
                        first.1
                    );
                    return Finding::broken(entry.at, what, [first.2, at]);
                }
            }
            _ => {}
        }
    }
    // Two disks that are gone, or the one of a region, may have been all that had it.
    let alone = (0..case.plan.regions.len())
        .any(|region| case.plan.nodes.iter().filter(|n| n.region == region).count() < 2);
    let may_lack = reborn > usize::from(!alone);
    let mut checked = 0;
    for (source, (end, at)) in acknowledged {
        let of = kept.range((source, 0, 0)..=(source, u32::MAX, u64::MAX));
        let judged: u64 = of.filter(|((.., to), _)| *to <= end).map(|(_, (_, n, _))| n).sum();
        if judged > end || (judged < end && !may_lack) {
            let what = format!(
                "{end} events of source {source} were acknowledged, disks have {judged} verdicts \
                 on them"
            );
            return Finding::broken(case.plan.end(), what, [at]);
        }
        checked += end;
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    fn kept(workload: u32, start: u64, end: u64, events: u64) -> What {
        What::Kept { workload, source: 1, start, end, events }
    }

    #[test]
    fn a_lost_event_and_one_that_counts_twice_are_seen() {
        let ask = Ask::Judge { source: 1, start: 0, end: 8 };
        let mut bench = Bench::default();
        bench.op(1, ask, Done::Judged);
        bench.note(0, kept(3, 0, 8, 5));
        assert!(!bench.check(&INVARIANT).held(), "three are lost");
        // Copies count once, and so does what was not acknowledged: never.
        bench.note(1, kept(3, 0, 8, 5)).note(1, kept(4, 0, 8, 3)).note(2, kept(4, 8, 16, 2));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(8));
        bench.note(2, kept(4, 0, 4, 2));
        assert!(!bench.check(&INVARIANT).held(), "two are there twice");
    }

    #[test]
    fn nodes_that_count_otherwise_are_seen() {
        let mut bench = Bench::default();
        bench.note(0, kept(3, 0, 8, 5)).note(1, kept(3, 0, 8, 4));
        assert!(!bench.check(&INVARIANT).held());
    }
}
