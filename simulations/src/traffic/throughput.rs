//! Connections by the million for benches: the shapes of real traffic without its story.
//!
//! Some entities are hot and make most events; every other one is visited in turn, so that as many
//! distinct entities are seen as the events allow. No campaigns, no other logs.

use super::conn::{self, Shape};
use super::draw::lognormal;
use super::record::{Body, ConnId, Record, Uid};
use std::net::IpAddr;
use threat::Timestamp;
use threat::entropy::{Rng, mix64};
use threat::event::{ConnState, Protocol};

/// Share of events that hot entities make, as long as every cold one is still seen once.
const HOT_SHARE: f64 = 0.8;
/// Events per second of event time.
const EVENTS_PER_SECOND: f64 = 10_000.0;

/// `events` connections of `entities` distinct source hosts (at most 2^24, in 10.0.0.0/8), of which
/// `hot` make most of them. In event-time order from 2026-03-02T09:00:00Z.
pub fn throughput(seed: u64, events: u64, entities: u32, hot: u32) -> Throughput {
    let entities = entities.clamp(1, 1 << 24);
    let hot = hot.min(entities);
    let cold = entities - hot;
    let needed = if events == 0 { 0.0 } else { f64::from(cold) / events as f64 };
    let cold_share = match (cold, hot) {
        (0, _) => 0.0,
        (_, 0) => 1.0,
        _ => (1.0 - HOT_SHARE).max(needed).min(0.95),
    };
    Throughput {
        rng: Rng::fork(seed, "throughput"),
        left: events,
        micros: 1_772_442_000_000_000.0,
        hot,
        cold,
        cold_share,
        owed: 0.0,
        cold_next: 0,
        mask: mix64(seed) as u32,
    }
}

/// See [`throughput`].
#[derive(Clone, Debug)]
pub struct Throughput {
    rng: Rng,
    left: u64,
    micros: f64,
    hot: u32,
    cold: u32,
    cold_share: f64,
    /// Cold events due.
    owed: f64,
    cold_next: u32,
    mask: u32,
}

impl Throughput {
    fn entity(&mut self) -> u32 {
        self.owed += self.cold_share;
        if self.cold > 0 && self.owed >= 1.0 {
            self.owed -= 1.0;
            let next = self.hot + self.cold_next;
            self.cold_next = (self.cold_next + 1) % self.cold;
            return next;
        }
        self.rng.below(self.hot.max(1) as usize) as u32
    }

    /// Multiplication by an odd number permutes 24 bits: neighbours in number are none in address.
    fn address(&self, entity: u32) -> IpAddr {
        let mixed = entity.wrapping_mul(0x9e_3779 | 1).wrapping_add(self.mask) & 0xff_ffff;
        IpAddr::from((0x0a00_0000 | mixed).to_be_bytes())
    }
}

impl Iterator for Throughput {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.left = self.left.checked_sub(1)?;
        let entity = self.entity();
        let orig = self.address(entity);
        let rng = &mut self.rng;
        self.micros += rng.range(0.0, 2e6 / EVENTS_PER_SECOND);
        // A host's few peers: popular ones for everybody, some of its own.
        let peer =
            if rng.chance(0.7) { rng.below(64) as u64 } else { u64::from(entity % 65_536) << 3 };
        let peer = mix64(peer);
        let resp =
            IpAddr::from([198, 18 | (peer as u8 & 1), (peer >> 8) as u8, (peer >> 16) as u8]);
        let kind = rng.below(100);
        let (port, protocol) = match kind {
            0..30 => (53, Protocol::Udp),
            30..35 => (123, Protocol::Udp),
            35..80 => (443, Protocol::Tcp),
            80..92 => (80, Protocol::Tcp),
            92..96 => (22, Protocol::Tcp),
            _ => (1_024 + rng.below(9_000) as u16, Protocol::Tcp),
        };
        let uid = Uid::draw(rng);
        let orig_port = 32_768 + rng.below(28_000) as u16;
        let id = ConnId { uid, orig, orig_port, resp, resp_port: port, protocol };
        let rtt = 0.004 + 0.08 * rng.unit();
        let conn = match kind {
            0..30 => {
                let asked = 30 + rng.below(30) as u64;
                let answered = asked + 16 + rng.below(120) as u64;
                conn::udp(id, Some("dns"), (1, asked), (1, answered), rtt)
            }
            30..35 => conn::udp(id, Some("ntp"), (1, 48), (1, 48), rtt),
            96..98 => conn::attempt(id, ConnState::S0, rtt, rng),
            98 => conn::attempt(id, ConnState::REJ, rtt, rng),
            _ => {
                let service = match port {
                    443 => Some("ssl"),
                    80 => Some("http"),
                    22 => Some("ssh"),
                    _ => None,
                };
                let (up, down) =
                    (lognormal(rng, 900.0, 0.9) as u64, lognormal(rng, 7_000.0, 1.6) as u64);
                let shape = Shape { turns: 3, greets: port == 22, ..Shape::new(up, down, rtt) };
                let state = conn::usual_end(rng);
                conn::tcp(id, service, state, &shape, rng)
            }
        };
        let time = Timestamp::from_micros(self.micros as i64);
        Some(Record { time, campaign: None, body: Body::Conn(conn) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn counts(events: u64, entities: u32, hot: u32) -> BTreeMap<IpAddr, u32> {
        let mut seen = BTreeMap::new();
        let mut last = Timestamp::from_micros(0);
        for record in throughput(5, events, entities, hot) {
            assert!(record.time >= last);
            last = record.time;
            let Body::Conn(conn) = &record.body else { panic!("only connections") };
            conn::tests::check_laws(conn);
            *seen.entry(conn.id.orig).or_default() += 1;
        }
        seen
    }

    #[test]
    fn every_entity_is_seen_and_hot_ones_most() {
        let seen = counts(60_000, 10_000, 500);
        assert_eq!(seen.len(), 10_000);
        assert_eq!(seen.values().sum::<u32>(), 60_000);
        let mut by_count: Vec<u32> = seen.into_values().collect();
        by_count.sort_unstable_by(|a, b| b.cmp(a));
        assert!(by_count[..500].iter().sum::<u32>() > 45_000);
    }

    #[test]
    fn many_entities_get_most_of_few_events() {
        let seen = counts(20_000, 20_000, 1_000).len();
        assert!(seen >= 19_500, "{seen}");
        assert_eq!(counts(0, 5, 5).len(), 0);
        assert_eq!(counts(1_000, 1, 1).len(), 1);
        assert_eq!(counts(1_000, 50, 0).len(), 50);
    }
}
