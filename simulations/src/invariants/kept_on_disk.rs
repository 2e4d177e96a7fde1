//! E4: what was acknowledged to a sender is on a disk, and no disk counts it twice. Nodes that have
//! the same range say the same of it.
//!
//! A node that takes over may judge again what a former owner judged and told nobody, and may cut it
//! into other ranges: two disks may count one event, each once.

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "E4",
    says: "every acknowledged event has its verdict on a disk, and no disk counts it twice",
    source: "chaos E1, E2; design 4, durability",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut asked = BTreeMap::new();
    let mut acknowledged: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    // By source and workload: ranges with how many events they hold, and where it was noted.
    let mut kept: BTreeMap<(u32, u32), BTreeMap<(u64, u64), (u64, usize)>> = BTreeMap::new();
    // By node, source and workload: the end of its last range.
    let mut last: BTreeMap<(Option<u32>, u32, u32), (u64, usize)> = BTreeMap::new();
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
                let before = last.insert((entry.who, *source, *workload), (*end, at));
                if let Some((before, first)) = before.filter(|(before, _)| before > start) {
                    let what = format!(
                        "a disk counts events of source {source} up to {before}, and from {start} \
                         on again"
                    );
                    return Finding::broken(entry.at, what, [first, at]);
                }
                let ranges = kept.entry((*source, *workload)).or_default();
                let (known, first) = *ranges.entry((*start, *end)).or_insert((*events, at));
                if known != *events {
                    let what = format!(
                        "two disks count {known} and {events} events of source {source} from \
                         {start} to {end}"
                    );
                    return Finding::broken(entry.at, what, [first, at]);
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
        let of = kept.range((source, 0)..=(source, u32::MAX));
        let judged: u64 = of.map(|(_, ranges)| covered(ranges, end)).sum();
        if judged < end && !may_lack {
            let what = format!(
                "{end} events of source {source} were acknowledged, disks have verdicts on {judged}"
            );
            return Finding::broken(case.plan.end(), what, [at]);
        }
        checked += end;
    }
    Finding::Held(checked)
}

/// Events before an offset that ranges hold, those of a range within another one once. Where two
/// overlap in part nobody can tell which events are in both: all are counted.
fn covered(ranges: &BTreeMap<(u64, u64), (u64, usize)>, before: u64) -> u64 {
    let begun = ranges.iter().filter(|((start, _), _)| *start < before);
    let mut begun: Vec<_> =
        begun.map(|((start, end), (count, _))| (*start, *end, *count)).collect();
    begun.sort_unstable_by_key(|(start, end, _)| (*start, Reverse(*end)));
    let (mut upto, mut events) = (0, 0);
    for (_, end, count) in begun {
        if end > upto {
            (upto, events) = (end, events + count);
        }
    }
    events
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
        // A copy is no other event.
        bench.note(1, kept(3, 0, 8, 5));
        assert!(!bench.check(&INVARIANT).held(), "three are lost still");
        bench.note(1, kept(4, 0, 8, 3)).note(2, kept(4, 8, 16, 2));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(8));
        // Another node judged a part of it again.
        bench.note(3, kept(4, 0, 4, 2));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(8));
        bench.note(2, kept(4, 12, 20, 2));
        assert!(!bench.check(&INVARIANT).held(), "a disk has some twice");
    }

    #[test]
    fn nodes_that_count_otherwise_are_seen() {
        let mut bench = Bench::default();
        bench.note(0, kept(3, 0, 8, 5)).note(1, kept(3, 0, 8, 4));
        assert!(!bench.check(&INVARIANT).held());
    }
}
