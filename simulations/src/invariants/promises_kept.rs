//! R4: what others rely on is on the disk before it is said: a vote, and a log up to an index.
//! Where a node says it, its disks are looked at as they would be found after a power cut.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "R4",
    says: "nothing is answered or applied that a power cut would take back",
    source: "chaos R4; Raft, figure 2",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut kept = 0;
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Broken { invariant: "R4", what } => {
                return Finding::broken(entry.at, what.clone(), [at]);
            }
            What::Promised { checked } => kept += checked,
            _ => {}
        }
    }
    Finding::Held(kept)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_promise_that_is_not_on_the_disk_is_seen() {
        let mut bench = Bench::default();
        bench.note(None, What::Promised { checked: 7 });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(7));
        bench.note(1, What::Broken { invariant: "R4", what: "a vote".into() });
        assert!(!bench.check(&INVARIANT).held());
    }
}
