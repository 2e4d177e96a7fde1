use super::super::tests::{fresh, stamp};
use super::super::{Said, Status, Taken, ThreatState};
use super::network_tests::{Node, SECOND, at};
use super::*;
use crate::control_log::{Command, Reply};
use crate::test_bench::Bench;

fn closed() -> Said {
    Said { status: Some(Status::Closed), ..Said::default() }
}

fn floor(seconds: i64, away: &[u64]) -> Floor {
    Floor { at: at(seconds), away: away.iter().copied().collect() }
}

#[test]
fn a_closed_record_goes_when_all_have_it_and_stays_for_one_more_floor_until_then() {
    let members = BTreeSet::from([1, 2]);
    let mut node = Node::new(1);
    let id = fresh(1, 0).id;
    node.state.take(fresh(1, 0)).unwrap();
    node.state.take(fresh(2, 0)).unwrap();
    node.state.handle(id, &closed(), stamp(5 * SECOND, 0)).unwrap();
    // Not all have it: it is closed still, as if just after the floor.
    assert!(node.state.advance(&floor(5, &[]), 1, &members));
    let kept = node.state.get(id).unwrap();
    assert!(kept.status() == Status::Closed && !is_below(kept, at(5)) && is_below(kept, at(6)));
    assert_eq!(node.state.collected(), Collected { kept: 1, ..Collected::default() });
    assert!(!node.state.advance(&floor(5, &[]), 1, &members), "a floor is moved to once");
    assert!(!node.state.advance(&floor(4, &[]), 1, &members), "and never back");
    // A note of a comparison that began under another floor is void.
    let mark = Mark { floor: None, ..node.state.mark(at(7)) };
    node.state.told(2, mark, at(7));
    assert!(node.state.next_floor(at(9), Duration::ZERO, &[2].into(), &[2].into()).is_none());
    // The earlier of both clocks counts.
    node.state.told(2, node.state.mark(at(9)), at(7));
    let next = node.state.next_floor(at(9), Duration::ZERO, &[2].into(), &[2].into());
    assert_eq!(next, Some(floor(7, &[])));
    let old = node.state.get(id).unwrap().clone();
    assert!(node.state.advance(&next.unwrap(), 1, &members));
    assert_eq!((node.state.get(id), node.state.len()), (None, 1));
    assert_eq!(node.state.take_gone(), [id].into());
    // One that is late is refused and counted.
    assert_eq!(node.state.take(old).unwrap(), Taken::Below);
    assert_eq!(node.state.collected().below, 1);
    assert!(node.state.next_floor(at(99), Duration::ZERO, &[2].into(), &[2].into()).is_none());
}

#[test]
fn who_was_away_keeps_what_it_alone_knows() {
    let members = BTreeSet::from([1, 2, 3]);
    let mut node = Node::new(3);
    node.state.take(fresh(1, 0)).unwrap();
    node.state.told(1, node.state.mark(at(1)), at(1));
    node.state.take(fresh(2, 0)).unwrap();
    node.state.take(fresh(3, 0)).unwrap();
    node.state.handle(fresh(3, 0).id, &closed(), stamp(2 * SECOND, 0)).unwrap();
    // It did go on comparing with one that was away as well, which says nothing.
    node.state.told(2, node.state.mark(at(3)), at(3));
    node.store();
    node.crash();
    assert!(node.state.advance(&floor(50, &[2, 3]), 3, &members));
    let left: Vec<_> = node.state.iter().map(|r| (r.id, r.status())).collect();
    let mut expected = [(fresh(2, 0).id, Status::Open), (fresh(3, 0).id, Status::Closed)].to_vec();
    expected.sort_unstable();
    assert_eq!(left, expected);
    let counts = node.state.collected();
    assert_eq!((counts.thrown_away, counts.kept, counts.collected), (1, 1, 0));
    // A number that was given is not given again.
    node.store();
    node.crash();
    let sequence = node.state.collection.sequence;
    node.state.take(fresh(4, 0)).unwrap();
    assert!(node.state.collection.sequence > sequence && sequence >= 4);
}

#[test]
fn a_member_that_is_silent_for_long_is_named_and_others_are_waited_for() {
    let mut state = ThreatState::new([1; 32]);
    state.take(fresh(1, 0)).unwrap();
    state.handle(fresh(1, 0).id, &closed(), stamp(0, 1)).unwrap();
    let (all, ten) = ([2, 3, 4].into(), Duration::from_secs(10));
    state.told(2, state.mark(at(100)), at(100));
    state.told(3, state.mark(at(50)), at(50));
    let next = |state: &ThreatState, answering: &[u64]| {
        state.next_floor(at(101), ten, &all, &answering.iter().copied().collect())
    };
    assert_eq!(next(&state, &[2]), Some(floor(90, &[3, 4])));
    assert_eq!(next(&state, &[2, 3]), Some(floor(40, &[4])), "it has nothing newer yet");
    assert_eq!(next(&state, &[2, 4]), None, "it was never told");
    assert_eq!(next(&state, &[]), Some(floor(91, &[3, 4])));
}

#[test]
fn the_floor_is_agreed_on_once_after_the_other() {
    let mut bench = Bench::of(&[(1, "a")]);
    let raise = |expected: Option<i64>, to: i64, away: &[u64]| Command::RaiseFloor {
        expected: expected.map(at),
        floor: floor(to, away),
    };
    assert_eq!(Floor::of(bench.log.settings()), None);
    bench.run(raise(None, 5, &[]));
    assert_eq!(Floor::of(bench.log.settings()), Some(floor(5, &[])));
    bench.run(raise(Some(5), 9, &[2, 30]));
    assert_eq!(Floor::of(bench.log.settings()), Some(floor(9, &[2, 30])));
    for stale in [raise(Some(5), 20, &[]), raise(None, 20, &[]), raise(Some(9), 9, &[])] {
        assert!(matches!(bench.ask(stale), Reply::Refused(_)));
    }
    let by_hand = Command::SetFlag { name: Floor::FLAG.into(), value: None };
    assert!(matches!(bench.ask(by_hand), Reply::Refused(_)));
    assert_eq!(Floor::of(bench.log.settings()), Some(floor(9, &[2, 30])));
}
