//! M1: no queue is ever longer than its limit.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "M1",
    says: "no queue outgrows its limit",
    source: "chaos M1; design 3, everything is bounded",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut checked = 0;
    for (at, entry) in case.entries() {
        if let What::Queue { name, most, limit } = entry.what {
            checked += 1;
            if most > limit {
                let what = format!("{most} were in the queue of {name}, its limit is {limit}");
                return Finding::broken(entry.at, what, [at]);
            }
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_queue_without_a_bound_is_seen() {
        let queue = |most| What::Queue { name: "detection", most, limit: 8 };
        let mut bench = Bench::default();
        bench.note(0, queue(8));
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, queue(9));
        assert!(!bench.check(&INVARIANT).held());
    }
}
