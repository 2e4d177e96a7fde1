//! T1: an actor that failed is back soon.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "T1",
    says: "an actor that failed is up again soon",
    source: "chaos T1; design 6",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut down: BTreeMap<(Option<u32>, &str), usize> = BTreeMap::new();
    let mut stood: BTreeMap<Option<u32>, u64> = BTreeMap::new();
    let mut checked = 0;
    let late = |since: usize, now: u64, stood: &BTreeMap<Option<u32>, u64>| {
        let entry = &case.journal.entries[since];
        let from = entry.at.max(stood.get(&entry.who).copied().unwrap_or_default());
        now.saturating_sub(from) > case.bound
    };
    for (at, entry) in case.entries() {
        match entry.what {
            What::Down => down.retain(|(node, _), _| *node != entry.who),
            What::Paused | What::Resumed => {
                stood.insert(entry.who, entry.at);
            }
            What::ActorDown { path } => {
                down.entry((entry.who, path)).or_insert(at);
            }
            What::ActorUp { path } => {
                let since = down.remove(&(entry.who, path));
                if let Some(since) = since.filter(|since| late(*since, entry.at, &stood)) {
                    return Finding::broken(entry.at, format!("{path} was late"), [since, at]);
                }
                checked += 1;
            }
            _ => {}
        }
    }
    let up = case.up_at_end();
    for ((node, path), since) in &down {
        let runs = node.and_then(|n| up.get(n as usize)).is_some_and(Option::is_some);
        if runs && late(*since, case.plan.end(), &stood) {
            let what = format!("{path} did not come back");
            return Finding::broken(case.plan.end(), what, [*since]);
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn an_actor_that_stays_down_is_seen() {
        let path = "detection/0/forest";
        let mut bench = Bench::default();
        bench.note(0, What::Up).note(0, What::ActorDown { path });
        assert!(!bench.check(&INVARIANT).held(), "it never came back");
        bench.note(0, What::ActorUp { path });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
        bench.note(0, What::ActorDown { path }).at(30_000_000).note(0, What::ActorUp { path });
        assert!(!bench.check(&INVARIANT).held(), "it was late");
    }
}
