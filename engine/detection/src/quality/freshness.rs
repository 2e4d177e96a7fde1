//! Event time of a stream of records: does it go on as it did?
//!
//! A gap is told when it is longer than all before, which is a matter of chance for one gap in as
//! many as were seen (exchangeability), and many times longer at that: by chance alone that needs a
//! tail so heavy that the gaps have no mean.

use super::REFERENCE;
use threat::Timestamp;

/// A gap is told when so many times longer than the longest that was not told.
const TIMES_LONGER: f64 = 10.0;

/// No shorter gap is told, seconds: who reads a report does not look into less.
const GAP_FLOOR: f64 = 300.0;

/// Records that have to go on ahead before time is taken to have moved there, or to go on behind
/// before what was ahead is taken for astray.
const CONFIRMED: u32 = 8;

/// Seconds by which a confirming record may lie before the first one ahead: sensors write flows
/// when these end.
const SLACK: f64 = 60.0;

/// What a record's time says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// So many seconds behind the latest; 0 when it is the latest.
    Behind(f64),
    /// Far ahead: later records will tell what that means.
    Waiting,
    /// Time has moved on over a gap.
    Gap(Timestamp, Timestamp),
    /// So many records before this one were astray, by so many seconds at most.
    Astray(u32, f64),
}

#[derive(Clone, Copy, Debug)]
struct Ahead {
    first: Timestamp,
    latest: Timestamp,
    ahead: u32,
    behind: u32,
}

/// The event time of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// The greatest time that is no stray.
    pub latest: Option<Timestamp>,
    /// Records.
    pub records: u64,
    /// The longest gap that was not told, seconds.
    pub longest: f64,
    pending: Option<Ahead>,
}

impl Course {
    /// The gap that would be told, seconds; infinite until enough records were seen.
    pub fn limit(&self) -> f64 {
        if self.records <= REFERENCE as u64 {
            return f64::INFINITY;
        }
        (self.longest * TIMES_LONGER).max(GAP_FLOOR)
    }

    /// Takes the time of the next record.
    pub fn step(&mut self, time: Timestamp) -> Step {
        self.records += 1;
        let Some(latest) = self.latest else {
            self.latest = Some(time);
            return Step::Behind(0.0);
        };
        let ahead = time.since(latest);
        if self.pending.is_some() || ahead > self.limit() {
            return self.ahead(time, latest);
        }
        if ahead > 0.0 {
            self.longest = self.longest.max(ahead);
            self.latest = Some(time);
        }
        Step::Behind((-ahead).max(0.0))
    }

    fn ahead(&mut self, time: Timestamp, latest: Timestamp) -> Step {
        let new = Ahead { first: time, latest: time, ahead: 0, behind: 0 };
        let wait = self.pending.get_or_insert(new);
        if time.since(wait.first) < -SLACK {
            wait.behind += 1;
            let (strays, by) = (wait.ahead, wait.latest.since(latest));
            if wait.behind < CONFIRMED {
                return Step::Waiting;
            }
            self.pending = None;
            return Step::Astray(strays, by);
        }
        wait.ahead += 1;
        wait.latest = wait.latest.max(time);
        if wait.ahead < CONFIRMED {
            return Step::Waiting;
        }
        let (first, now) = (wait.first, wait.latest);
        self.pending = None;
        self.latest = Some(now);
        Step::Gap(latest, first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(seconds: f64) -> (Course, Timestamp) {
        let (mut course, mut time) = (Course::default(), Timestamp::from_micros(0));
        for _ in 0..=REFERENCE {
            time = time.plus_secs(seconds);
            assert_eq!(course.step(time), Step::Behind(0.0));
        }
        (course, time)
    }

    #[test]
    fn a_long_gap_is_told_and_a_usual_one_is_not() {
        let (mut course, last) = course(40.0);
        let mut time = last.plus_secs(399.0);
        assert_eq!(course.step(time), Step::Behind(0.0));
        let before = time;
        time = time.plus_secs(7_800.0);
        let first = time;
        for _ in 1..CONFIRMED {
            assert_eq!(course.step(time), Step::Waiting);
            time = time.plus_secs(1.0);
        }
        assert_eq!(course.step(time), Step::Gap(before, first));
        assert_eq!(course.step(time.plus_secs(1.0)), Step::Behind(0.0));
    }

    #[test]
    fn a_record_from_the_future_moves_no_time() {
        let (mut course, last) = course(1.0);
        assert_eq!(course.step(last.plus_secs(1e9)), Step::Waiting);
        for i in 1..CONFIRMED {
            assert_eq!(course.step(last.plus_secs(f64::from(i))), Step::Waiting);
        }
        let Step::Astray(1, by) = course.step(last.plus_secs(9.0)) else { panic!("astray") };
        assert!((by - 1e9).abs() < 1.0);
        assert_eq!(course.step(last.plus_secs(10.0)), Step::Behind(0.0));
        assert_eq!(course.step(last.plus_secs(4.0)), Step::Behind(6.0));
    }
}
