//! How soon a corrupt feed is told, and how often a clean one is: seeded flows of an office, clean
//! for `CLEAN` records, then corrupt in a share of them.
//!
//! `cargo run --release -p detection --example quality_streams`

use detection::quality::{Note, Quality};
use threat::entropy::Rng;
use threat::event::{Body, ConnState, Flow, Origin, Protocol};
use threat::{Endpoint, Event, EventBatch, Host, IntakeCounts, Text, Timestamp};

/// Records before the corruption: the reference, and all that are looked at one by one.
const CLEAN: usize = 40_000;
/// Records after it.
const CORRUPT: usize = 60_000;
/// Streams of a kind.
const STREAMS: u64 = 25;
/// Streams that stay clean, and their records.
const STATIONARY: (u64, usize) = (200, 100_000);
/// Machines.
const HOSTS: usize = 60;

fn flow(rng: &mut Rng, time: Timestamp) -> Event {
    let fails = rng.chance(0.2);
    let amount = |rng: &mut Rng, mean: f64| (!fails).then(|| (mean + 1.5 * rng.normal()).exp());
    let protocol = if rng.chance(0.3) { Protocol::Udp } else { Protocol::Tcp };
    let flow = Flow {
        protocol,
        state: if fails { ConnState::S0 } else { ConnState::SF },
        service: rng.chance(0.7).then(|| Text::from("ssl")),
        duration: amount(rng, -1.0),
        orig_bytes: amount(rng, 6.0).map(|v| v as u64),
        resp_bytes: amount(rng, 8.0).map(|v| v as u64),
        ..Flow::default()
    };
    let host = |n: usize| Host::Ip(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into());
    let mut event = Event::new(time, Origin::new("zeek", "conn"), Body::Flow(flow));
    let port = Some(rng.below(60_000) as u16);
    event.src = Some(Endpoint { host: host(rng.below(HOSTS)), port });
    event.dst = Some(Endpoint { host: host(70_000), port: Some(443) });
    event
}

type Corruption = fn(&mut Flow, &mut Rng);

const KINDS: [(&str, Corruption); 5] = [
    ("orig_bytes dropped", |f, _| f.orig_bytes = None),
    ("duration times 1e6", |f, _| f.duration = f.duration.map(|d| d * 1e6)),
    ("duration by 3,600", |f, _| f.duration = f.duration.map(|d| d / 3_600.0)),
    ("proto always tcp", |f, _| f.protocol = Protocol::Tcp),
    ("service of 1,000 values", |f, r| f.service = Some(format!("s{}", r.below(1_000)).into())),
];

/// The number of records after the corruption until something was told, and what was told.
fn watch(
    seed: u64,
    (clean, corrupt): (usize, usize),
    share: f64,
    with: Corruption,
) -> (Option<usize>, Vec<Note>, u64) {
    let (mut rng, mut quality) = (Rng::new(seed), Quality::default());
    let mut counts = IntakeCounts::default();
    let mut time = Timestamp::from_micros(1_767_600_000_000_000);
    let mut delay = None;
    for i in 0..clean + corrupt {
        time = time.plus_secs(rng.exponential(0.1));
        let mut event = flow(&mut rng, time);
        if let (true, Body::Flow(f)) = (i >= clean && rng.chance(share), &mut event.body) {
            with(f, &mut rng);
        }
        counts.add(&IntakeCounts { read: 1, events: 1, ..IntakeCounts::default() });
        quality.observe(&EventBatch { events: vec![event], counts, ..EventBatch::default() });
        if i >= clean && delay.is_none() && !quality.notes().is_empty() {
            delay = Some(i - clean);
            break;
        }
    }
    let compared = quality.compared().values().sum();
    (delay, quality.notes(), compared)
}

fn main() {
    println!("{:26} {:>6} {:>8} {:>24}", "corruption", "share", "told", "records until: median");
    for (name, with) in KINDS {
        for share in [0.05, 0.2, 1.0] {
            let mut delays: Vec<usize> = (0..STREAMS)
                .filter_map(|seed| watch(seed, (CLEAN, CORRUPT), share, with).0)
                .collect();
            delays.sort_unstable();
            let median = delays.get(delays.len() / 2).map_or("-".to_owned(), ToString::to_string);
            let told = format!("{}/{STREAMS}", delays.len());
            println!("{name:26} {:>5.0}% {told:>8} {median:>24}", share * 100.0);
        }
    }
    let (mut told, mut compared) = (0, 0);
    for seed in 0..STATIONARY.0 {
        let (_, notes, seen) = watch(1_000 + seed, (STATIONARY.1, 0), 0.0, |_, _| {});
        told += notes.len();
        compared += seen;
    }
    println!("clean: {told} notes in {} streams, {compared} observations", STATIONARY.0);
}
