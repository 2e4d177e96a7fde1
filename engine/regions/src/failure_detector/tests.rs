use super::*;
use proptest::prelude::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// An observer with peers that beat every 500 ms when they may, and ticks every 100 ms.
struct Bench {
    detector: FailureDetector,
    now: u64,
    changes: Vec<Change>,
}

impl Bench {
    fn new(peers: u64) -> Self {
        let mut detector = FailureDetector::new(Settings::default());
        (0..peers).for_each(|p| detector.watch(Duration::ZERO, p).unwrap());
        Self { detector, now: 0, changes: Vec::new() }
    }

    /// Runs until `end`; `beats` says which peer is heard at which time.
    fn run(&mut self, end: u64, beats: impl Fn(u64, u64) -> bool) {
        while self.now < end {
            self.now += 100;
            if self.now.is_multiple_of(500) {
                let peers: Vec<u64> = self.detector.peers.keys().copied().collect();
                for peer in peers.into_iter().filter(|p| beats(*p, self.now)) {
                    self.detector.heartbeat(ms(self.now), peer, &mut self.changes);
                }
            }
            self.detector.tick(ms(self.now), &mut self.changes);
        }
    }

    fn state(&self, peer: u64) -> State {
        self.detector.state(peer).unwrap()
    }
}

#[test]
fn a_silent_peer_is_suspect_then_dead_and_the_others_are_not() {
    let mut bench = Bench::new(3);
    bench.run(60_000, |_, _| true);
    assert_eq!(bench.changes, []);
    bench.run(61_900, |p, _| p != 1);
    assert_eq!(bench.state(1), State::Alive);
    bench.run(62_100, |p, _| p != 1);
    assert_eq!(bench.state(1), State::Suspect);
    bench.run(62_400, |p, _| p != 1);
    assert_eq!(bench.detector.dead().collect::<Vec<_>>(), [1]);
    let steps: Vec<_> = bench.changes.iter().map(|c| (c.peer, c.from, c.to)).collect();
    assert_eq!(steps, [(1, State::Alive, State::Suspect), (1, State::Suspect, State::Dead)]);
}

#[test]
fn a_peer_that_never_came_is_dead_after_its_time() {
    let mut bench = Bench::new(1);
    bench.run(3_900, |_, _| false);
    assert_eq!(bench.state(0), State::Alive);
    bench.run(4_500, |_, _| false);
    assert_eq!(bench.state(0), State::Dead);
}

#[test]
fn an_observer_that_was_stopped_suspects_nobody() {
    for pause in [100, 400, 700, 900, 1_500, 3_000, 60_000, 3_600_000] {
        for phase in 0..10 {
            let mut bench = Bench::new(5);
            bench.run(20_000 + phase * 100, |_, _| true);
            // Stopped, with nothing heard; after a long pause peers have to connect again.
            bench.now += pause;
            let back = bench.now + if pause < 1_000 { 0 } else { 1_500 };
            bench.run(back + 30_000, |_, now| now > back);
            assert_eq!(bench.changes, [], "a pause of {pause} ms");
        }
    }
}

#[test]
fn what_waited_in_buffers_neither_proves_nor_teaches() {
    let mut bench = Bench::new(1);
    bench.run(10_000, |_, _| true);
    bench.run(14_000, |_, _| false);
    assert_eq!(bench.state(0), State::Dead);
    let before = bench.detector.view(ms(bench.now))[&0];
    for _ in 0..50 {
        bench.detector.heartbeat(ms(bench.now), 0, &mut bench.changes);
    }
    assert_eq!(bench.state(0), State::Dead);
    let after = bench.detector.view(ms(bench.now))[&0];
    assert_eq!((after.mean, after.owes), (before.mean, DEAD_OWES - 1));
    bench.run(16_000, |_, _| true);
    assert_eq!(bench.state(0), State::Alive);
}

#[test]
fn a_link_that_flaps_does_not_flap_the_state() {
    for (up, down) in [(1_000, 2_500), (3_000, 3_000), (5_000, 2_500), (10_000, 4_000)] {
        let mut bench = Bench::new(1);
        let hour = 3_600_000;
        bench.run(hour, |_, now| now % (up + down) < up);
        let (cycles, changes) = (hour / (up + down), bench.changes.len());
        // Until it owes more than one stretch of the link gives; then it is not believed.
        assert!(changes <= 20, "{changes} changes in {cycles} cycles of {up} and {down} ms");
        assert_eq!(bench.state(0), State::Dead);
        // And when the link is good for long enough, it is believed again.
        bench.run(hour + 40_000, |_, _| true);
        assert_eq!(bench.state(0), State::Alive);
    }
}

#[test]
fn falls_are_forgotten_after_a_calm() {
    let mut bench = Bench::new(1);
    bench.run(130_000, |_, _| true);
    bench.run(133_000, |_, _| false);
    bench.run(140_000, |_, _| true);
    assert_eq!(bench.detector.view(ms(bench.now))[&0].falls, 1);
    bench.run(143_000, |_, _| false);
    assert_eq!(bench.detector.view(ms(bench.now))[&0].falls, 2);
    bench.run(300_000, |_, _| true);
    bench.run(303_000, |_, _| false);
    assert_eq!(bench.detector.view(ms(bench.now))[&0].falls, 1);
}

#[test]
fn only_so_many_are_watched_and_strangers_are_counted() {
    let mut bench = Bench::new(PEERS as u64);
    assert_eq!(bench.detector.watch(ms(0), 999), Err(Error::Full));
    assert_eq!(bench.detector.watch(ms(0), 0), Ok(()));
    bench.detector.heartbeat(ms(0), 999, &mut bench.changes);
    assert_eq!((bench.detector.strangers(), bench.detector.state(999)), (1, None));
    bench.detector.forget(0);
    assert_eq!(bench.detector.watch(ms(0), 999), Ok(()));
}

proptest! {
    /// Whatever the arrivals were, even ones that creep apart to teach patience: suspicion grows
    /// with silence, and a silence of the greatest length is death.
    #[test]
    fn suspicion_grows_with_silence_and_ends_in_death(
        gaps in prop::collection::vec(0u64..4_000, 0..300),
    ) {
        let mut bench = Bench::new(1);
        for gap in gaps {
            let end = bench.now + gap;
            bench.run(end, |_, _| false);
            bench.detector.heartbeat(ms(bench.now), 0, &mut bench.changes);
        }
        let mut last = 0.0;
        let start = bench.now;
        while bench.now < start + 7_100 {
            let phi = bench.detector.phi(ms(bench.now), 0).unwrap();
            prop_assert!(phi >= last);
            last = phi;
            let next = bench.now + 100;
            bench.run(next, |_, _| false);
        }
        prop_assert_eq!(bench.state(0), State::Dead);
    }

    /// Calls at any times, also backwards, do not panic, and each change is one step of a chain.
    #[test]
    fn changes_are_a_chain(calls in prop::collection::vec((0u64..100_000, 0u64..4), 0..200)) {
        let mut detector = FailureDetector::new(Settings::default());
        (0..2).for_each(|p| detector.watch(Duration::ZERO, p).unwrap());
        let mut changes = Vec::new();
        for (at, what) in calls {
            match what {
                0 => detector.tick(ms(at), &mut changes),
                peer => detector.heartbeat(ms(at), peer - 1, &mut changes),
            }
        }
        let mut state = [State::Alive; 2];
        for change in changes {
            let peer = change.peer as usize;
            prop_assert!(change.from == state[peer] && change.from != change.to);
            state[peer] = change.to;
        }
        prop_assert_eq!(detector.state(0), Some(state[0]));
    }
}
