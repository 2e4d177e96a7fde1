use super::*;
use crate::clock::{Replica, Stamp};
use crate::threats::{Count, Handling, Limits, SAMPLE, Said, Status, limits};
use std::collections::VecDeque;
use threat::entity::Entity;
use threat::entropy::Rng;
use threat::{Host, Severity, Threat, ThreatClass, codec};

fn record(n: u32, source: u64, offset: u64) -> Record {
    let entity = Entity::Host(Host::parse(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)));
    let class = ThreatClass::Scan;
    let threat = Threat {
        id: ThreatId::of(&entity, class, 0),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity: Severity::Medium,
        score: 4.0,
        first_seen: Timestamp::from_micros(1),
        last_seen: Timestamp::from_micros(2),
        count: 1,
        targets: Default::default(),
        rules: Default::default(),
        voters: Default::default(),
        missing: Default::default(),
        labels: Default::default(),
    };
    Record::of(&threat, Count { source, segment: 0, offset, verdicts: offset })
}

fn state(records: impl IntoIterator<Item = Record>) -> ThreatState {
    let mut state = ThreatState::new([1; 32]);
    for record in records {
        state.take(record).unwrap();
    }
    state
}

/// What an exchange cost.
#[derive(Debug, Default)]
struct Cost {
    /// Messages that had to wait for another one, the first included.
    hops: usize,
    bytes: usize,
    /// Bytes of the largest message.
    largest: usize,
}

/// One exchange that `a` begins, to its end.
fn exchange(a: &mut ThreatState, b: &mut ThreatState) -> Cost {
    let mut clocks =
        [1, 2].map(|node| HybridClock::new(Replica { node, incarnation: 1 }, Stamp::default()));
    let now = Timestamp::from_micros(0);
    let mut cost = Cost::default();
    // To whom, after how many hops, what.
    let mut queue = VecDeque::from([(1, 1, begin(a))]);
    while let Some((to, hops, message)) = queue.pop_front() {
        cost.hops = cost.hops.max(hops);
        let bytes = codec::encode_narrow(1, &message).unwrap().len();
        (cost.bytes, cost.largest) = (cost.bytes + bytes, cost.largest.max(bytes));
        let state = if to == 0 { &mut *a } else { &mut *b };
        let answer = answer(state, &mut clocks[to], now, message);
        assert!(answer.refused.is_empty(), "{:?}", answer.refused);
        queue.extend(answer.messages.into_iter().map(|m| (1 - to, hops + 1, m)));
    }
    cost
}

#[test]
fn equal_states_say_so_in_one_message() {
    let (mut a, mut b) = (state((0..100).map(|n| record(n, 1, 1))), ThreatState::new([1; 32]));
    exchange(&mut a, &mut b);
    assert_eq!(a.digests(), b.digests());
    let cost = exchange(&mut a, &mut b);
    assert_eq!(cost.hops, 1);
    assert!(cost.bytes < 2_100, "{cost:?}");
}

#[test]
fn what_either_side_lacks_is_repaired_in_three_round_trips() {
    let common = || (0..20_000).map(|n| record(n, 1, 1));
    let only = |from: u32| (from..from + 300).map(|n| record(n, 1, 1));
    // Both know some that the other does not, and of some each knows another part.
    let mut a = state(common().chain(only(30_000)).chain((0..200).map(|n| record(n, 2, 5))));
    let mut b = state(common().chain(only(40_000)).chain((100..300).map(|n| record(n, 3, 6))));
    let cost = exchange(&mut a, &mut b);
    assert_eq!(a.digests(), b.digests());
    assert!(a.iter().eq(b.iter()));
    assert_eq!(a.len(), 20_600);
    assert_eq!(a.get(record(150, 1, 1).id).unwrap().verdicts(), 12);
    // Partitions, buckets, ids, records with questions, answers: two and a half round trips.
    assert!(cost.hops <= 6, "{cost:?}");
    assert!(cost.bytes < 1_500_000, "{cost:?}");
}

#[test]
fn more_than_one_exchange_can_hold_is_repaired_step_by_step() {
    let mut a = state((0..200_000).map(|n| record(n, 1, 1)));
    let mut b = ThreatState::new([1; 32]);
    let mut exchanges = 0;
    while a.digests() != b.digests() {
        exchange(&mut a, &mut b);
        exchanges += 1;
        // 35 MB of records, two MiB at a time.
        assert!(exchanges <= 20, "{} of {}", b.len(), a.len());
    }
    assert_eq!(b.len(), 200_000);
}

#[test]
fn three_nodes_over_a_bad_network_come_to_the_same_state() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut nodes = [(); 3].map(|()| ThreatState::new([1; 32]));
        let mut clocks = [0, 1, 2]
            .map(|node| HybridClock::new(Replica { node, incarnation: 1 }, Stamp::default()));
        let mut wire: Vec<(usize, Record)> = Vec::new();
        for step in 0..600u64 {
            let who = rng.below(3);
            let mut made = record(rng.below(40) as u32, who as u64, step);
            if rng.below(4) == 0 {
                let mut said = Handling::default();
                let now = Timestamp::from_micros(step as i64);
                let status = if rng.below(2) == 0 { Status::InProgress } else { Status::Closed };
                said.status.set(status, clocks[who].tick(now));
                made.handle(&said);
            }
            nodes[who].take(made).unwrap();
            for told in nodes[who].take_changed(8, usize::MAX) {
                for to in (0..3).filter(|to| *to != who) {
                    // Lost, sent, or sent twice.
                    for _ in 0..rng.below(3) {
                        wire.push((to, told.clone()));
                    }
                }
            }
            // Whatever is on its way arrives at some time, in any order.
            while wire.len() > 20 {
                let at = rng.below(wire.len());
                let (to, told) = wire.swap_remove(at);
                let now = Timestamp::from_micros(step as i64);
                nodes[to].receive(told, &mut clocks[to], now).unwrap();
            }
        }
        let [a, b, c] = &mut nodes;
        exchange(a, b);
        exchange(b, c);
        exchange(a, b);
        assert!(a.iter().eq(b.iter()) && b.iter().eq(c.iter()), "seed {seed}");
        assert_eq!((a.digests().all(), b.digests().all()), (b.digests().all(), c.digests().all()));
        let verdicts: u64 = a.iter().map(Record::verdicts).sum();
        assert!(verdicts > 0);
    }
}

/// Whatever the records are, no message outgrows a frame of 4 MiB.
#[test]
fn messages_stay_under_a_frame_even_of_the_largest_records() {
    let large = |n: u32| {
        let mut record = record(n, 1, 1);
        let text = |k: usize| format!("{n}-{k}-{}", "x".repeat(limits::TEXT_BYTES - 20)).into();
        (0..SAMPLE).for_each(|k| _ = (record.targets.add(&text(k)), record.rules.add(&text(k))));
        (0..64).for_each(|k| _ = record.count(Count { segment: k, ..record.counts()[0] }));
        record
    };
    // Small ones make many hashes and questions, large ones much to tell.
    let small = |from: u32| (from..from + 150_000).map(|n| record(n, 1, 1));
    let mut a = state((0..2_000).map(large).chain(small(200_000)));
    let mut b = state((5_000..7_000).map(large).chain(small(400_000)));
    let (mut exchanges, mut largest) = (0, 0);
    while a.digests() != b.digests() {
        let cost = exchange(&mut a, &mut b);
        largest = largest.max(cost.largest);
        exchanges += 1;
        assert!(exchanges < 100, "{cost:?}");
    }
    assert!((1 << 20..3 << 20).contains(&largest), "{largest}");
    assert_eq!(a.len(), 304_000);
}

/// A state that is full says so by counting, asks for nothing, and takes what it knows already.
#[test]
fn a_full_state_counts_what_it_turns_away_and_keeps_up_with_what_it_knows() {
    let small = Limits { records: 100, ..Limits::default() };
    let mut a = ThreatState::with_limits([1; 32], small);
    (0..100).for_each(|n| assert_eq!(a.take(record(n, 1, 1)).unwrap(), Taken::New));
    assert_eq!(a.take(record(100, 1, 1)).unwrap(), Taken::NoRoom);
    assert!(a.is_full() && a.turned_away() == 1);
    let mut b = state((0..300).map(|n| record(n, 2, 1)));
    exchange(&mut b, &mut a);
    exchange(&mut a, &mut b);
    assert_eq!((a.len(), b.len()), (100, 300));
    assert!(a.iter().all(|r| r.verdicts() == 2 && b.get(r.id) == Some(r)));
    assert!(a.turned_away() > 1);
    // The limit of bytes holds as well, with some room left for what people say.
    let bytes = a.bytes();
    let mut c = ThreatState::with_limits([1; 32], Limits { bytes, ..Limits::default() });
    a.iter().for_each(|r| assert_eq!(c.take(r.clone()).unwrap(), Taken::New));
    assert_eq!(c.take(record(400, 1, 1)).unwrap(), Taken::NoRoom);
    let said = Said { status: Some(Status::Closed), ..Said::default() };
    let stamp = Stamp { counter: 1, ..Stamp::default() };
    assert_eq!(c.handle(record(1, 1, 1).id, &said, stamp).unwrap(), Taken::Grown);
    assert!(c.bytes() > bytes);
}

#[test]
fn what_a_liar_sends_leads_nowhere() {
    let mut a = state((0..50).map(|n| record(n, 1, 1)));
    let before = a.digests().clone();
    let mut clock = HybridClock::new(Replica::default(), Stamp::default());
    let mut forged = record(1, 1, 9);
    forged.id = ThreatId(3);
    let place = Place { partition: 0, bucket: 0 };
    let lies = [
        Message::Partitions(vec![]),
        Message::Partitions(vec![1; 100_000]),
        Message::Buckets(vec![(3, vec![]), (3, vec![1; 5]), (3, vec![2; 700])]),
        Message::Hashes(vec![(place, vec![1, 1]), (place, vec![])]),
        Message::Records { records: vec![forged], wanted: vec![(place, 1); 100] },
    ];
    for lie in lies {
        let answer = answer(&mut a, &mut clock, Timestamp::from_micros(0), lie);
        assert_eq!(answer.repaired, 0);
    }
    assert_eq!(a.digests(), &before);
}
