//! What a supervisor decides, and laws that hold whatever its children do.

use flow::supervision::{
    Action, Exit, FAILURES_KEPT, Input, Intensity, Policy, Restart, Standing, Strategy, Supervision,
};
use proptest::prelude::*;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn supervision(strategy: Strategy, children: &[Restart]) -> Supervision {
    let named = children.iter().enumerate().map(|(i, &r)| (format!("c{i}"), r));
    let mut s = Supervision::new(Policy::new(strategy), named, 7);
    for child in 0..children.len() {
        s.step(Duration::ZERO, Input::ChildStarted(child), &mut Vec::new());
    }
    s
}

fn exit(s: &mut Supervision, now: Duration, child: usize, reason: Exit) -> Vec<Action> {
    let mut out = Vec::new();
    s.step(now, Input::ChildExited { child, reason }, &mut out);
    out
}

fn stopped(actions: &[Action]) -> Vec<usize> {
    let stop = actions.iter().find_map(|a| match a {
        Action::Stop { children } => Some(children.clone()),
        _ => None,
    });
    stop.unwrap_or_default()
}

fn restarted(actions: &[Action]) -> (Vec<usize>, Duration) {
    let restart = actions.iter().find_map(|a| match a {
        Action::Restart { children, after } => Some((children.clone(), *after)),
        _ => None,
    });
    restart.unwrap_or_default()
}

#[test]
fn each_strategy_takes_its_siblings_along() {
    let all = [Restart::Permanent; 4];
    for (strategy, stop, start) in [
        (Strategy::OneForOne, vec![], vec![1]),
        (Strategy::RestForOne, vec![3, 2], vec![1, 2, 3]),
        (Strategy::OneForAll, vec![3, 2, 0], vec![0, 1, 2, 3]),
    ] {
        for reason in [
            Exit::Normal,
            Exit::Killed,
            Exit::Cancelled,
            Exit::Failed("x".into()),
            Exit::StartupFailed("x".into()),
        ] {
            let mut s = supervision(strategy, &all);
            let actions = exit(&mut s, MS, 1, reason);
            assert_eq!(stopped(&actions), stop);
            assert_eq!(restarted(&actions).0, start);
        }
    }
}

#[test]
fn transient_and_temporary_children_end_as_declared() {
    let children = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let mut s = supervision(Strategy::OneForAll, &children);
    assert_eq!(exit(&mut s, MS, 1, Exit::Normal), []);
    assert_eq!(s.standing(1), Some(Standing::Down));
    assert_eq!(exit(&mut s, MS, 2, Exit::Killed), []);
    assert_eq!(s.failures().len(), 1, "a normal end is no failure");
    // Both have ended, so that only the first comes back.
    let actions = exit(&mut s, MS, 0, Exit::Killed);
    assert_eq!((stopped(&actions), restarted(&actions).0), (vec![], vec![0]));

    let mut s = supervision(Strategy::OneForAll, &children);
    let actions = exit(&mut s, MS, 1, Exit::Killed);
    assert_eq!((stopped(&actions), restarted(&actions).0), (vec![2, 0], vec![0, 1]));
}

#[test]
fn a_second_exit_widens_the_pending_restart_and_never_hurries_it() {
    let mut s = supervision(Strategy::RestForOne, &[Restart::Permanent; 3]);
    let (_, first) = restarted(&exit(&mut s, MS, 2, Exit::Killed));
    let actions = exit(&mut s, 2 * MS, 0, Exit::Killed);
    assert_eq!(stopped(&actions), [1], "the third is down already");
    let (children, second) = restarted(&actions);
    assert_eq!(children, [0, 1, 2]);
    assert!(2 * MS + second >= MS + first);
}

#[test]
fn one_restart_too_many_escalates_once() {
    let mut s = supervision(Strategy::OneForOne, &[Restart::Permanent; 2]);
    for i in 0..5 {
        assert!(!restarted(&exit(&mut s, i * MS, 0, Exit::Killed)).0.is_empty());
        s.step(i * MS, Input::ChildStarted(0), &mut Vec::new());
    }
    let last = exit(&mut s, 6 * MS, 1, Exit::Failed("boom".into()));
    let reason = "more than 5 restarts in 10s; the last was of `c1`, which failed: boom";
    assert_eq!(last, [Action::Escalate { reason: reason.into() }]);
    assert!(s.escalated());
    assert_eq!(exit(&mut s, 7 * MS, 0, Exit::Killed), []);
}

#[test]
fn restarts_leave_the_window() {
    let mut s = supervision(Strategy::OneForOne, &[Restart::Permanent]);
    for i in 0..100u32 {
        let now = i * Duration::from_millis(2_100);
        assert!(!restarted(&exit(&mut s, now, 0, Exit::Killed)).0.is_empty(), "exit {i}");
        s.step(now, Input::ChildStarted(0), &mut Vec::new());
    }
    assert_eq!(s.failures().len(), FAILURES_KEPT);
    assert_eq!(s.exits(0), 100);
}

#[test]
fn the_pause_grows_is_capped_and_is_reset_by_health() {
    let mut policy = Policy::new(Strategy::OneForOne);
    policy.intensity = Intensity { restarts: 1_000, window: Duration::from_secs(10) };
    policy.backoff.jitter = 0.0;
    let mut s = Supervision::new(policy, [("c".to_owned(), Restart::Permanent)], 7);
    let mut now = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let (_, after) = restarted(&exit(&mut s, now, 0, Exit::Killed));
        pauses.push(after.as_millis());
        now += after;
        s.step(now, Input::ChildStarted(0), &mut Vec::new());
    }
    assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000, 2_000]);
    now += policy.backoff.healthy;
    assert_eq!(restarted(&exit(&mut s, now, 0, Exit::Killed)).1.as_millis(), 20);
}

#[test]
fn jitter_repeats_by_seed_and_stays_in_its_range() {
    let run = |seed| {
        let one = [("c".to_owned(), Restart::Permanent)];
        let mut s = Supervision::new(Policy::new(Strategy::OneForOne), one, seed);
        restarted(&exit(&mut s, MS, 0, Exit::Killed)).1
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert!((0..100).all(|seed| (10 * MS..=20 * MS).contains(&run(seed))));
}

/// A world that does what the supervisor says: children up or down, restarts when they are due.
struct World {
    s: Supervision,
    up: Vec<bool>,
    due: Vec<Option<Duration>>,
}

impl World {
    fn exit(&mut self, now: Duration, child: usize, reason: Exit) {
        self.up[child] = false;
        for action in exit(&mut self.s, now, child, reason) {
            match action {
                Action::Stop { children } => {
                    children.iter().for_each(|&c| assert!(self.up[c], "stops what is up"));
                    children.iter().for_each(|&c| self.up[c] = false);
                }
                Action::Restart { children, after } => {
                    assert!(children.is_sorted());
                    children.iter().for_each(|&c| assert!(!self.up[c], "starts what is down"));
                    children.iter().for_each(|&c| self.due[c] = Some(now + after));
                }
                Action::Escalate { .. } => self.up.fill(false),
            }
        }
    }

    fn start_due(&mut self, now: Duration) {
        for child in 0..self.up.len() {
            if self.due[child].is_some_and(|at| at <= now) {
                self.due[child] = None;
                self.up[child] = true;
                self.s.step(now, Input::ChildStarted(child), &mut Vec::new());
            }
        }
    }
}

proptest! {
    #[test]
    fn every_permanent_child_is_up_or_pending_until_it_escalates(
        strategy in prop_oneof![
            Just(Strategy::OneForOne), Just(Strategy::RestForOne), Just(Strategy::OneForAll)
        ],
        seed: u64,
        steps in proptest::collection::vec((0u32..3_000, 0usize..5, 0u8..3), 0..60),
    ) {
        let kinds = [
            Restart::Permanent, Restart::Transient, Restart::Permanent,
            Restart::Temporary, Restart::Permanent,
        ];
        let named = kinds.iter().enumerate().map(|(i, &r)| (format!("c{i}"), r));
        let s = Supervision::new(Policy::new(strategy), named, seed);
        let mut world = World { s, up: vec![false; 5], due: vec![Some(Duration::ZERO); 5] };
        let (mut now, mut times) = (Duration::ZERO, Vec::new());
        world.start_due(now);
        for (wait, child, how) in steps {
            now += wait * MS;
            world.start_due(now);
            if !world.up[child] {
                continue;
            }
            let reason = match how {
                0 => Exit::Normal,
                1 => Exit::Killed,
                _ => Exit::Failed("x".into()),
            };
            let counted = match kinds[child] {
                Restart::Permanent => true,
                Restart::Transient => reason != Exit::Normal,
                Restart::Temporary => false,
            };
            world.exit(now, child, reason);
            if counted {
                times.push(now);
            }
            let recent = times.iter().filter(|&&t| now - t <= Duration::from_secs(10)).count();
            prop_assert_eq!(world.s.escalated(), recent > 5);
            if world.s.escalated() {
                break;
            }
            for (c, kind) in kinds.iter().enumerate() {
                if *kind == Restart::Permanent {
                    prop_assert!(world.up[c] || world.due[c].is_some(), "child {} forgotten", c);
                }
                let standing = world.s.standing(c).unwrap();
                prop_assert_eq!(world.up[c], matches!(standing, Standing::Up(_)));
                prop_assert_eq!(world.due[c].is_some(), matches!(standing, Standing::Pending(_)));
            }
            prop_assert!(world.s.failures().len() <= FAILURES_KEPT);
        }
    }
}
