//! E2: an event that comes again is known by its offset: a node judges it once in one life, and
//! again at all only where its workload changed owners or a node lost what it had written.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "E2",
    says: "events are judged again only after a change of owners or a crash",
    source: "chaos E2; design 4",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut lives = vec![0u32; case.plan.nodes.len()];
    let mut seen: BTreeMap<(u32, u64), Vec<(u32, u32, usize)>> = BTreeMap::new();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match entry.what {
            What::Up => {
                if let Some(life) = entry.who.and_then(|w| lives.get_mut(w as usize)) {
                    *life += 1;
                }
            }
            What::Verdict(verdict) => {
                let who = entry.who.unwrap_or_default();
                let life = lives.get(who as usize).copied().unwrap_or_default();
                let before = seen.entry((verdict.source, verdict.offset)).or_default();
                let same = before.iter().find(|(node, l, _)| (*node, *l) == (who, life));
                if let Some((.., first)) = same {
                    let what = format!(
                        "event {} of source {} was judged twice by one node",
                        verdict.offset, verdict.source
                    );
                    return Finding::broken(entry.at, what, [*first, at]);
                }
                before.push((who, life, at));
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
    fn judging_twice_is_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Up).note(0, What::Verdict(verdict(1)));
        bench.note(1, What::Verdict(verdict(1)));
        bench.note(0, What::Up).note(0, What::Verdict(verdict(1)));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(3));
        bench.note(0, What::Verdict(verdict(1)));
        assert!(!bench.check(&INVARIANT).held());
    }
}
