//! M2: what is offered is accepted or shed, and counted as such.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "M2",
    says: "offered = accepted + shed, as the node itself counts it",
    source: "chaos M2; design 4, admission",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut checked = 0;
    for (at, entry) in case.entries() {
        if let What::Admitted { offered, accepted, shed, counted } = entry.what {
            checked += 1;
            if offered != accepted + shed || counted != (offered, accepted, shed) {
                let what = format!(
                    "offered {offered}, accepted {accepted}, shed {shed}; counted {counted:?}"
                );
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
    fn shedding_that_is_not_counted_is_seen() {
        let admitted = |counted| What::Admitted { offered: 9, accepted: 7, shed: 2, counted };
        let mut bench = Bench::default();
        bench.note(0, admitted((9, 7, 2)));
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, admitted((9, 7, 1)));
        assert!(!bench.check(&INVARIANT).held());
    }
}
