//! X1: no panic, no storm of events, no state that cannot be read again.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "X1",
    says: "no panic, no storm, nothing that a node cannot read again",
    source: "chaos X1, X3",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    for (at, entry) in case.entries() {
        // What has an invariant of its own is told there.
        if let What::Broken { invariant, what } = &entry.what
            && *invariant != "R4"
        {
            return Finding::broken(entry.at, format!("{invariant}: {what}"), [at]);
        }
    }
    Finding::Held(1)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn what_broke_where_it_happened_is_seen() {
        let mut bench = Bench::default();
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, What::Broken { invariant: "X3", what: "no snapshot".into() });
        assert!(!bench.check(&INVARIANT).held());
    }
}
