use super::*;
use crate::test_bench::Bench;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn bench() -> Bench {
    let mut bench = Bench::of(&[(1, "a"), (2, "b")]);
    bench.define(7, "a", "b");
    bench
}

#[test]
fn the_sending_of_a_renewal_counts_and_not_its_answer() {
    let mut lease = Lease::new(7, 3, Terms::default());
    assert!(!lease.may_act(ms(0)) && lease.due(ms(0)));
    let first = lease.renew(ms(100)).unwrap();
    lease.acknowledged(first);
    assert!(lease.may_act(ms(2_099)) && !lease.may_act(ms(2_100)));
    assert!(!lease.due(ms(599)) && lease.due(ms(600)));
    // A later answer to an earlier renewal takes nothing away; a late answer gives what is left.
    let (second, third) = (lease.renew(ms(600)).unwrap(), lease.renew(ms(1_100)).unwrap());
    lease.acknowledged(third);
    lease.acknowledged(second);
    assert_eq!(lease.remaining(ms(3_000)), ms(100));
    // Of another epoch, or never sent.
    lease.acknowledged(Renewal { epoch: 4, ..third });
    lease.acknowledged(Renewal { sequence: 99, ..third });
    assert_eq!(lease.remaining(ms(3_000)), ms(100));
}

#[test]
fn one_that_gave_up_acts_no_more() {
    let mut lease = Lease::new(7, 3, Terms::default());
    let renewal = lease.renew(ms(0)).unwrap();
    lease.acknowledged(renewal);
    let late = lease.renew(ms(500)).unwrap();
    assert_eq!(lease.give_up(), (7, 3));
    lease.acknowledged(late);
    assert!(!lease.may_act(ms(600)) && !lease.due(ms(9_000)));
    assert_eq!(lease.renew(ms(600)), None);
}

#[test]
fn only_so_many_renewals_are_remembered() {
    let mut lease = Lease::new(7, 3, Terms::default());
    let first = lease.renew(ms(0)).unwrap();
    for n in 1..=RENEWALS as u64 {
        lease.renew(ms(n)).unwrap();
    }
    lease.acknowledged(first);
    assert!(!lease.may_act(ms(20)));
}

#[test]
fn a_new_owner_waits_until_the_old_lease_has_lapsed_by_any_clock() {
    let terms = Terms::default();
    assert_eq!(terms.lapse(), Duration::from_nanos(2_210_526_316));
    let mut bench = bench();
    let mut grantor = Grantor::new(ms(0), terms);
    let old = Renewal { workload: 7, epoch: bench.assign(7, Some(1)), sequence: 0 };
    // A new leader waits in any case.
    let answer = grantor.renewal(ms(1_000), 1, old, bench.log.workloads());
    assert_eq!(answer, Answer::TooEarly(terms.lapse() - ms(1_000)));
    let answer = grantor.renewal(ms(10_000), 1, old, bench.log.workloads());
    assert_eq!((answer, grantor.last(7)), (Answer::Acknowledged, Some(ms(10_000))));
    let new = Renewal { epoch: bench.assign(7, Some(2)), ..old };
    let log = bench.log.workloads();
    assert_eq!(grantor.renewal(ms(10_100), 1, old, log), Answer::NotTheOwner);
    assert_eq!(grantor.renewal(ms(10_100), 1, new, log), Answer::NotTheOwner);
    let wait = terms.lapse() - ms(100);
    assert_eq!(grantor.renewal(ms(10_100), 2, new, log), Answer::TooEarly(wait));
    assert_eq!(grantor.renewal(ms(12_211), 2, new, log), Answer::Acknowledged);
}

#[test]
fn nobody_waits_for_one_that_gave_up() {
    let mut bench = bench();
    let mut grantor = Grantor::new(ms(0), Terms::default());
    let old = Renewal { workload: 7, epoch: bench.assign(7, Some(1)), sequence: 0 };
    assert_eq!(grantor.renewal(ms(5_000), 1, old, bench.log.workloads()), Answer::Acknowledged);
    grantor.release((7, old.epoch), bench.log.workloads());
    assert_eq!(grantor.renewal(ms(5_001), 1, old, bench.log.workloads()), Answer::NotTheOwner);
    let new = Renewal { epoch: bench.assign(7, Some(2)), ..old };
    assert_eq!(grantor.renewal(ms(5_002), 2, new, bench.log.workloads()), Answer::Acknowledged);
    // A late repetition of the release takes nothing from the new owner.
    grantor.release((7, old.epoch), bench.log.workloads());
    assert_eq!(grantor.renewal(ms(5_003), 2, new, bench.log.workloads()), Answer::Acknowledged);
}

#[test]
fn a_fence_refuses_lower_epochs_even_of_what_was_removed() {
    let mut bench = bench();
    let mut fence = Fence::default();
    let old = bench.assign(7, Some(1));
    assert_eq!(fence.admit(7, old), Ok(()));
    let new = bench.assign(7, Some(2));
    assert_eq!(fence.admit(7, old), Ok(()), "the receiver has not heard of it");
    fence.learn(bench.log.workloads());
    let stale = Refused::Stale { workload: 7, given: old, known: new };
    assert_eq!(fence.admit(7, old), Err(stale));
    assert_eq!((fence.admit(7, new), fence.refused()), (Ok(()), 1));
    let epoch = bench.assign(7, None);
    fence.learn(bench.log.workloads());
    bench.run(crate::control_log::Command::RemoveWorkload { workload: 7, expected_epoch: epoch });
    fence.learn(bench.log.workloads());
    assert!(fence.admit(7, new).is_err());
}

#[test]
fn a_fence_lets_nothing_through_that_it_cannot_remember() {
    let mut bench = bench();
    let mut fence = Fence::default();
    for workload in 100..100 + FENCED as u32 {
        fence.admit(workload, u64::from(workload)).unwrap();
    }
    assert_eq!(fence.admit(7, 9_999), Err(Refused::Full(7)));
    // What the log knows finds room: what was removed longest ago goes.
    bench.assign(7, Some(1));
    fence.learn(bench.log.workloads());
    assert_eq!((fence.admit(7, 9_999), fence.epochs().len()), (Ok(()), FENCED));
    assert_eq!(fence.epochs().first_key_value(), Some((&7, &9_999)));
    assert!(!fence.epochs().contains_key(&100));
}
