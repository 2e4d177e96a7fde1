//! X2: once a healthy core is there, every kind of operation succeeds again, whatever state the
//! others are in. (TigerBeetle's simulator calls this its liveness mode.)

use super::{Case, Finding, Invariant};
use crate::journal::{Ask, Done, What};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "X2",
    says: "with a healthy core every kind of operation succeeds again",
    source: "chaos X2",
    bound: Some(Duration::from_secs(15)),
    check,
};

const fn kind(ask: &Ask) -> &'static str {
    match ask {
        Ask::Write { .. } | Ask::Activate => "commands",
        Ask::Read { .. } => "reads",
        Ask::Judge { .. } => "events",
        Ask::Handle { .. } => "words on threats",
    }
}

fn check(case: &Case<'_>) -> Finding {
    let Some(healed) = case.healed() else { return Finding::Held(0) };
    let deadline = (healed + case.bound).min(case.plan.end());
    let mut open = BTreeMap::new();
    let mut asked: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    let mut succeeded: BTreeMap<&str, u64> = BTreeMap::new();
    for (at, entry) in case.entries().filter(|(_, e)| e.at <= deadline) {
        match &entry.what {
            What::Asked { op, ask } => {
                open.insert(*op, kind(ask));
                if entry.at > healed {
                    asked.entry(kind(ask)).or_insert((0, at)).0 += 1;
                }
            }
            What::Answered { op, done } => {
                let answered = !matches!(done, Done::Failed | Done::Unknown);
                if let Some(kind) = open.remove(op).filter(|_| answered && entry.at > healed) {
                    *succeeded.entry(kind).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    for (kind, (count, first)) in &asked {
        if !succeeded.contains_key(kind) {
            let what = format!("{count} {kind} were asked for and none succeeded");
            return Finding::broken(deadline, what, [*first]);
        }
    }
    Finding::Held(succeeded.values().sum())
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_cluster_that_serves_nothing_is_seen() {
        let mut bench = Bench::default();
        bench.at(60_000_000).note(None, What::Heals { core: vec![0, 1, 2] });
        bench.op(1, Ask::Read { key: 1 }, Done::At { index: 1, value: None });
        assert!(bench.check(&INVARIANT).held());
        bench.op(2, Ask::Write { key: 1, value: 1 }, Done::Unknown);
        assert!(!bench.check(&INVARIANT).held());
    }
}
