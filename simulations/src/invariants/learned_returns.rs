//! D2: when the learned detectors can answer again, they decide again.

use super::{Case, Finding, Invariant};
use crate::journal::{Source, What};
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "D2",
    says: "the voters decide again soon after they are back",
    source: "chaos D2; design 5, fallback",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let Some(healed) = case.healed() else { return Finding::Held(0) };
    let settled = case.settled();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        let What::Verdict(verdict) = entry.what else { continue };
        let there = entry.who.is_some_and(|who| settled.contains(&who));
        if !there || verdict.dealt < healed + case.bound {
            continue;
        }
        checked += 1;
        if verdict.by == Source::Rules {
            let what = "the rules decide alone although nothing is broken any more";
            return Finding::broken(entry.at, what, [at]);
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::{Bench, verdict};
    use super::*;
    use crate::journal::Judged;

    #[test]
    fn rules_that_go_on_alone_are_seen() {
        let judged = |by| What::Verdict(Judged { by, dealt: 71_000_000, ..verdict(1) });
        let mut bench = Bench::default();
        bench.note(0, What::Up).at(60_000_000).note(None, What::Heals { core: vec![0] });
        bench.at(71_000_000).note(0, judged(Source::Ml));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
        bench.note(0, judged(Source::Rules));
        assert!(!bench.check(&INVARIANT).held());
    }
}
