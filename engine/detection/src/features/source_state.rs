//! What is remembered of a source: the entity that starts flows, asks names and logs on.
//!
//! Hot sources have full windows; one that had to make room keeps its compact part, so that its
//! baselines and age outlive a flood of strangers.

use super::sketch::{Distinct, Halves};
use crate::block::History;
use serde::{Deserialize, Serialize};
use threat::Timestamp;

/// One hour, in seconds.
pub const HOUR: f64 = 3_600.0;
/// Ten minutes, in seconds.
pub const TEN_MINUTES: f64 = 600.0;
/// One minute, in seconds.
pub const MINUTE: f64 = 60.0;

/// Hours that a baseline remembers: a working week's days, so that one odd hour does not become
/// usual.
const BASELINE_HOURS: f32 = 40.0;

/// Sums by the hour: this hour's, and the mean of the hours before.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Hourly {
    hour: i64,
    sum: f32,
    mean: f32,
    hours: f32,
}

impl Hourly {
    /// Adds to this hour. A later hour closes the one before into the baseline.
    pub fn add(&mut self, hour: i64, amount: f32) {
        if self.hours == 0.0 && self.sum == 0.0 {
            self.hour = hour;
        }
        if hour > self.hour {
            self.close();
            self.hour = hour;
            self.sum = 0.0;
        }
        self.sum += amount;
    }

    fn close(&mut self) {
        self.hours = (self.hours + 1.0).min(BASELINE_HOURS);
        self.mean += (self.sum - self.mean) / self.hours;
    }

    /// Whether these are numbers that amounts give: what comes from outside may be none.
    pub const fn sound(&self) -> bool {
        self.sum.is_finite() && self.mean.is_finite() && self.hours.is_finite()
    }

    /// This hour so far.
    pub const fn current(&self) -> f32 {
        self.sum
    }

    /// The mean of the hours before; 0 when there was none.
    pub const fn baseline(&self) -> f32 {
        self.mean
    }
}

/// Classes of events that have tokens: flows, DNS, HTTP, TLS, authentications.
pub const TOKEN_CLASSES: usize = 5;

/// What is kept of every entity: under the budget of 256 bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Compact {
    /// First event.
    pub first_seen: Timestamp,
    /// Newest event.
    pub last_seen: Timestamp,
    /// Events so far.
    pub events: u32,
    /// Bytes sent to external hosts.
    pub bytes_out: Hourly,
    /// Hosts reached on administration ports.
    pub admin_hosts: Hourly,
}

/// What is kept of a hot source.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Source {
    /// The part that outlives its windows.
    pub compact: Compact,
    /// Tokens of its events, one alphabet for each class that has tokens.
    pub histories: [History; TOKEN_CLASSES],
    /// Flows by the minute.
    pub flows: Halves<u32>,
    /// Failed flows by the minute.
    pub failed: Halves<u32>,
    /// Destination hosts by the minute.
    pub hosts: Halves<Distinct<4>>,
    /// Destination hosts and ports by the minute.
    pub ports: Halves<Distinct<8>>,
    /// Destination hosts by ten minutes.
    pub hosts_long: Halves<Distinct<4>>,
    /// Failed flows by ten minutes.
    pub failed_long: Halves<u32>,
    /// Internal hosts reached on administration ports, by the hour.
    pub admin: Halves<Distinct<2>>,
    /// DNS queries by ten minutes.
    pub queries: Halves<u32>,
    /// Of these, names that do not exist.
    pub nxdomain: Halves<u32>,
    /// Registered domains that do not exist.
    pub domains_nx: Halves<Distinct<4>>,
}

/// What is kept of a source with one destination and port.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Pair {
    /// First event.
    pub first: Timestamp,
    /// Newest event.
    pub last: Timestamp,
    /// Events.
    pub count: u32,
    /// Seconds between events.
    pub gaps: super::sketch::Moments,
    /// About the median of those seconds.
    median_gap: f32,
    /// Share of the latest gaps near the median: what jitter and bursts of tasks leave of a beacon.
    pub regularity: f32,
    /// Bytes of events.
    pub bytes: super::sketch::Moments,
}

/// Gaps that a pair's regularity looks back on: two hours of a beacon by the minute.
const PAIR_MEMORY: u32 = 120;

/// Gaps that regularity looks back on.
const REGULAR_MEMORY: f32 = 32.0;

/// A gap within this share of the median is near it: wider than the jitter of common implants
/// (20%).
const NEAR: f32 = 0.35;

impl Pair {
    /// The median follows by steps of a size that shrinks with the gaps seen ("frugal streaming",
    /// Ma, Muthukrishnan, Sandler 2013, on the logarithm).
    fn regular(&mut self, gap: f32) {
        let n = self.count as f32;
        if self.count == 1 || self.median_gap <= 0.0 {
            self.median_gap = gap;
        }
        let step = (1.0 / n.sqrt()).max(0.05);
        self.median_gap *= if gap > self.median_gap { 1.0 + step * 0.5 } else { 1.0 - step * 0.33 };
        let near = (gap - self.median_gap).abs() <= NEAR * self.median_gap;
        self.regularity += (f32::from(u8::from(near)) - self.regularity) / n.min(REGULAR_MEMORY);
    }

    /// Whether these are numbers that events give: what comes from outside may be none.
    pub const fn sound(&self) -> bool {
        let moments = self.gaps.sound() && self.bytes.sound();
        moments && self.median_gap.is_finite() && self.regularity.is_finite()
    }

    /// Adds an event.
    pub fn add(&mut self, time: Timestamp, bytes: f32) {
        if self.count == 0 {
            self.first = time;
        } else {
            let gap = time.since(self.last);
            if gap >= 0.0 {
                self.gaps.add(gap as f32, PAIR_MEMORY);
                self.regular(gap as f32);
            }
        }
        self.bytes.add(bytes, PAIR_MEMORY);
        self.count = self.count.saturating_add(1);
        self.last = self.last.max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::entropy::Rng;

    #[test]
    fn a_jittered_beacon_is_regular_and_a_person_is_not() {
        let mut rng = Rng::new(5);
        let mut run = |mut gap: Box<dyn FnMut(&mut Rng) -> f64>| {
            let mut pair = Pair::default();
            let mut at = Timestamp::default();
            for _ in 0..200 {
                at = at.plus_secs(gap(&mut rng));
                pair.add(at, 100.0);
            }
            pair.regularity
        };
        let beacon = run(Box::new(|r| if r.chance(0.1) { 1.0 } else { r.range(48.0, 72.0) }));
        let person = run(Box::new(|r| (r.normal() * 1.5 + 3.0).exp()));
        assert!(beacon > 0.75, "{beacon}");
        assert!(person < 0.5, "{person}");
    }

    #[test]
    fn compact_state_stays_in_its_budget() {
        assert!(size_of::<Compact>() <= 256, "{}", size_of::<Compact>());
        assert!(size_of::<Source>() <= 1_280, "{}", size_of::<Source>());
    }

    #[test]
    fn an_hour_becomes_the_baseline_of_the_next() {
        let mut h = Hourly::default();
        h.add(10, 5.0);
        h.add(10, 5.0);
        assert_eq!((h.current(), h.baseline()), (10.0, 0.0));
        h.add(11, 1.0);
        assert_eq!((h.current(), h.baseline()), (1.0, 10.0));
        h.add(9, 1.0);
        assert_eq!(h.current(), 2.0);
    }
}
