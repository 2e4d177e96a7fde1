//! O2: soon after what broke is mended, every workload has a node that may act for it.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use crate::plan::Micros;
use cluster::coordinator::limits::{BEAT_EVERY, QUIET, ROUND_TIME};
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
    let deadline = healed + case.bound + gathering(case, healed).max(believing(case));
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

/// Time beyond the bound until failures can be agreed on. Voters that lost their disks say nothing
/// any more, so that a majority may need one that was started when all was mended. It counts once
/// the others have heard it for some beats, and the leader waits once more after that, in case
/// others come.
fn gathering(case: &Case<'_>, healed: Micros) -> Micros {
    let votes = |who: Option<u32>| {
        who.and_then(|who| case.plan.nodes.get(who as usize)).is_some_and(|node| node.voter)
    };
    let (mut lost, mut started) = (false, false);
    for (_, entry) in case.entries().filter(|(_, entry)| votes(entry.who)) {
        match entry.what {
            What::Reborn => lost = true,
            What::Up => started |= entry.at >= healed,
            _ => {}
        }
    }
    if lost && started { QUIET.as_micros() as Micros } else { 0 }
}

/// Time beyond the bound until failures can be agreed on where links fell silent again and again
/// before, and no voter can be spared: until enough of them believe each other, and have said so
/// with their next beat, the leader moves nothing. It waits once more then, and has its round.
fn believing(case: &Case<'_>) -> Micros {
    let owed = case.entries().find_map(|(_, entry)| match entry.what {
        What::Owed(beats) => Some(beats),
        _ => None,
    });
    let Some(beats) = owed else { return 0 };
    let time = BEAT_EVERY * (beats + 1) + QUIET + ROUND_TIME;
    (time.as_micros() as Micros).saturating_sub(case.bound)
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

    #[test]
    fn a_majority_may_gather_first_where_voters_lost_their_disks() {
        let heals = What::Heals { core: vec![0, 1] };
        let mut bench = Bench::default();
        bench.note(0, What::Acts { workloads: 32 }).note(1, What::Reborn);
        bench.at(60_000_000).note(None, heals).note(0, What::Up);
        bench.at(71_000_000).note(1, What::Acts { workloads: 32 });
        assert!(!bench.check(&INVARIANT).held(), "it is not known to last");
        bench.note(1, What::Acts { workloads: 32 });
        assert!(bench.check(&INVARIANT).held());
    }

    #[test]
    fn voters_may_believe_each_other_first_where_none_can_be_spared() {
        for (owed, held) in [(8, false), (16, true)] {
            let mut bench = Bench::default();
            bench.note(0, What::Acts { workloads: 32 });
            bench.at(60_000_000).note(None, What::Owed(owed));
            bench.note(None, What::Heals { core: vec![0, 1] });
            bench.at(70_200_000).note(1, What::Acts { workloads: 32 });
            bench.at(71_000_000).note(None, What::Doubt(String::new()));
            assert_eq!(bench.check(&INVARIANT).held(), held, "{owed} beats");
        }
    }
}
