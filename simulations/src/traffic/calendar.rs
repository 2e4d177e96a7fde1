//! Civil time and the working day: dates of a timestamp, and each person's own hours.
//!
//! All times are UTC: the simulated office stands on the Greenwich meridian and knows no summer
//! time. Dates follow Hinnant, "chrono-compatible low-level date algorithms".

use threat::Timestamp;
use threat::entropy::{Rng, mix64};

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// A date and time of day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub micros: u32,
}

impl Civil {
    pub(super) fn of(t: Timestamp) -> Self {
        let (days, within) = (t.micros().div_euclid(DAY), t.micros().rem_euclid(DAY));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let secs = within / 1_000_000;
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: (doy - (153 * mp + 2) / 5 + 1) as u32,
            hour: (secs / 3_600) as u32,
            minute: (secs / 60 % 60) as u32,
            second: (secs % 60) as u32,
            micros: (within % 1_000_000) as u32,
        }
    }

    /// `None` for a date that does not exist.
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        let y = self.year - i64::from(self.month <= 2);
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let mp = (i64::from(self.month) + 9) % 12;
        let doy = (153 * mp + 2) / 5 + i64::from(self.day) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let days = era * 146_097 + doe - 719_468;
        let secs =
            i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let t = Timestamp::from_micros(days * DAY + secs * 1_000_000 + i64::from(self.micros));
        (Self::of(t) == self).then_some(t)
    }

    /// Reads `2026-03-02T09:00:00Z`; the time or its seconds may be left out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z').unwrap_or(text);
        let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
        let mut d = date.splitn(3, '-');
        let mut t = time.splitn(3, ':');
        Some(Self {
            year: d.next()?.parse().ok().filter(|y| (1970..=9999).contains(y))?,
            month: d.next()?.parse().ok()?,
            day: d.next()?.parse().ok()?,
            hour: t.next()?.parse().ok()?,
            minute: t.next()?.parse().ok()?,
            second: t.next().map_or(Some(0), |s| s.parse().ok())?,
            micros: 0,
        })
    }
}

/// Days since the epoch.
pub(super) fn day(t: Timestamp) -> i64 {
    t.micros().div_euclid(DAY)
}

/// Hours since midnight.
pub(super) fn hour_of_day(t: Timestamp) -> f64 {
    t.micros().rem_euclid(DAY) as f64 / 3.6e9
}

/// Saturday or Sunday.
pub(super) fn weekend(day: i64) -> bool {
    // 1 January 1970 was a Thursday.
    matches!((day + 4).rem_euclid(7), 0 | 6)
}

/// That many hours after midnight of a day.
pub(super) fn at(day: i64, hours: f64) -> Timestamp {
    Timestamp::from_micros(day * DAY + (hours * 3.6e9) as i64)
}

/// How busy an organisation's outside world is at that time: 1 at noon of a working day.
pub(super) fn daylight(t: Timestamp) -> f64 {
    let h = hour_of_day(t);
    let bump = (-((h - 13.0) / 4.5).powi(2)).exp();
    let week = if weekend(day(t)) { 0.3 } else { 1.0 };
    0.08 + 0.92 * bump * week
}

/// When one person works.
#[derive(Clone, Debug)]
pub(super) struct Rhythm {
    seed: u64,
    start: f64,
    end: f64,
    lunch: f64,
    lunch_hours: f64,
    /// Sometimes works on a weekend.
    keen: bool,
}

impl Rhythm {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let start = (8.6 + 0.7 * rng.normal()).clamp(6.5, 10.5);
        Self {
            seed: rng.next_u64(),
            start,
            end: (start + 8.6 + 0.6 * rng.normal()).clamp(start + 5.0, 20.5),
            lunch: (12.3 + 0.4 * rng.normal()).clamp(11.25, 13.75),
            lunch_hours: rng.range(0.4, 1.0),
            keen: rng.chance(0.1),
        }
    }

    /// From and to in hours of that day, or `None` when off.
    fn hours(&self, day: i64) -> Option<(f64, f64)> {
        let mut rng = Rng::new(mix64(self.seed ^ day as u64));
        let shift = 0.3 * rng.normal().clamp(-2.5, 2.5);
        let works = if weekend(day) { self.keen && rng.chance(0.4) } else { !rng.chance(0.04) };
        let from = self.start + shift;
        let to =
            if weekend(day) { from + rng.range(1.0, 3.0) } else { self.end + rng.range(-0.5, 0.9) };
        works.then_some((from, to))
    }

    pub(super) fn active(&self, t: Timestamp) -> bool {
        let h = hour_of_day(t);
        self.hours(day(t)).is_some_and(|(from, to)| {
            h >= from && h < to && !(h >= self.lunch && h < self.lunch + self.lunch_hours)
        })
    }

    /// `t` if working then, else the next begin of work within two weeks.
    pub(super) fn next_active(&self, t: Timestamp) -> Timestamp {
        if self.active(t) {
            return t;
        }
        let today = day(t);
        for d in today..today + 14 {
            let Some((from, to)) = self.hours(d) else { continue };
            let back = self.lunch + self.lunch_hours;
            for hour in [from, if back < to { back } else { from }] {
                if at(d, hour) > t {
                    return at(d, hour).plus_secs(1e-3);
                }
            }
        }
        at(today + 14, self.start)
    }

    /// Whether this day's work begins within `secs` before `t`.
    pub(super) fn just_started(&self, t: Timestamp, secs: f64) -> bool {
        self.hours(day(t)).is_some_and(|(from, _)| (0.0..secs).contains(&t.since(at(day(t), from))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use threat::entropy::Rng;

    proptest! {
        #[test]
        fn dates_round_trip(secs in 0i64..4_000_000_000) {
            let t = Timestamp::from_micros(secs * 1_000_000 + 7);
            prop_assert_eq!(Civil::of(t).timestamp(), Some(t));
        }

        #[test]
        fn work_begins_when_told(seed: u64, secs in 1_700_000_000i64..1_800_000_000) {
            let rhythm = Rhythm::draw(&mut Rng::new(seed));
            let t = Timestamp::from_micros(secs * 1_000_000);
            let next = rhythm.next_active(t);
            prop_assert!(next >= t);
            prop_assert!(rhythm.active(next) || next.since(t) > 86_400.0);
        }
    }

    #[test]
    fn known_dates() {
        let t = Civil::parse("2026-03-02T09:00:00Z").and_then(Civil::timestamp).unwrap();
        assert_eq!(t.secs(), 1_772_442_000);
        assert!(!weekend(day(t)) && weekend(day(t) - 1) && weekend(day(t) - 2));
        assert_eq!(Civil::parse("2026-02-30").and_then(Civil::timestamp), None);
        assert!((hour_of_day(t) - 9.0).abs() < 1e-9);
        assert!(daylight(t) > 4.0 * daylight(t.plus_secs(-6.0 * 3600.0)));
    }
}
