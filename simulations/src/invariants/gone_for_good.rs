//! C6: closed threats go only once all who count know of it, and do not come back.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "C6",
    says: "no threat is removed that others lack, and none comes back as it was",
    source: "chaos C3; design 7, threat state",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut collected = 0;
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Broken { invariant: "C6", what } => {
                return Finding::broken(entry.at, what.clone(), [at]);
            }
            What::Sometimes("closed-threat-collected") => collected += 1,
            _ => {}
        }
    }
    Finding::Held(collected)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_threat_that_comes_back_is_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Sometimes("closed-threat-collected"));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
        bench.note(1, What::Broken { invariant: "C6", what: "threat 7 came back".into() });
        assert!(!bench.check(&INVARIANT).held());
    }
}
