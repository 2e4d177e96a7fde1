//! Scoring threads: order, panics, busy loops left behind, the limit on them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test binary")]

mod common;

use actors::worker::{ABANDONED_THREADS, Abandoned, Outcome, Refused, ScoringThread, Settings};
use common::{MS, clock};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

enum Job {
    Add(u64),
    Panic,
    Spin(Arc<AtomicBool>),
}

struct Rig {
    worker: ScoringThread<Job, u64>,
    outcomes: Receiver<Outcome<u64>>,
    abandoned: Arc<Abandoned>,
    made: Arc<AtomicU64>,
}

/// A worker that adds up what it is given; its state is the sum.
fn rig(capacity: usize, abandoned: &Arc<Abandoned>) -> Rig {
    rig_with(ScoringThread::start, capacity, abandoned)
}

fn rig_with(
    start: fn(Settings<Job, u64>) -> ScoringThread<Job, u64>,
    capacity: usize,
    abandoned: &Arc<Abandoned>,
) -> Rig {
    let (send, outcomes) = channel();
    let send = Mutex::new(send);
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let worker = start(Settings {
        name: "adder".into(),
        capacity,
        factory: Arc::new(move || {
            count.fetch_add(1, SeqCst);
            let mut sum = 0;
            Box::new(move |job| {
                match job {
                    Job::Add(n) => sum += n,
                    Job::Panic => panic!("bad job"),
                    Job::Spin(stop) => {
                        while !stop.load(SeqCst) {
                            std::hint::spin_loop();
                        }
                        sum = 666;
                    }
                }
                sum
            })
        }),
        deliver: Arc::new(move |outcome| drop(send.lock().unwrap().send(outcome))),
        clock: clock(),
        abandoned: Arc::clone(abandoned),
    });
    Rig { worker, outcomes, abandoned: Arc::clone(abandoned), made }
}

impl Rig {
    fn next(&self) -> Outcome<u64> {
        self.outcomes.recv_timeout(Duration::from_secs(5)).expect("an outcome")
    }

    fn submit(&self, job: Job) {
        assert!(self.worker.submit(job).is_ok());
    }

    fn spin(&self, stop: &Arc<AtomicBool>) {
        self.submit(Job::Spin(Arc::clone(stop)));
        wait(|| self.worker.busy_since().is_some());
    }
}

fn wait(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(MS);
    }
}

#[test]
fn jobs_are_done_in_order_with_state_and_a_panic_makes_it_fresh() {
    let rig = rig(8, &Arc::default());
    for n in 1..=3 {
        rig.submit(Job::Add(n));
    }
    rig.submit(Job::Panic);
    rig.submit(Job::Add(5));
    let got: Vec<_> = (0..5).map(|_| rig.next()).collect();
    let panicked = Outcome::Panicked("bad job".into());
    let done = Outcome::Done;
    assert_eq!(got, [done(1), done(3), done(6), panicked, done(5)]);
    assert_eq!(rig.made.load(SeqCst), 2);
    assert_eq!(rig.worker.view().generation, 0);
}

#[test]
fn the_queue_is_bounded() {
    let rig = rig(2, &Arc::default());
    let stop = Arc::new(AtomicBool::new(false));
    rig.spin(&stop);
    rig.submit(Job::Add(1));
    rig.submit(Job::Add(1));
    assert!(matches!(rig.worker.submit(Job::Add(1)), Err(Refused::Full(Job::Add(1)))));
    stop.store(true, SeqCst);
    assert_eq!(rig.next(), Outcome::Done(666));
    assert_eq!(rig.next(), Outcome::Done(667));
}

#[test]
fn a_busy_loop_is_left_behind_and_its_late_result_dropped() {
    let mut rig = rig(4, &Arc::default());
    let stop = Arc::new(AtomicBool::new(false));
    rig.spin(&stop);
    rig.submit(Job::Add(1_000));
    let began = Instant::now();
    assert!(rig.worker.abandon());
    rig.submit(Job::Add(7));
    assert_eq!(rig.next(), Outcome::Done(7));
    assert!(began.elapsed() < 100 * MS, "{:?}", began.elapsed());
    assert_eq!((rig.abandoned.alive(), rig.abandoned.ever()), (1, 1));
    assert_eq!(rig.worker.view().generation, 1);
    stop.store(true, SeqCst);
    wait(|| rig.abandoned.alive() == 0);
    rig.submit(Job::Add(1));
    assert_eq!(rig.next(), Outcome::Done(8), "neither 666 nor the job that was queued");
    assert!(rig.outcomes.try_recv().is_err());
}

#[test]
fn too_many_abandoned_threads_leave_a_worker_down_until_one_ends() {
    let abandoned = Arc::default();
    let mut rig = rig(1, &abandoned);
    let stops: Vec<_> = (0..ABANDONED_THREADS)
        .map(|i| {
            let stop = Arc::new(AtomicBool::new(false));
            rig.spin(&stop);
            assert_eq!(rig.worker.abandon(), i + 1 < ABANDONED_THREADS);
            stop
        })
        .collect();
    assert!(matches!(rig.worker.submit(Job::Add(1)), Err(Refused::Dead(Job::Add(1)))));
    assert_eq!((abandoned.alive(), abandoned.refused()), (ABANDONED_THREADS, 1));
    assert!(!rig.worker.view().alive && !rig.worker.revive());
    stops[0].store(true, SeqCst);
    wait(|| rig.worker.revive());
    rig.submit(Job::Add(3));
    assert_eq!(rig.next(), Outcome::Done(3));
    stops.iter().for_each(|s| s.store(true, SeqCst));
    wait(|| abandoned.alive() == 0);
}

#[test]
fn dropped_workers_end_their_threads_and_idle_ones_are_not_counted() {
    let abandoned = Arc::default();
    let idle = rig(1, &abandoned);
    idle.submit(Job::Add(1));
    assert_eq!(idle.next(), Outcome::Done(1));
    wait(|| idle.worker.busy_since().is_none());
    drop(idle.worker);
    assert_eq!(abandoned.ever(), 0);
    let busy = rig(1, &abandoned);
    let stop = Arc::new(AtomicBool::new(false));
    busy.spin(&stop);
    drop(busy.worker);
    assert_eq!(abandoned.alive(), 1);
    stop.store(true, SeqCst);
    wait(|| abandoned.alive() == 0);
    assert!(busy.outcomes.recv_timeout(20 * MS).is_err(), "nothing is delivered after the drop");
}

#[test]
fn a_factory_that_panics_leaves_the_worker_dead_and_it_can_be_revived() {
    let broken = Arc::new(AtomicBool::new(true));
    let (flag, (send, outcomes)) = (Arc::clone(&broken), channel());
    let send = Mutex::new(send);
    let mut worker: ScoringThread<u64, u64> = ScoringThread::start(Settings {
        name: "broken".into(),
        capacity: 1,
        factory: Arc::new(move || {
            assert!(!flag.load(SeqCst), "no model");
            Box::new(|n| n)
        }),
        deliver: Arc::new(move |outcome| drop(send.lock().unwrap().send(outcome))),
        clock: clock(),
        abandoned: Arc::default(),
    });
    wait(|| !worker.view().alive);
    wait(|| matches!(worker.submit(1), Err(Refused::Dead(1))));
    broken.store(false, SeqCst);
    assert!(worker.revive());
    worker.submit(2).unwrap();
    assert_eq!(outcomes.recv_timeout(Duration::from_secs(5)), Ok(Outcome::Done(2)));
}

#[test]
fn an_inline_worker_does_its_jobs_at_once_and_has_fresh_state_after_a_panic() {
    let mut rig = rig_with(ScoringThread::inline, 1, &Arc::default());
    for job in [Job::Add(1), Job::Add(2), Job::Panic, Job::Add(5)] {
        rig.submit(job);
    }
    let got: Vec<_> = rig.outcomes.try_iter().collect();
    let panicked = Outcome::Panicked("bad job".into());
    let done = Outcome::Done;
    assert_eq!(got, [done(1), done(3), panicked, done(5)]);
    assert!(rig.worker.view().alive && rig.worker.busy_since().is_none() && rig.worker.revive());
}
