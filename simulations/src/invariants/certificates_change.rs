//! A2: a node whose certificate is changed goes on taking part.

use super::{Case, Finding, Invariant};
use crate::journal::What;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const INVARIANT: Invariant = Invariant {
    id: "A2",
    says: "a node whose certificate was changed applies what is agreed on later",
    source: "chaos A2; design 6, fabric",
    bound: Some(Duration::from_secs(10)),
    check,
};

fn check(case: &Case<'_>) -> Finding {
    let (mut changed, mut applied) = (BTreeMap::new(), BTreeMap::new());
    let mut last = 0;
    for (at, entry) in case.entries() {
        match &entry.what {
            What::CertificateChanged => {
                changed.extend(entry.who.map(|who| (who, at)));
            }
            What::Applied { .. } | What::Installed { .. } => {
                applied.extend(entry.who.map(|who| (who, at)));
                last = at;
            }
            _ => {}
        }
    }
    let settled = case.settled();
    for (node, at) in &changed {
        // Where nothing was agreed on since, nothing can be applied.
        let fine = last < *at || applied.get(node).is_some_and(|applied| applied > at);
        if settled.contains(node) && !fine {
            let what = format!("node {node} applied nothing after its certificate was changed");
            return Finding::broken(case.plan.end(), what, [*at]);
        }
    }
    Finding::Held(changed.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::test_bench::Bench;
    use super::*;

    #[test]
    fn a_node_that_is_locked_out_by_its_new_certificate_is_seen() {
        let mut bench = Bench::default();
        bench.note(0, What::Up).note(1, What::Up);
        bench.note(1, What::CertificateChanged);
        bench.at(60_000_000).note(None, What::Heals { core: vec![0, 1] });
        bench.note(1, What::Applied { index: 7, chain: 7 });
        assert_eq!(bench.check(&INVARIANT), Finding::Held(1));
        let mut bench = Bench::default();
        bench.note(0, What::Up).note(1, What::Up);
        bench.note(1, What::CertificateChanged);
        bench.at(60_000_000).note(None, What::Heals { core: vec![0, 1] });
        bench.note(0, What::Applied { index: 7, chain: 7 });
        assert!(!bench.check(&INVARIANT).held());
    }
}
