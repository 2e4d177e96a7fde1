//! What is committed is read back, in order, within its limits, and nothing is counted twice.

use super::*;
use crate::limits::{FIND_IDS, LEDGER_FOLD, LEDGER_KEPT};
use crate::sim::SimDisk;
use crate::{Bundle, Committed, Error, Order, Query, Store, ThreatKey};
use proptest::prelude::*;

fn store() -> Store {
    Store::with_backend(SimDisk::new(1).backend()).unwrap()
}

#[test]
fn one_of_each_survives_a_restart() {
    let disk = SimDisk::new(1);
    let s = Store::with_backend(disk.backend()).unwrap();
    let c = one_of_each();
    assert_eq!(s.commit(&c).unwrap(), Committed::default());
    let bundle =
        Bundle { version: 4, hash: [0; 32], metadata: "{}".into(), created: Timestamp::default() };
    let hash = s.put_bundle(bundle.clone(), b"weights").unwrap();
    assert_eq!(s.incarnation(), 1);
    s.close().unwrap();

    let s = Store::with_backend(disk.backend()).unwrap();
    assert_eq!(s.incarnation(), 2);
    let v = s.view().unwrap();
    let id = c.threats[0].id;
    assert_eq!(v.checkpoint("source/a").unwrap().unwrap(), b"position 10");
    assert_eq!(v.checkpoint_names("source/").unwrap(), ["source/a"]);
    assert_eq!(v.checkpoint_names("x").unwrap(), [""; 0]);
    assert_eq!(v.threat(id).unwrap().as_ref(), Some(&c.threats[0]));
    assert_eq!(v.threats(&Query::default()).unwrap(), c.threats);
    assert_eq!(v.examples(id).unwrap(), [example(), example()]);
    assert_eq!(v.counts(id).unwrap(), c.counts);
    assert_eq!(v.ledger("run1/a").unwrap().entries, c.ledger);
    assert_eq!(v.ledger_sources().unwrap(), ["run1/a"]);
    assert_eq!(v.blob(hash).unwrap().unwrap(), b"weights");
    assert_eq!(v.latest_bundle().unwrap(), Some(Bundle { hash, ..bundle }));
    assert_eq!(v.schema().unwrap(), 1);
}

#[test]
fn a_view_does_not_move() {
    let s = store();
    let before = s.view().unwrap();
    s.commit(&one_of_each()).unwrap();
    assert_eq!(before.threat_count().unwrap(), 0);
    assert_eq!(s.view().unwrap().threat_count().unwrap(), 1);
}

#[test]
fn a_replay_counts_nothing_twice() {
    let s = store();
    let mut c = one_of_each();
    s.commit(&c).unwrap();
    assert_eq!(s.commit(&c).unwrap(), Committed { stale_counts: 1, stale_ledger: 1 });
    c.counts[0].offset = 20;
    c.counts[0].count = 5;
    c.ledger[0] = entry("run1/a", 10, 20, 2);
    assert_eq!(s.commit(&c).unwrap(), Committed::default());
    let v = s.view().unwrap();
    assert_eq!(v.counts(c.threats[0].id).unwrap()[0].count, 5);
    assert_eq!(v.ledger("run1/a").unwrap().events(), 4);
}

#[test]
fn a_refused_commit_leaves_nothing() {
    let s = store();
    s.commit(&one_of_each()).unwrap();
    let overlap = Commit {
        checkpoints: vec![("source/a".into(), b"position 15".to_vec())],
        ledger: vec![entry("run1/a", 5, 15, 2)],
        ..Commit::default()
    };
    assert!(matches!(s.commit(&overlap), Err(Error::Overlap { accounted: 10, .. })));
    let id = threat(4, 3).id;
    let far = Commit {
        checkpoints: overlap.checkpoints,
        examples: vec![(id, 3, example())],
        ..Commit::default()
    };
    assert!(matches!(s.commit(&far), Err(Error::Limit { found: 3, limit: 2, .. })));
    assert_eq!(s.view().unwrap().checkpoint("source/a").unwrap().unwrap(), b"position 10");
    // Neither was fatal.
    s.commit(&Commit { durable: true, ..Commit::default() }).unwrap();
}

#[test]
fn of_entities_the_newest_state_is_kept_by_workload() {
    let s = store();
    let put = |entities: Vec<EntityState>| Commit { entities, ..Commit::default() };
    s.commit(&put(vec![entity(7, 3, 1), entity(7, 4, 1), entity(8, 3, 1)])).unwrap();
    s.commit(&put(vec![entity(7, 4, 2)])).unwrap();
    s.commit(&put(vec![entity(7, 4, 1)])).unwrap();
    let of = |workload| {
        let mut all = Vec::new();
        s.view().unwrap().each_entity(workload, |state| all.push(state)).unwrap();
        all
    };
    assert_eq!(of(7), [entity(7, 3, 1), entity(7, 4, 2)]);
    assert_eq!(of(8), [entity(8, 3, 1)]);
    assert_eq!(of(9), []);
    let some = |after, bytes| s.view().unwrap().entities(7, after, bytes).unwrap();
    assert_eq!(some(None, 1), (vec![entity(7, 3, 1)], false));
    assert_eq!(some(Some((2, 3)), 1), (vec![entity(7, 4, 2)], true));
    assert_eq!(some(Some((u8::MAX, u64::MAX)), 1), (vec![], true));
    assert_eq!(some(None, 10_000).0.len(), 2);
    let forget = Commit { forget_entities: vec![(7, 2, 3), (7, 2, 99)], ..Commit::default() };
    s.commit(&forget).unwrap();
    assert_eq!(of(7), [entity(7, 4, 2)]);
    let mut large = entity(7, 5, 1);
    large.bytes = vec![0; crate::limits::ENTITY_BYTES + 1];
    assert!(matches!(s.commit(&put(vec![large])), Err(Error::Limit { .. })));
}

#[test]
fn a_forgotten_threat_leaves_no_trace() {
    let s = store();
    let c = one_of_each();
    s.commit(&c).unwrap();
    let id = c.threats[0].id;
    s.commit(&Commit {
        forget_threats: vec![id, ThreatId(1)],
        forget_checkpoints: vec!["source/a".into()],
        ..Commit::default()
    })
    .unwrap();
    let v = s.view().unwrap();
    assert_eq!(v.threat(id).unwrap(), None);
    assert!(v.threats(&Query::default()).unwrap().is_empty());
    assert!(v.counts(id).unwrap().is_empty() && v.examples(id).unwrap().is_empty());
    assert_eq!(v.checkpoint("source/a").unwrap(), None);
}

#[test]
fn old_ledger_entries_fold_and_the_sums_stay() {
    let s = store();
    let n = LEDGER_KEPT + 2 * LEDGER_FOLD + 7;
    for part in (0..n).collect::<Vec<_>>().chunks(500) {
        let ledger = part.iter().map(|i| entry("s", i * 10, (i + 1) * 10, 3)).collect();
        s.commit(&Commit { ledger, ..Commit::default() }).unwrap();
    }
    let l = s.view().unwrap().ledger("s").unwrap();
    assert_eq!((l.events(), l.threats(), l.end()), (3 * n, n, 10 * n));
    assert!(l.entries.len() as u64 <= LEDGER_KEPT + LEDGER_FOLD);
    let folded = l.folded.unwrap();
    assert_eq!(folded.start, 0);
    assert_eq!(folded.end, l.entries[0].start);
    assert_eq!(folded.end % (10 * LEDGER_FOLD), 0);
}

#[test]
fn a_blob_lives_as_long_as_a_bundle_names_it() {
    let s = store();
    let bundle = |version| Bundle {
        version,
        hash: [0; 32],
        metadata: "{}".into(),
        created: Timestamp::default(),
    };
    let hash = s.put_bundle(bundle(1), b"same").unwrap();
    assert_eq!(s.put_bundle(bundle(2), b"same").unwrap(), hash);
    assert_eq!(*blake3::hash(b"same").as_bytes(), hash);
    assert!(s.remove_bundle(2).unwrap());
    assert_eq!(s.view().unwrap().latest_bundle().unwrap().unwrap().version, 1);
    assert!(s.view().unwrap().blob(hash).unwrap().is_some());
    assert!(s.remove_bundle(1).unwrap() && !s.remove_bundle(1).unwrap());
    assert!(s.view().unwrap().blob(hash).unwrap().is_none());
    assert!(s.view().unwrap().bundles().unwrap().is_empty());
}

#[test]
fn ids_are_found_by_prefix() {
    let s = store();
    let threats: Vec<_> = (0..200).map(|n| threat(n, 1)).collect();
    s.commit(&Commit { threats: threats.clone(), ..Commit::default() }).unwrap();
    let v = s.view().unwrap();
    for t in &threats {
        let text = t.id.to_string();
        assert_eq!(v.find_threats(&text).unwrap(), [t.id]);
        assert!(v.find_threats(&text[..1]).unwrap().len() <= FIND_IDS);
        let found = v.find_threats(&text[..6].to_uppercase()).unwrap();
        assert!(found.contains(&t.id) && found.iter().all(|f| f.to_string()[..6] == text[..6]));
    }
    for none in ["", "x", "+1", "é", &"0".repeat(33)] {
        assert!(v.find_threats(none).unwrap().is_empty(), "{none}");
    }
}

fn by(order: Order) -> impl Fn(&Threat) -> (i64, i64, u128) {
    move |t| match order {
        Order::Severest => (i64::from(t.severity.id()), t.last_seen.micros(), t.id.0),
        Order::Latest => (t.last_seen.micros(), i64::from(t.severity.id()), t.id.0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn lists_are_sorted_filtered_and_paged(
        moves in proptest::collection::vec((0u32..30, 0usize..5, 0i64..6), 1..60),
        least in 0usize..5, since in proptest::option::of(0i64..6), page in 1usize..7, latest: bool,
    ) {
        let s = store();
        let mut model = std::collections::BTreeMap::new();
        for (n, severity, time) in moves {
            let t = Threat {
                severity: Severity::ALL[severity],
                last_seen: Timestamp::from_micros(time),
                ..threat(n, 1)
            };
            s.commit(&Commit { threats: vec![t.clone()], ..Commit::default() }).unwrap();
            model.insert(t.id, t);
        }
        let order = if latest { Order::Latest } else { Order::Severest };
        let since = since.map(Timestamp::from_micros);
        let mut query = Query {
            order, severity: Severity::ALL[least], since, after: None, limit: page,
        };
        let mut want: Vec<Threat> = model.into_values()
            .filter(|t| t.severity >= query.severity && since.is_none_or(|s| t.last_seen >= s))
            .collect();
        want.sort_by_key(by(order));
        want.reverse();
        let (v, mut got) = (s.view().unwrap(), Vec::new());
        loop {
            let part = v.threats(&query).unwrap();
            let Some(last) = part.last() else { break };
            prop_assert!(part.len() <= page);
            query.after = Some(ThreatKey::from(last));
            got.extend(part);
        }
        prop_assert_eq!(got, want);
    }
}
