//! R5, R6: a verdict comes from a bundle that its region used when the event was on its way, or had
//! used until a lease before.
//!
//! A node hears of an activation as it hears of everything in the log; one that hears nothing loses
//! its leases and judges nothing more. So a bundle that was replaced cannot judge for longer than a
//! lease after that.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use crate::plan::Micros;
use regions::lease::Terms;
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "R5",
    says: "verdicts come from the bundle in use, or the one before for a lease at most",
    source: "chaos R5, R6; design 8",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let lease = Terms::default().lapse().as_micros() as Micros;
    // By region: bundles with the time until which each was in use.
    let mut current: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    let mut until: BTreeMap<(usize, u64), Micros> = BTreeMap::new();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match entry.what {
            What::Uses { region, version, epoch } => {
                let before = current.insert(region, (version, epoch)).unwrap_or_default();
                if epoch < before.1 {
                    let what = format!("epoch {epoch} of bundles after {}", before.1);
                    return Finding::broken(entry.at, what, [at]);
                }
                until.insert((region, before.0), entry.at);
            }
            What::Verdict(verdict) => {
                let node = entry.who.map_or(0, |w| w as usize);
                let region = case.plan.nodes[node].region;
                let used = current.get(&region).map_or(0, |c| c.0);
                let ended = until.get(&(region, verdict.bundle)).copied();
                let fine = used == verdict.bundle
                    || ended.is_some_and(|ended| ended + lease >= verdict.dealt);
                if !fine {
                    let what = format!(
                        "bundle {} judged at {}, region {region} used {used} since {ended:?}",
                        verdict.bundle, verdict.dealt
                    );
                    return Finding::broken(entry.at, what, [at]);
                }
                checked += 1;
            }
            _ => {}
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::{Bench, verdict};
    use super::*;

    #[test]
    fn a_bundle_that_was_taken_back_may_not_judge_for_long() {
        let mut bench = Bench::default();
        bench.note(None, What::Uses { region: 0, version: 1, epoch: 1 });
        bench.at(5_000_000).note(None, What::Uses { region: 0, version: 2, epoch: 2 });
        let old = |dealt| What::Verdict(crate::journal::Judged { bundle: 1, dealt, ..verdict(1) });
        bench.at(7_000_000).note(0, old(7_000_000));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
        bench.at(7_400_000).note(0, old(7_400_000));
        assert!(!bench.check(&INVARIANT).held());
    }

    #[test]
    fn an_epoch_that_falls_is_seen() {
        let mut bench = Bench::default();
        bench.note(None, What::Uses { region: 0, version: 1, epoch: 5 });
        bench.note(None, What::Uses { region: 0, version: 2, epoch: 4 });
        assert!(!bench.check(&INVARIANT).held());
    }
}
