//! E3: a node judges the events of one source and workload in the source's order.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "E3",
    says: "the events of a source are judged in its order",
    source: "chaos E3; design 4",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut last: BTreeMap<(Option<u32>, u32, u32), (u64, usize)> = BTreeMap::new();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        match entry.what {
            What::Up => last.retain(|(node, ..), _| *node != entry.who),
            What::Verdict(verdict) => {
                let key = (entry.who, verdict.workload, verdict.source);
                let before = last.insert(key, (verdict.offset, at));
                if let Some((offset, first)) = before.filter(|(o, _)| *o >= verdict.offset) {
                    let what = format!("event {} was judged after {offset}", verdict.offset);
                    return Finding::broken(entry.at, what, [first, at]);
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
    fn another_order_is_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Verdict(verdict(1))).note(0, What::Verdict(verdict(2)));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(2));
        bench.note(0, What::Verdict(verdict(1)));
        assert!(!bench.check(&INVARIANT).held());
    }
}
