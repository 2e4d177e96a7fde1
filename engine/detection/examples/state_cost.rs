//! What it costs to take the state of entities out of an engine and to go on with it: time beside
//! that of describing events, and bytes, for made-up flows of many sources.
//!
//! `cargo run --release -p detection --example state_cost [SOURCES] [EVENTS A CHECKPOINT]`

#![allow(clippy::disallowed_methods, reason = "a measurement reads its arguments and a clock")]

use detection::features::state::Piece;
use detection::features::{Featurizer, Limits, Surroundings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use threat::entropy::Rng;
use threat::event::{ConnState, Flow, Origin};
use threat::limits::BATCH_EVENTS;
use threat::{Body, Endpoint, Event, EventBatch, Host, Timestamp};

const CHECKPOINTS: usize = 10;

fn main() {
    let argument = |n: usize, or: usize| {
        std::env::args().nth(n).and_then(|text| text.parse().ok()).unwrap_or(or)
    };
    let (sources, events) = (argument(1, 5_000), argument(2, 100_000));
    let (mut rng, mut now) = (Rng::new(7), Timestamp::from_micros(1_700_000_000_000_000));
    let (mut around, mut featurizer) =
        (Surroundings::default(), Featurizer::new(Limits::per_shard(1)));
    drop((around.take_changed(), featurizer.take_changed()));
    let (mut described, mut taking) = (Duration::ZERO, Duration::ZERO);
    let mut kept: BTreeMap<(u8, u64), Piece> = BTreeMap::new();
    let (mut pieces, mut bytes) = (0, 0);
    for _ in 0..CHECKPOINTS {
        for _ in 0..events.div_ceil(BATCH_EVENTS) {
            let batch = Arc::new(batch(&mut rng, &mut now, sources));
            let rows = (0..batch.events.len() as u32).collect();
            described += elapsed(|| {
                let near = around.observe(&batch);
                drop(featurizer.extract(&batch, rows, &near, None));
            });
        }
        let mut taken = Vec::new();
        taking += elapsed(|| {
            taken = featurizer.take_changed();
            taken.extend(around.take_changed());
        });
        pieces += taken.len();
        bytes += taken.iter().map(|p| p.bytes.len()).sum::<usize>();
        kept.extend(taken.into_iter().map(|p| ((p.kind, p.key), p)));
    }
    let mut other = Featurizer::new(Limits::per_shard(1));
    let own: Vec<&Piece> = kept.values().filter(|p| p.kind < 7).collect();
    let restored = elapsed(|| own.iter().for_each(|p| drop(other.restore(p))));
    let entities = own.iter().map(|p| p.owner).collect::<BTreeSet<u64>>().len();
    let whole: usize = own.iter().map(|p| p.bytes.len()).sum();
    println!(
        "{sources} sources, {events} events a checkpoint: taking costs {:.1}% of describing, \
         {:.1} us and {:.0} bytes a piece, {} pieces and {} kB a checkpoint",
        100.0 * taking.as_secs_f64() / described.as_secs_f64(),
        taking.as_secs_f64() * 1e6 / pieces as f64,
        bytes as f64 / pieces as f64,
        pieces / CHECKPOINTS,
        bytes / CHECKPOINTS / 1_000
    );
    println!(
        "whole: {entities} entities of {} bytes in {} pieces each, restored in {restored:?}",
        whole / entities.max(1),
        own.len() / entities.max(1)
    );
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock; nothing decides by it")]
fn elapsed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

/// Flows of sources of which few do much, each with some peers.
fn batch(rng: &mut Rng, now: &mut Timestamp, sources: usize) -> EventBatch {
    let host = |n: u32| Host::Ip(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into());
    let events = (0..BATCH_EVENTS).map(|_| {
        *now = now.plus_secs(0.000_1);
        let source = (rng.unit().powi(2) * sources as f64) as u32;
        let flow = Flow {
            state: if rng.chance(0.05) { ConnState::S0 } else { ConnState::SF },
            orig_bytes: Some((2.0 * rng.normal() + 6.0).exp() as u64),
            resp_bytes: Some((2.0 * rng.normal() + 8.0).exp() as u64),
            ..Flow::default()
        };
        let mut event = Event::new(*now, Origin::new("zeek", "conn"), Body::Flow(flow));
        event.src = Some(Endpoint { host: host(source), port: None });
        let peer = 0x0010_0000 + source * 7 % 900 + rng.below(6) as u32;
        event.dst = Some(Endpoint { host: host(peer), port: Some(443) });
        event
    });
    EventBatch { events: events.collect(), ..EventBatch::default() }
}
