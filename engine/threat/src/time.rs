//! Event time. There is no clock here: whoever has one hands its value in.

use serde::{Deserialize, Serialize};

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// A point of event time: microseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From whole microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From seconds since the epoch; `None` when not finite or outside of ±292,000 years.
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        let micros = (secs * MICROS as f64).round();
        (micros.is_finite() && micros.abs() < i64::MAX as f64).then_some(Self(micros as i64))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, as OCSF wants its `time`.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Seconds since the epoch, with a fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / MICROS as f64
    }

    /// Seconds from `earlier` to this; negative when time went backwards.
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / MICROS as f64
    }

    /// The event-time hour that this falls in: part of a threat's identity.
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600 * MICROS)
    }

    /// This plus some seconds, saturating.
    pub fn plus_secs(self, secs: f64) -> Self {
        Self(self.0.saturating_add((secs * MICROS as f64) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_to_microseconds_and_back() {
        let t = Timestamp::from_secs_f64(1_664_462_456.755_299).unwrap();
        assert_eq!(t.micros(), 1_664_462_456_755_299);
        assert_eq!(t.hour(), 462_350);
        assert_eq!(Timestamp::from_micros(-1).secs(), -1);
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(Timestamp::from_secs_f64(bad), None);
        }
    }
}
