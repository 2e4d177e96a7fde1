//! M2: what is offered is accepted or shed, and counted as such; what is done gives its room back.

use super::{Case, Finding, Invariant};
use crate::journal::What;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "M2",
    says: "offered = accepted + shed as the node counts it, and room is held for what is in hand",
    source: "chaos M2; design 4, admission",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut checked = 0;
    for (at, entry) in case.entries() {
        if let What::Admitted { offered, accepted, shed, counted, rooms } = entry.what {
            checked += 1;
            if offered != accepted + shed || counted != (offered, accepted, shed) {
                let what = format!(
                    "offered {offered}, accepted {accepted}, shed {shed}; counted {counted:?}"
                );
                return Finding::broken(entry.at, what, [at]);
            }
            let (held, in_hand) = rooms;
            if held != in_hand {
                let what = format!("room is held for {held} batches, {in_hand} are in hand");
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
        let admitted = |counted, rooms| {
            let (offered, accepted, shed) = (9, 7, 2);
            What::Admitted { offered, accepted, shed, counted, rooms }
        };
        let held = |what| {
            let mut bench = Bench::default();
            bench.note(0, what);
            bench.check(&INVARIANT).held()
        };
        assert!(held(admitted((9, 7, 2), (1, 1))));
        assert!(!held(admitted((9, 7, 1), (1, 1))), "one was shed in silence");
        assert!(!held(admitted((9, 7, 2), (1, 0))), "room for what is done");
    }
}
