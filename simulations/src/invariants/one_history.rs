//! R3: all nodes apply the same entries in the same order, and a term has one leader.
//!
//! The latter in virtual time alone, where consensus is as in Raft's paper. openraft's leaders are
//! ordered by term and then by node: one that is elected in the term of another has the greater id,
//! and takes its place as one of a later term would.

use super::{Case, Finding, Invariant};
use crate::experiment::World;
use crate::journal::What;
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "R3",
    says: "one leader a term, one history on all nodes, one state at one index",
    source: "chaos R3; Raft, figure 3",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut leaders: BTreeMap<u64, (Option<u32>, usize)> = BTreeMap::new();
    let mut chains: Vec<Option<(u64, usize)>> = Vec::new();
    let mut last: BTreeMap<Option<u32>, u64> = BTreeMap::new();
    let mut states: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match entry.what {
            What::Leads { term } if case.plan.world == World::Virtual => {
                let first = *leaders.entry(term).or_insert((entry.who, at));
                if first.0 != entry.who {
                    let what = format!("term {term} has two leaders");
                    return Finding::broken(entry.at, what, [first.1, at]);
                }
            }
            What::Up => {
                last.remove(&entry.who);
            }
            What::Applied { index, chain } | What::Installed { index, chain } => {
                let before = last.insert(entry.who, index);
                let next = matches!(entry.what, What::Installed { .. })
                    || before.is_none_or(|before| index == before + 1);
                if !next {
                    let what = format!("entry {index} was applied after {before:?}");
                    return Finding::broken(entry.at, what, [at]);
                }
                let place = index as usize;
                if chains.len() <= place {
                    chains.resize(place + 1, None);
                }
                let known = *chains[place].get_or_insert((chain, at));
                if known.0 != chain {
                    let what = format!("entry {index} is not the same on two nodes");
                    return Finding::broken(entry.at, what, [known.1, at]);
                }
                checked += 1;
            }
            What::State { index, digest } => {
                let known = *states.entry(index).or_insert((digest, at));
                if known.0 != digest {
                    let what = format!("the state at {index} is not the same on two nodes");
                    return Finding::broken(entry.at, what, [known.1, at]);
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

    #[test]
    fn two_leaders_of_a_term_are_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Leads { term: 3 }).note(1, What::Leads { term: 4 });
        assert!(bench.check(&INVARIANT).held());
        bench.note(1, What::Leads { term: 3 });
        assert!(!bench.check(&INVARIANT).held());
        bench.plan.world = World::InProcess;
        assert!(bench.check(&INVARIANT).held());
    }

    #[test]
    fn another_entry_a_gap_and_another_state_are_seen() {
        let applied = |index, chain| What::Applied { index, chain };
        let mut bench = Bench::default();
        bench.note(0, applied(1, 5)).note(1, applied(1, 5));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(2));
        bench.note(2, applied(1, 6));
        assert!(!bench.check(&INVARIANT).held(), "another entry");
        let mut bench = Bench::default();
        bench.note(0, applied(1, 5)).note(0, applied(3, 5));
        assert!(!bench.check(&INVARIANT).held(), "a gap");
        let mut bench = Bench::default();
        bench.note(0, What::State { index: 9, digest: 1 });
        bench.note(1, What::State { index: 9, digest: 2 });
        assert!(!bench.check(&INVARIANT).held(), "another state");
    }
}
