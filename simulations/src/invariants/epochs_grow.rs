//! R6: no epoch is given out twice, and each is greater than all before it.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "R6",
    says: "each change of owners and each activation has an epoch of its own, and they grow",
    source: "chaos R5, O1; design 7, control log",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let (mut last, mut checked) = ((0, 0), 0);
    for (at, entry) in case.entries() {
        if let What::Epoch { epoch } = entry.what {
            if epoch <= last.0 {
                let what = format!("epoch {epoch} was given out after {}", last.0);
                return Finding::broken(entry.at, what, [last.1, at]);
            }
            (last, checked) = ((epoch, at), checked + 1);
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn an_epoch_that_is_given_out_twice_is_seen() {
        let mut bench = Bench::default();
        bench.note(None, What::Epoch { epoch: 7 }).note(None, What::Epoch { epoch: 8 });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(2));
        bench.note(None, What::Epoch { epoch: 8 });
        assert!(!bench.check(&INVARIANT).held());
    }
}
