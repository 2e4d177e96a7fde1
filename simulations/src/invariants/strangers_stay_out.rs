//! A1: who has no certificate of the cluster gets nothing from any node.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "A1",
    says: "nobody without a good certificate of the cluster is answered",
    source: "chaos A1; design 6, fabric",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut knocked = 0;
    for (at, entry) in case.entries() {
        if let What::Knocked { way, entered } = &entry.what {
            if *entered {
                let what = format!("a stranger was let in with {way}");
                return Finding::broken(entry.at, what, [at]);
            }
            knocked += 1;
        }
    }
    Finding::Held(knocked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_stranger_that_is_let_in_is_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Knocked { way: "no-certificate", entered: false });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
        bench.note(0, What::Knocked { way: "another-cluster", entered: true });
        assert!(!bench.check(&INVARIANT).held());
    }
}
