//! D1: detection goes on when the learned detectors do not: what a rule knows is always found, and
//! nothing waits for voters for long.

use super::{Case, Finding, Invariant};
use crate::journal::{Truth, What};
use crate::plan::Micros;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "D1",
    says: "known bad events are found without voters, and no event waits for them",
    source: "chaos D1; design 5, fallback",
    bound: Some(Duration::from_secs(2)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut paused: Vec<Micros> = vec![0; case.plan.nodes.len()];
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match entry.what {
            What::Paused | What::Resumed => {
                if let Some(last) = entry.who.and_then(|w| paused.get_mut(w as usize)) {
                    *last = entry.at;
                }
            }
            What::Verdict(verdict) => {
                checked += 1;
                if verdict.truth == Truth::KnownBad && !verdict.threat {
                    return Finding::broken(entry.at, "a known bad event was let pass", [at]);
                }
                let stood = entry.who.and_then(|w| paused.get(w as usize)).copied();
                let stood = stood.unwrap_or_default() >= verdict.dealt;
                let waited = verdict.decided.saturating_sub(verdict.dealt);
                if waited > case.bound && !stood {
                    let what = format!("an event waited {} ms for its voters", waited / 1_000);
                    return Finding::broken(entry.at, what, [at]);
                }
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
    use crate::journal::Judged;

    #[test]
    fn a_known_bad_event_that_passes_and_one_that_waits_are_seen() {
        let judged = |threat, decided| {
            let truth = Truth::KnownBad;
            What::Verdict(Judged { truth, threat, dealt: 10, decided, ..verdict(1) })
        };
        let mut bench = Bench::default();
        bench.note(0, judged(true, 1_000_000));
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, judged(false, 1_000_000));
        assert!(!bench.check(&INVARIANT).held());
        let mut bench = Bench::default();
        bench.note(0, judged(true, 3_000_000));
        assert!(!bench.check(&INVARIANT).held());
    }
}
