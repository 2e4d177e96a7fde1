//! What a million threats cost a node, and what it costs to find and repair differences between two
//! nodes that know them.
//!
//! `cargo run --release -p regions --example million_threats`

use regions::anti_entropy::{answer, begin};
use regions::clock::{HybridClock, Replica, Stamp};
use regions::threats::{Count, Record, ThreatState};
use std::collections::VecDeque;
use threat::entity::Entity;
use threat::entropy::Rng;
use threat::threats::Indicators;
use threat::{Host, Severity, Threat, ThreatClass, ThreatId, Timestamp, codec};

const THREATS: u32 = 1_000_000;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let before = resident()?;
    let mut a = ThreatState::new([9; 32]);
    let start = now();
    for n in 0..THREATS {
        a.take(record(n, 1))?;
    }
    let took = now() - start;
    let resident = resident()? - before;
    println!("{THREATS} threats: {} bytes each resident", resident / u64::from(THREATS));
    println!("taking one: {:.2} us", took * 1e6 / f64::from(THREATS));
    a.take_changed(usize::MAX, usize::MAX);
    for differences in [0, 10, 100, 500, 1_000, 10_000] {
        let mut b = a.clone();
        for n in 0..differences {
            // One that a lacks, and one of which it knows less.
            b.take(record(THREATS + n, 1))?;
            a.take(record(n * 7, 2 + u64::from(differences)))?;
        }
        // More than one exchange holds is left to the next, which follows at once.
        let (mut exchanges, mut all) = (0, (0, 0, 0.0));
        while exchanges == 0 || a.digests() != b.digests() {
            let (hops, bytes, took) = exchange(&mut a, &mut b)?;
            all = (all.0 + hops, all.1 + bytes, all.2 + took);
            exchanges += 1;
        }
        let (hops, bytes, took) = (all.0, all.1, all.2 * 1e3);
        println!(
            "{differences} differences on each side: digests equal after {exchanges} exchanges, \
             {bytes} bytes, {hops} messages one after the other, {took:.0} ms"
        );
    }
    Ok(())
}

/// A threat as detection makes it: a few targets, a rule.
fn record(n: u32, source: u64) -> Record {
    let mut rng = Rng::new(u64::from(n));
    let entity = Entity::Host(Host::parse(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255)));
    let class = ThreatClass::ALL[rng.below(ThreatClass::ALL.len())];
    let (mut targets, mut rules) = (Indicators::default(), Indicators::default());
    for _ in 0..rng.below(6) {
        targets.add(&format!("198.51.{}.{}:443", rng.below(256), rng.below(256)), 1);
    }
    rules.add("Many failed logons from one source", 1);
    let threat = Threat {
        id: ThreatId::of(&entity, class, 0),
        entity,
        class,
        technique: class.technique().map(Into::into),
        severity: Severity::Medium,
        score: rng.unit() as f32 * 9.0,
        first_seen: Timestamp::from_micros(1),
        last_seen: Timestamp::from_micros(2),
        count: 3,
        targets,
        rules,
        voters: Default::default(),
        missing: Default::default(),
        labels: Default::default(),
    };
    Record::of(&threat, Count { source, segment: 0, offset: 1, verdicts: 3 })
}

/// One exchange; messages that had to wait for another, bytes of all, seconds.
fn exchange(a: &mut ThreatState, b: &mut ThreatState) -> Fallible<(usize, usize, f64)> {
    let mut clock = HybridClock::new(Replica::default(), Stamp::default());
    let (start, mut hops, mut bytes) = (now(), 0, 0);
    let mut queue = VecDeque::from([(false, 1, begin(a))]);
    while let Some((to_a, hop, message)) = queue.pop_front() {
        (hops, bytes) = (hops.max(hop), bytes + codec::encode_narrow(1, &message)?.len());
        let state = if to_a { &mut *a } else { &mut *b };
        let answer = answer(state, &mut clock, Timestamp::from_micros(0), message);
        queue.extend(answer.messages.into_iter().map(|m| (!to_a, hop + 1, m)));
    }
    Ok((hops, bytes, now() - start))
}

/// Bytes of this process in memory.
#[expect(clippy::disallowed_methods, reason = "a measurement; nothing decides by it")]
fn resident() -> Fallible<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

/// Seconds since the first call.
#[expect(clippy::disallowed_methods, reason = "a measurement; nothing decides by it")]
fn now() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64()
}
