//! The limits of a rollout, each with its why.

use std::time::Duration;

/// Rows that were judged under both bundles before anything is said of them. With fewer, three
/// standard errors reach from nothing to all.
pub const MIN_ROWS: u64 = 30;

/// Batches in use before something is said of their times.
pub const MIN_BATCHES: u64 = 20;

/// Standard errors that a share must be away from what is accepted: a wrong word in a thousand.
pub const Z: f64 = 3.0;

/// Share of new alarms that is accepted however small the budget is: below it, a burst of what is
/// really new would take a better bundle back.
pub const ALARMS: f64 = 0.01;

/// How many times the budget's share of false verdicts new alarms may have: thresholds are learnt
/// from samples, and days differ.
pub const OVER_BUDGET: f64 = 10.0;

/// New alarms are a sign of worse only where they are so many times the alarms that went away:
/// bundles that differ about single events differ both ways.
pub const ONE_SIDED: u64 = 2;

/// Share of rows that may lack votes, beyond those that lacked them before.
pub const LACKING: f64 = 0.05;

/// How many times as long as before scoring may take, where it takes [`SLOW_MICROS`] a row or more.
pub const SLOWER: u64 = 5;

/// Microseconds of scoring a row that are no reason to take anything back: a full batch then takes
/// 50 ms, which leaves half of the time that 99 of 100 verdicts may take.
pub const SLOW_MICROS: u64 = 200;

/// Share of late batches that the canary region may have beyond the other regions.
pub const LATE: f64 = 0.2;

/// A batch is late when its verdicts took longer: what 99 of 100 may take.
pub const LATE_AFTER: Duration = Duration::from_millis(100);

/// Rows judged in shadow before a canary starts by itself.
pub const SHADOW_ROWS: u64 = 500;

/// How long a canary that starts by itself waits for rows in shadow. A cluster without events goes
/// on: one region is what it costs.
pub const SHADOW_TIME: Duration = Duration::from_secs(15);

/// Rows judged with it in its canary region before a bundle is activated by itself. There is no
/// end to this waiting: a bundle that judged nothing has shown nothing.
pub const CANARY_ROWS: u64 = 1_000;

/// How long it is in its canary region at least before it is activated by itself: longer than a
/// minute's beat of what comes by timer, shorter than a person's patience.
pub const CANARY_TIME: Duration = Duration::from_secs(60);

/// How long after its activation a bundle is still compared with the former one, and taken back
/// without a person.
pub const WATCH_TIME: Duration = Duration::from_secs(15 * 60);
