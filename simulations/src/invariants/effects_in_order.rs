//! O1: no two owners act for one workload. What is judged is not who thinks that it owns, but what
//! is done: effects begin in the order of their epochs, and a receiver that knows epochs lets none
//! through that is lower than one before.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use std::collections::BTreeMap;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "O1",
    says: "effects of a workload begin, and are let through, in the order of epochs",
    source: "chaos O1; design 7, leases and fencing",
    bound: None,
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let mut begun: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    let mut let_in: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    let mut checked = 0;
    for (at, entry) in case.entries() {
        let (known, workload, epoch, how) = match entry.what {
            What::Effect { workload, epoch } => (&mut begun, workload, epoch, "begun"),
            What::Received { workload, epoch, accepted: true } => {
                (&mut let_in, workload, epoch, "let through")
            }
            _ => continue,
        };
        checked += 1;
        let before = known.insert(workload, (epoch, at));
        if let Some((higher, first)) = before.filter(|(e, _)| *e > epoch) {
            let what = format!(
                "an effect of workload {workload} was {how} under epoch {epoch} after {higher}"
            );
            return Finding::broken(entry.at, what, [first, at]);
        }
    }
    Finding::Held(checked)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_former_owner_that_acts_is_seen() {
        let effect = |epoch| What::Effect { workload: 3, epoch };
        let mut bench = Bench::default();
        bench.note(0, effect(1)).note(1, effect(2));
        assert_eq!(bench.check(&INVARIANT), Finding::Held(2));
        bench.note(0, effect(1));
        assert!(!bench.check(&INVARIANT).held());
    }

    #[test]
    fn a_receiver_that_lets_a_former_owner_through_is_seen() {
        let received = |epoch, accepted| What::Received { workload: 3, epoch, accepted };
        let mut bench = Bench::default();
        bench.note(0, received(2, true)).note(0, received(1, false));
        assert!(bench.check(&INVARIANT).held());
        bench.note(0, received(1, true));
        assert!(!bench.check(&INVARIANT).held());
    }
}
