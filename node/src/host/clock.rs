//! What time it is, for those who may ask.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use threat::Timestamp;

pub use actors::ports::Clock;

/// The calendar year of a time, UTC; 1970 for times that no calendar has.
pub fn year(time: Timestamp) -> i16 {
    jiff::Timestamp::from_microsecond(time.micros())
        .map_or(1970, |t| t.to_zoned(jiff::tz::TimeZone::UTC).year())
}

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Timestamp {
        // A clock before 1970 is a broken one; the epoch is as good as any other time then.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Time since the machine was started, with the time in which it slept, where the system can tell
/// it (`CLOCK_BOOTTIME` of Linux); elsewhere without.
#[derive(Clone, Copy, Debug)]
pub struct BootClock {
    #[cfg(not(target_os = "linux"))]
    start: Instant,
}

impl BootClock {
    /// The clock.
    pub fn start() -> Self {
        Self {
            #[cfg(not(target_os = "linux"))]
            start: Instant::now(),
        }
    }
}

impl cluster::coordinator::Clock for BootClock {
    #[cfg(target_os = "linux")]
    fn now(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // It counts from the start of the machine, so that nothing in it is negative.
        let secs = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or_default())
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_is_of_this_age() {
        let clock = SystemClock::start();
        let (a, b) = (clock.now(), clock.now());
        assert!(a <= b && b < Duration::from_secs(60));
        // After 2020, before 2200.
        assert!((1_577_836_800..7_258_118_400).contains(&clock.wall().secs()));
    }

    #[test]
    fn the_clock_of_leases_goes_on_as_time_does() {
        use cluster::coordinator::Clock as _;
        let (clock, since) = (BootClock::start(), Instant::now());
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(20));
        let (counted, passed) = (clock.now() - before, since.elapsed());
        assert!(counted >= Duration::from_millis(20) && counted <= passed + passed / 10);
    }
}
