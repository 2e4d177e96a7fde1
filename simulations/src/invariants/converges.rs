//! C1, C3: nodes that can talk know the same threats soon after the links were mended.

use super::{Case, Finding, Invariant};
use crate::journal::{Entry, What};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "C3",
    says: "nodes that can talk know the same threats",
    source: "chaos C1, C3; design 7, anti-entropy",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    if case.plan.links.iter().flatten().any(|link| link.loss > 0.0) {
        // Where messages get lost all the time, what was written last may still be on its way.
        return Finding::Held(0);
    }
    if !case.spreads() {
        return Finding::Held(0);
    }
    // Who comes back late brings what it alone knows, and the others get it from each other.
    let comes = |e: &&Entry| matches!(e.what, What::Up | What::Resumed);
    let last = case.journal.entries.iter().rev().find(comes).map(|e| e.at);
    if last.is_some_and(|last| last + case.bound > case.plan.end()) {
        return Finding::Held(0);
    }
    let settled = case.settled();
    let (mut known, mut checked): (BTreeMap<_, (u64, usize)>, _) = (BTreeMap::new(), 0);
    for (at, entry) in case.entries() {
        let What::Knows { digest, floor, threats } = entry.what else { continue };
        if !entry.who.is_some_and(|who| settled.contains(&who)) {
            continue;
        }
        checked += 1;
        // Nodes of which one has not read of a new floor yet differ by what is below it.
        let (first, before) = *known.entry(floor).or_insert((digest, at));
        if first != digest {
            let what = format!("two nodes know different threats, the second {threats}");
            return Finding::broken(entry.at, what, [before, at]);
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn nodes_that_know_different_threats_are_seen() {
        let knows = |digest| What::Knows { digest, floor: None, threats: 1 };
        let mut bench = Bench::default();
        bench.note(0, What::Up).note(1, What::Up);
        bench.at(60_000_000).note(None, What::Heals { core: vec![0, 1] });
        bench.at(75_000_000).note(0, knows(1)).note(1, knows(1)).note(2, knows(3));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(2), "a node that is down is left out");
        bench.note(1, knows(2));
        assert!(!bench.check(&INVARIANT).held());
        bench.plan.tuning.gossip_forgotten = 0.1;
        assert!(bench.check(&INVARIANT).held(), "three comparisons each");
        bench.plan.tuning.compare_every = 500_000;
        assert!(!bench.check(&INVARIANT).held(), "thirty comparisons each");
        bench.note(2, What::Up);
        assert!(bench.check(&INVARIANT).held(), "a node came a moment ago");
    }
}
