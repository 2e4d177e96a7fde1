//! The breaker's laws.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn call(breaker: &mut Breaker, now: Duration, outcome: Outcome, took: Duration) -> bool {
    let permit = breaker.allow(now);
    permit.is_some_and(|p| {
        breaker.record(now, p, outcome, took);
        true
    })
}

#[test]
fn opens_at_the_rate_rejects_probes_and_closes() {
    let mut b = Breaker::new(Settings::default(), 1);
    for i in 0..9 {
        assert!(call(&mut b, i * MS, Outcome::Failure, MS));
    }
    assert_eq!(b.state(), State::Closed, "nine calls prove nothing");
    assert!(call(&mut b, 9 * MS, Outcome::Failure, MS));
    assert_eq!(b.state(), State::Open);
    assert!(!call(&mut b, 900 * MS, Outcome::Success, MS));
    assert_eq!(b.metrics(900 * MS).failure_rate, 1.0);
    for _ in 0..3 {
        assert!(call(&mut b, 1_300 * MS, Outcome::Success, MS));
    }
    let metrics = b.metrics(1_300 * MS);
    assert_eq!((metrics.state, metrics.transitions, metrics.rejected), (State::Closed, 3, 1));
    assert_eq!(metrics.last_failure, Some(9 * MS));
    assert_eq!(metrics.calls, 0, "starts afresh");
}

#[test]
fn slow_calls_open_it_and_a_slow_probe_opens_it_again() {
    let mut b = Breaker::new(Settings::default(), 1);
    for i in 0..10 {
        call(&mut b, i * MS, Outcome::Success, if i % 2 == 0 { 60 * MS } else { MS });
    }
    assert_eq!(b.state(), State::Open);
    assert_eq!(b.metrics(10 * MS).mean_response, Duration::from_micros(30_500));
    assert!(call(&mut b, 2_000 * MS, Outcome::Success, 60 * MS));
    assert_eq!(b.state(), State::Open);
}

#[test]
fn old_calls_leave_the_window() {
    let mut b = Breaker::new(Settings::default(), 1);
    for i in 0..9 {
        call(&mut b, i * MS, Outcome::Failure, MS);
    }
    for i in 0..5 {
        call(&mut b, 6_000 * MS + i * MS, Outcome::Failure, MS);
    }
    assert_eq!(b.state(), State::Closed);
    assert_eq!(b.metrics(6_005 * MS).calls, 5);
    assert_eq!(b.metrics(60_000 * MS).calls, 0);
}

#[test]
fn probes_that_never_answer_count_as_failed() {
    let mut b = Breaker::new(Settings::default(), 1);
    for _ in 0..10 {
        call(&mut b, MS, Outcome::Failure, MS);
    }
    for _ in 0..3 {
        assert!(b.allow(1_300 * MS).is_some());
    }
    assert!(b.allow(1_301 * MS).is_none());
    assert!(b.allow(2_300 * MS).is_none());
    assert_eq!(b.state(), State::Open);
    assert!(b.allow(3_600 * MS).is_some(), "half-open again");
}

#[test]
fn probes_close_it_however_seldom_calls_come() {
    let mut b = Breaker::new(Settings::default(), 1);
    for _ in 0..10 {
        call(&mut b, MS, Outcome::Failure, MS);
    }
    for minutes in 1..=3 {
        assert!(call(&mut b, minutes * 60_000 * MS, Outcome::Success, MS), "minute {minutes}");
    }
    assert_eq!(b.state(), State::Closed);
}

#[test]
fn each_probe_has_its_time_to_answer() {
    let mut b = Breaker::new(Settings::default(), 1);
    for _ in 0..10 {
        call(&mut b, MS, Outcome::Failure, MS);
    }
    let (first, second) = (b.allow(1_300 * MS).unwrap(), b.allow(2_200 * MS).unwrap());
    b.record(2_250 * MS, first, Outcome::Success, MS);
    assert!(b.allow(2_900 * MS).is_some(), "the second has half a second left");
    b.record(2_950 * MS, second, Outcome::Success, MS);
    assert_eq!((b.metrics(3_940 * MS).state, b.state()), (State::HalfOpen, State::HalfOpen));
    assert_eq!(b.metrics(3_950 * MS).state, State::Open, "the third never answered");
}

#[test]
fn a_late_answer_of_a_passed_state_changes_nothing() {
    let mut b = Breaker::new(Settings { probes: 1, ..Settings::default() }, 1);
    let early = b.allow(MS).unwrap();
    for _ in 0..10 {
        call(&mut b, MS, Outcome::Failure, MS);
    }
    let probe = b.allow(1_300 * MS).unwrap();
    b.record(1_301 * MS, early, Outcome::Success, MS);
    assert_eq!(b.state(), State::HalfOpen);
    b.record(1_302 * MS, early, Outcome::Failure, MS);
    assert_eq!(b.state(), State::HalfOpen);
    b.record(1_303 * MS, probe, Outcome::Success, MS);
    assert_eq!(b.state(), State::Closed);
}

proptest! {
    #[test]
    fn laws_hold_in_any_order_of_calls_and_answers(
        probes in 1u32..5,
        seed: u64,
        steps in proptest::collection::vec((0u64..600, 0u8..5, any::<bool>()), 0..400),
    ) {
        let settings = Settings { probes, minimum_calls: 4, ..Settings::default() };
        let mut b = Breaker::new(settings, seed);
        let (mut now, mut pending, mut probed) = (Duration::ZERO, Vec::new(), (0, 0));
        for (wait, op, good) in steps {
            now += wait as u32 * MS;
            let before = b.metrics(now);
            if op < 3 {
                let permit = b.allow(now);
                match before.state {
                    State::Closed => prop_assert!(permit.is_some()),
                    State::Open => {
                        prop_assert!(permit.is_none());
                        let opened = before.recent.last().unwrap().at;
                        prop_assert!(now < opened + settings.open_for.mul_f64(1.2));
                    }
                    State::HalfOpen => {
                        if probed.0 != b.generation {
                            probed = (b.generation, 0);
                        }
                        probed.1 += u32::from(permit.is_some());
                        prop_assert!(probed.1 <= probes);
                    }
                }
                pending.extend(permit);
            } else if let Some(p) = pending.pop() {
                let current = p.0 == b.generation;
                let outcome = if good { Outcome::Success } else { Outcome::Failure };
                b.record(now, p, outcome, MS);
                let after = b.metrics(now);
                let bad = after.failure_rate >= settings.failure_rate;
                match (current, before.state, after.state) {
                    (false, was, is) => prop_assert_eq!(was, is),
                    (true, State::Closed, State::Closed) =>
                        prop_assert!(after.calls < 4 || !bad),
                    (true, State::Closed, is) => {
                        prop_assert_eq!(is, State::Open);
                        prop_assert!(after.calls >= 4 && bad);
                    }
                    (true, State::HalfOpen, is) =>
                        prop_assert_eq!(is == State::Open, !good),
                    (true, State::Open, _) => prop_assert!(false, "a call while open"),
                }
            }
            let recent = b.metrics(now).recent;
            prop_assert!(recent.len() <= TRANSITIONS_KEPT);
            for pair in recent.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
                let opened = pair[0].to == State::Open;
                prop_assert!(!opened || pair[1].at >= pair[0].at + settings.open_for);
            }
        }
    }
}
