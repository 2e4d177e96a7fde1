//! C4: what an analyst was told to be written is there at the end, or something newer.

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use crate::plan::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "C4",
    says: "no acknowledged word of an analyst is lost",
    source: "chaos C3; design 7, threat state",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let settled = case.settled();
    let (mut asked, mut reborn) = (BTreeMap::new(), BTreeMap::<u32, Micros>::new());
    let (mut collects, mut closed) = (false, BTreeSet::new());
    let mut removed = BTreeMap::new();
    let mut there: BTreeMap<u32, BTreeMap<_, _>> = BTreeMap::new();
    let mut words: Vec<(Micros, usize, _, _, usize)> = Vec::new();
    for (at, entry) in case.entries() {
        match &entry.what {
            What::Asked { op, ask: Ask::Handle { threat, closes } } => {
                asked.insert(*op, *threat);
                if *closes {
                    closed.insert(*threat);
                }
            }
            What::Answered { op, done: Done::Handled { stamp, node, stands } } => {
                if !stands {
                    let what = "what was said is older than what was known: it did nothing";
                    return Finding::broken(entry.at, what, [at]);
                }
                if let Some(threat) = asked.get(op) {
                    words.push((entry.at, at, *threat, *stamp, *node));
                }
            }
            What::Reborn => {
                reborn.extend(entry.who.map(|who| (who, entry.at)));
            }
            What::Word { threat, stamp } => {
                if let Some(who) = entry.who {
                    there.entry(who).or_default().insert(*threat, *stamp);
                }
            }
            What::Collected(threat, stamp) => {
                let last = removed.entry(*threat).or_insert(*stamp);
                *last = (*last).max(*stamp);
            }
            What::Knows { floor, .. } => collects |= floor.is_some(),
            _ => {}
        }
    }
    let empty = BTreeMap::new();
    let nodes: BTreeSet<u32> = settled.iter().copied().collect();
    for (when, at, threat, stamp, node) in &words {
        let writer = *node as u32;
        let gone = reborn.get(&writer).is_some_and(|lost| lost >= when);
        if gone || !nodes.contains(&writer) {
            // It may have been nowhere else.
            continue;
        }
        for node in nodes.iter().filter(|node| case.spreads() || **node == writer) {
            let known = there.get(node).unwrap_or(&empty).get(threat);
            let fine = match known {
                // What was removed for good may come back with what a node that was away alone
                // knows, and not with what was removed.
                Some(known) => {
                    known >= stamp || removed.get(threat).is_some_and(|last| last >= stamp)
                }
                // Closed threats go for good, whatever was said of them before.
                None => collects && closed.contains(threat),
            };
            if !fine {
                let what = format!("node {node} lacks what was said of threat {threat}");
                return Finding::broken(case.plan.end(), what, [*at]);
            }
        }
    }
    Finding::Held(words.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;
    use regions::clock::{Replica, Stamp};
    use threat::{ThreatId, Timestamp};

    #[test]
    fn a_word_that_got_lost_is_seen() {
        let stamp = |n| Stamp {
            wall: Timestamp::from_micros(n),
            counter: 0,
            replica: Replica { node: 1, incarnation: 1 },
        };
        let threat = ThreatId(7);
        let mut bench = Bench::default();
        bench.note(0, What::Up).note(1, What::Up);
        let done = Done::Handled { stamp: stamp(5), stands: true, node: 0 };
        bench.op(1, Ask::Handle { threat, closes: false }, done);
        bench.at(60_000_000).note(None, What::Heals { core: vec![0, 1] });
        bench.at(75_000_000).note(0, What::Word { threat, stamp: stamp(6) });
        bench.note(1, What::Word { threat, stamp: stamp(6) });
        assert!(bench.check(&INVARIANT).held());
        bench.note(1, What::Word { threat, stamp: stamp(4) });
        assert!(!bench.check(&INVARIANT).held());
        bench.plan.tuning.gossip_forgotten = 0.2;
        assert!(bench.check(&INVARIANT).held(), "whoever was told of it forgot it");
        bench.plan.tuning.gossip_forgotten = 0.0;
        bench.note(0, What::Collected(threat, stamp(4)));
        assert!(!bench.check(&INVARIANT).held(), "what was removed had not heard of it");
        bench.note(0, What::Collected(threat, stamp(5)));
        assert!(bench.check(&INVARIANT).held());
    }
}
