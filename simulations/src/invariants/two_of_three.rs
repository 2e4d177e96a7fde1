//! D3: the voters decide only where two of them answered.

use super::{Case, Finding, Invariant};
use crate::journal::{Source, What};

pub(super) const INVARIANT: Invariant = Invariant {
    id: "D3",
    says: "the voters decide only where at least two of them answered",
    source: "design 1, ensemble vote",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut checked = 0;
    for (at, entry) in case.entries() {
        if let What::Verdict(verdict) = entry.what {
            checked += 1;
            if (verdict.by == Source::Ml) != (verdict.voted >= 2) {
                let what = format!("{:?} decided with {} voters", verdict.by, verdict.voted);
                return Finding::broken(entry.at, what, [at]);
            }
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
    fn a_vote_of_one_is_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Verdict(Judged { voted: 2, ..verdict(1) }));
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, What::Verdict(Judged { voted: 1, ..verdict(2) }));
        assert!(!bench.check(&INVARIANT).held());
    }
}
