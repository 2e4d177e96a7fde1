use super::*;
use crate::clock::Replica;
use proptest::prelude::*;
use threat::entity::Entity;
use threat::{Host, Severity, ThreatClass};

const HOUR: i64 = 3_600_000_000;

/// The record of threat number `n` with nothing in it but one verdict.
pub(super) fn fresh(n: u8, at: i64) -> Record {
    let seen = Timestamp::from_micros(i64::from(n) * HOUR + at);
    let mut threat = threat_of(Entity::Host(Host::parse(&format!("10.0.0.{n}"))));
    threat.id = ThreatId::of(&threat.entity, threat.class, seen.hour());
    (threat.first_seen, threat.last_seen) = (seen, seen);
    Record::of(&threat, Count { source: 1, segment: 0, offset: 0, verdicts: 1 })
}

fn threat_of(entity: Entity) -> threat::Threat {
    let (class, seen) = (ThreatClass::Scan, Timestamp::from_micros(0));
    threat::Threat {
        id: ThreatId::of(&entity, class, seen.hour()),
        entity,
        class,
        technique: None,
        severity: Severity::Low,
        score: 1.0,
        first_seen: seen,
        last_seen: seen,
        count: 1,
        targets: Default::default(),
        rules: Default::default(),
        voters: BTreeMap::new(),
        missing: BTreeMap::new(),
        labels: Default::default(),
    }
}

/// Records of few threats, which differ in every field. No two have one stamp.
fn records(most: usize) -> impl Strategy<Value = Vec<Record>> {
    let one = (
        (0u8..4, 0i64..100, 0usize..5, 0f32..9.0, prop::option::of("T1[0-9]{3}")),
        prop::collection::vec((0u64..3, 0u64..2, 0u64..50, 1u64..9), 0..4),
        prop::collection::vec(0u16..40, 0..30),
        prop::option::of((0u8..3, 0i64..9, any::<bool>())),
    );
    prop::collection::vec(one, 1..most).prop_map(|all| {
        let made = all.into_iter().zip(0u32..).map(|((basic, counts, targets, said), number)| {
            let (n, at, severity, score, technique) = basic;
            let mut record = fresh(n, at);
            record.severity = Severity::ALL[severity];
            record.score = score;
            record.technique = technique.map(Into::into);
            record.voters = 1 << (at % 5);
            for (source, segment, offset, verdicts) in counts {
                // What a log says up to an offset is one thing, however often it is read.
                let verdicts = offset * 10 + verdicts % 2;
                record.count(Count { source, segment, offset, verdicts });
            }
            for target in targets {
                record.targets.add(&target.to_string().into());
            }
            if let Some((status, wall, given)) = said {
                let mut handling = Handling::default();
                let status =
                    [Status::Open, Status::InProgress, Status::Closed][usize::from(status)];
                handling.status.set(status, stamp(wall, number));
                if given {
                    handling.assignee.set(Some("ann".into()), stamp(wall, number));
                }
                record.handle(&handling);
            }
            record
        });
        made.collect()
    })
}

pub(super) fn stamp(wall: i64, counter: u32) -> Stamp {
    Stamp { wall: Timestamp::from_micros(wall), counter, replica: Replica::default() }
}

fn state(records: impl IntoIterator<Item = Record>) -> ThreatState {
    let mut state = ThreatState::new([7; 32]);
    for record in records {
        state.take(record).unwrap();
    }
    state
}

proptest! {
    #[test]
    fn joins_commute_associate_and_repeat(all in records(3)) {
        let [a, b, c] = [0, 1, 2].map(|i| {
            let mut record = all[i % all.len()].clone();
            // All of one threat.
            let base = fresh(0, record.first_seen.micros() % HOUR);
            (record.id, record.entity, record.first_seen, record.last_seen) =
                (base.id, base.entity, base.first_seen, base.last_seen);
            record
        });
        let join = |x: &Record, y: &Record| {
            let mut joined = x.clone();
            let changed = joined.join(y).unwrap();
            assert_eq!(changed, joined != *x, "{x:?} {y:?}");
            joined
        };
        let bytes = |r: &Record| r.encode().unwrap();
        prop_assert_eq!(bytes(&join(&a, &b)), bytes(&join(&b, &a)));
        prop_assert_eq!(bytes(&join(&join(&a, &b), &c)), bytes(&join(&a, &join(&b, &c))));
        prop_assert_eq!(bytes(&join(&a, &a)), bytes(&a));
        prop_assert_eq!(Record::decode(&bytes(&join(&a, &b))).unwrap(), join(&a, &b));
    }

    /// Whatever is repeated and in whatever order it comes, the same records make the same state.
    #[test]
    fn states_are_equal_whatever_the_network_does(
        all in records(20),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let once = state(all.clone());
        let mut twice = state(order.iter().map(|i| i.get(&all).clone()));
        for record in all.iter().rev() {
            twice.take(record.clone()).unwrap();
        }
        prop_assert!(once.iter().eq(twice.iter()));
        prop_assert_eq!(once.digests(), twice.digests());
        // The digests are those of the records that are there.
        let mut anew = Digests::default();
        for record in once.iter() {
            anew.toggle(Place::of(record.id), hash(&[7; 32], record).unwrap().0);
        }
        prop_assert_eq!(once.digests(), &anew);
    }

    #[test]
    fn bytes_of_a_stranger_do_not_panic(bytes: Vec<u8>) {
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn a_wrong_byte_leaves_an_honest_record_or_none(at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = fresh(1, 5).encode().unwrap();
        bytes[at.index(fresh(1, 5).encode().unwrap().len())] ^= 1 << bit;
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert!(state([fresh(1, 5)]).take(record).is_ok());
        }
    }
}

#[test]
fn a_log_that_is_read_again_counts_nothing_twice() {
    let mut record = fresh(0, 0);
    let count = |offset, verdicts| Count { source: 1, segment: 0, offset, verdicts };
    assert!(record.count(count(100, 7)));
    assert!(!record.count(count(50, 3)) && !record.count(count(100, 7)));
    assert!(record.count(Count { source: 2, ..count(10, 2) }));
    assert_eq!(record.verdicts(), 9);
}

#[test]
fn what_no_node_makes_is_refused_and_changes_nothing() {
    let mut state = state([fresh(1, 0)]);
    let before = state.digests().clone();
    let spoilt = |spoil: fn(&mut Record)| {
        let mut record = fresh(1, 7);
        spoil(&mut record);
        record
    };
    let cases: [(fn(&mut Record), &str); 6] = [
        (|r| r.id = ThreatId(5), "another threat"),
        (|r| r.entity = Entity::Host(Host::parse("10.0.0.9")), "another threat"),
        (|r| r.score = f32::NAN, "score"),
        (|r| r.score = -1.0, "score"),
        (|r| r.last_seen = Timestamp::from_micros(0), "ends before"),
        (|r| r.last_seen = r.last_seen.plus_secs(7_200.0), "another hour"),
    ];
    for (spoil, reason) in cases {
        let error = state.take(spoilt(spoil)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(state.digests(), &before);
    // From the future: an analyst's word that would stand until then.
    let mut record = fresh(1, 0);
    let mut said = Handling::default();
    said.status.set(Status::Closed, stamp(61_000_001, 0));
    record.handle(&said);
    let mut clock = HybridClock::new(Replica::default(), Stamp::default());
    let now = Timestamp::from_micros(1);
    assert!(state.receive(record.clone(), &mut clock, now).is_err());
    assert_eq!(state.digests(), &before);
    // A record that is refused moves no clock either.
    let mut forged = record.clone();
    forged.id = ThreatId(5);
    assert!(state.receive(forged, &mut clock, now.plus_secs(2.0)).is_err());
    assert_eq!(clock.tick(now).wall, now);
    assert_eq!(state.receive(record, &mut clock, now.plus_secs(2.0)).unwrap(), Taken::Grown);
}

#[test]
fn what_changed_is_told_once_and_in_portions() {
    let mut state = state((1..=3).map(|n| fresh(n, 0)));
    assert_eq!((state.take_changed(2, usize::MAX).len(), state.changed()), (2, 1));
    assert_eq!(state.take_changed(2, usize::MAX).len(), 1);
    assert_eq!(state.take(fresh(1, 0)).unwrap(), Taken::Known);
    assert!(state.take_changed(2, usize::MAX).is_empty(), "nothing new, nothing to tell");
    assert_eq!(state.take(fresh(1, 9)).unwrap(), Taken::Grown);
    assert_eq!(state.take_changed(2, usize::MAX).len(), 1);
}

#[test]
fn what_came_from_others_is_stored_and_not_told_again() {
    let mut state = state([fresh(1, 0)]);
    let mut clock = HybridClock::new(Replica::default(), Stamp::default());
    state.receive(fresh(2, 0), &mut clock, Timestamp::from_micros(0)).unwrap();
    state.restore(fresh(3, 0), 2).unwrap();
    assert_eq!((state.len(), state.changed(), state.unstored()), (3, 1, 2));
    let mut stored = Vec::new();
    state.take_unstored(|record, _| stored.push(record.id));
    stored.sort_unstable();
    let mut expected = [fresh(1, 0).id, fresh(2, 0).id];
    expected.sort_unstable();
    assert_eq!((&stored[..], state.unstored()), (&expected[..], 0));
    // A batch is bounded by its bytes, and one record goes through whatever it has.
    state.take(fresh(2, 9)).unwrap();
    assert_eq!((state.take_changed(9, 1).len(), state.take_changed(9, 1).len()), (1, 1));
}

#[test]
fn what_people_say_is_written_under_one_stamp_and_what_they_leave_out_stays() {
    let mut state = state([fresh(1, 0)]);
    let id = fresh(1, 0).id;
    let said = Said { status: Some(Status::InProgress), ..Said::default() };
    let said = Said { assignee: Some(Some("ann".into())), ..said };
    assert_eq!(state.handle(id, &said, stamp(5, 0)).unwrap(), Taken::Grown);
    let graver = Said { severity: Some(Some(Severity::Critical)), ..Said::default() };
    state.handle(id, &graver, stamp(6, 0)).unwrap();
    let record = state.get(id).unwrap();
    assert_eq!((record.status(), record.gravity()), (Status::InProgress, Severity::Critical));
    assert_eq!(record.handling().unwrap().assignee.get(), Some(&Some("ann".into())));
    assert_eq!(record.handling().unwrap().status.stamp(), Some(stamp(5, 0)));
    assert_eq!(state.handle(id, &Said::default(), stamp(7, 0)).unwrap(), Taken::Known);
    let back = Said { severity: Some(None), ..Said::default() };
    state.handle(id, &back, stamp(8, 0)).unwrap();
    assert_eq!(state.get(id).unwrap().gravity(), Severity::Low);
    assert!(matches!(state.handle(ThreatId(4), &said, stamp(9, 0)), Err(Error::Unknown { .. })));
    let long = Said { assignee: Some(Some("x".repeat(300).into())), ..Said::default() };
    assert!(matches!(state.handle(id, &long, stamp(9, 0)), Err(Error::Invalid { .. })));
}

#[test]
fn long_texts_are_cut_alike_and_long_names_refused() {
    let mut threat = threat_of(Entity::User("bob".into()));
    let long = "é".repeat(limits::TEXT_BYTES);
    threat.targets.add(&long, 1);
    threat.technique = Some((&*long).into());
    let count = Count { source: 1, segment: 0, offset: 0, verdicts: 1 };
    let record = Record::of(&threat, count);
    let kept = record.targets.iter().next().unwrap();
    assert!(kept.len() <= limits::TEXT_BYTES && long.starts_with(&**kept));
    assert!(record.check(None).is_ok());
    let endless = threat_of(Entity::User("x".repeat(limits::ENTITY_BYTES + 1).into()));
    assert!(state([]).take(Record::of(&endless, count)).is_err());
}
