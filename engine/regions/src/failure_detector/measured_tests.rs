//! How soon a death is seen and how often a living peer is suspected, on made-up arrivals.

use super::*;
use threat::entropy::Rng;

const SEEDS: u64 = 8;
const HOUR: u64 = 3_600_000;

/// What a link and the observer's machine do.
#[derive(Clone, Copy)]
struct Link {
    name: &'static str,
    /// Mean of an exponential delay, in milliseconds.
    jitter: f64,
    loss: f64,
    /// Chance per heartbeat that the link is jammed, and then gives all at once, in milliseconds.
    jam: (f64, f64),
    /// Chance per second that the observer is stopped, for up to so many milliseconds.
    pause: (f64, f64),
    /// False deaths that are allowed in all hours together.
    wrong: usize,
}

const QUIET: Link =
    Link { name: "quiet", jitter: 1.0, loss: 0.0, jam: (0.0, 0.0), pause: (0.0, 0.0), wrong: 0 };

const LINKS: [Link; 7] = [
    QUIET,
    Link { name: "jitter 80 ms", jitter: 80.0, ..QUIET },
    Link { name: "loss 1%", jitter: 20.0, loss: 0.01, ..QUIET },
    // A death takes four or five lost in a row: of 57,600 of which a tenth is lost, four are
    // 5 times, five 0.5 times. Other observers do not lose the same ones.
    // A stream loses none, it is late.
    Link { name: "loss 5%", jitter: 20.0, loss: 0.05, wrong: 2, ..QUIET },
    Link { name: "loss 10%", jitter: 20.0, loss: 0.10, wrong: 6, ..QUIET },
    Link { name: "jams to 1.5 s", jitter: 20.0, jam: (0.02, 1_500.0), ..QUIET },
    Link { name: "observer stops", jitter: 20.0, pause: (0.02, 5_000.0), ..QUIET },
];

/// When heartbeats arrive that are sent until `end`, in order.
fn arrivals(link: &Link, end: u64, rng: &mut Rng) -> Vec<u64> {
    let mut jammed_until = 0;
    let mut at = Vec::new();
    for sent in (0..end).step_by(500) {
        if rng.chance(link.jam.0) {
            jammed_until = sent + rng.range(0.0, link.jam.1) as u64;
        }
        let delay = -link.jitter * (1.0 - rng.unit()).ln();
        if !rng.chance(link.loss) {
            at.push((sent + delay as u64).max(jammed_until));
        }
    }
    at.sort_unstable();
    at
}

/// Milliseconds until death was seen, after an hour of life; and how often it was wrongly suspect
/// and dead in that hour.
fn run(link: &Link, seed: u64) -> (u64, usize, usize) {
    let mut rng = Rng::fork(seed, link.name);
    let mut detector = FailureDetector::new(Settings::default());
    detector.watch(Duration::ZERO, 1).unwrap();
    let death = HOUR + rng.below(500) as u64;
    let mut waiting = arrivals(link, death, &mut rng).into_iter().peekable();
    let (mut changes, mut wrong) = (Vec::new(), (0, 0));
    let mut now = 0;
    loop {
        now += 100;
        if now < death && rng.chance(link.pause.0 / 10.0) {
            now += rng.range(0.0, link.pause.1) as u64;
        }
        while let Some(at) = waiting.next_if(|at| *at <= now) {
            // An observer that was stopped reads what waited when it runs again.
            let read = at.max(now - 100);
            detector.heartbeat(Duration::from_millis(read), 1, &mut changes);
        }
        detector.tick(Duration::from_millis(now), &mut changes);
        for change in changes.drain(..) {
            match change.to {
                State::Dead if now >= death => return (now - death, wrong.0, wrong.1),
                State::Suspect if now < death => wrong.0 += 1,
                State::Dead => wrong.1 += 1,
                _ => {}
            }
        }
        assert!(now < death + 10_000, "the death is not seen");
    }
}

#[test]
fn deaths_are_seen_soon_and_the_living_are_rarely_suspected() {
    for link in &LINKS {
        let runs: Vec<_> = (0..SEEDS).map(|seed| run(link, seed)).collect();
        let mut delays: Vec<u64> = runs.iter().map(|r| r.0).collect();
        delays.sort_unstable();
        let suspect: usize = runs.iter().map(|r| r.1).sum();
        let dead: usize = runs.iter().map(|r| r.2).sum();
        let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
        println!(
            "{:>14}: death seen after {median} ms, at most {worst} ms; wrongly suspect {suspect}, \
             dead {dead} in {SEEDS} hours",
            link.name
        );
        // Who was stopped just before sees nothing meanwhile, and gives the peer time afterwards.
        let late = 3_000 + 2 * link.pause.1 as u64;
        assert!(worst <= late, "{}: {worst} ms", link.name);
        assert!(dead <= link.wrong, "{}: {dead} wrong deaths", link.name);
    }
}
