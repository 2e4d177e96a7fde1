//! O2: soon after what broke is mended, every workload has a node that may act for it.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "O2",
    says: "every workload has one owner that may act, soon after the links are mended",
    source: "chaos O2; design 7, regions",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let Some(healed) = case.healed() else { return Finding::Held(0) };
    let deadline = healed + case.bound;
    if deadline > case.plan.end() {
        return Finding::Held(0);
    }
    let all = regions::spread::WORKLOADS;
    let mut acts = vec![0; case.plan.nodes.len()];
    let mut still = vec![false; case.plan.nodes.len()];
    let mut most = 0;
    for (_, entry) in case.entries() {
        if entry.at > healed {
            let ran = acts.iter().zip(&still).filter(|(_, still)| !**still);
            most = most.max(ran.map(|(acts, _)| *acts).sum());
        }
        if entry.at > deadline || most >= all {
            break;
        }
        let Some(node) = entry.who.map(|w| w as usize).filter(|w| *w < acts.len()) else {
            continue;
        };
        match entry.what {
            What::Acts { workloads } => acts[node] = workloads,
            What::Down => (acts[node], still[node]) = (0, false),
            What::Paused => still[node] = true,
            What::Resumed => still[node] = false,
            _ => {}
        }
    }
    if most >= all {
        return Finding::Held(1);
    }
    let what = format!("{most} of {all} workloads have an owner that acts");
    Finding::broken(deadline, what, [])
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_workload_that_stays_without_an_owner_is_seen() {
        let heals = What::Heals { core: vec![0, 1] };
        let mut bench = Bench::default();
        bench.note(0, What::Acts { workloads: 32 }).note(1, What::Acts { workloads: 31 });
        bench.at(60_000_000).note(None, heals);
        bench.at(69_000_000).note(1, What::Acts { workloads: 30 });
        assert!(!bench.check(&INVARIANT).held());
        bench.note(1, What::Acts { workloads: 32 });
        bench.note(1, What::Acts { workloads: 32 });
        assert!(bench.check(&INVARIANT).held());
    }
}
