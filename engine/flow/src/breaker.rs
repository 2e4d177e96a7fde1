//! A circuit breaker: stops calling what keeps failing or has become slow, and probes it later.
//!
//! After Nygard, "Release It!" (2007), with a failure rate and a slow-call rate over a rolling
//! time window. The window is ten buckets that are reused, so its size never grows. Cancelling a
//! call that takes too long is not here: give such a call in as a failure with the time waited.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use threat::entropy::Rng;
use threat::mutants::{Mutant, is_live};

/// Buckets of the rolling window: the window slides in steps of a tenth.
pub const BUCKETS: usize = 10;

/// Transitions kept to show: a breaker that flaps fills a screen with them, no more.
pub const TRANSITIONS_KEPT: usize = 16;

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Length of the rolling window.
    pub window: Duration,
    /// Fewer calls in the window prove nothing.
    pub minimum_calls: u64,
    /// Opens when this share of the calls failed, 0 to 1.
    pub failure_rate: f64,
    /// A call longer than this is slow.
    pub slow_call: Duration,
    /// Opens when this share of the calls was slow, 0 to 1.
    pub slow_rate: f64,
    /// How long it stays open.
    pub open_for: Duration,
    /// Share of `open_for`, 0 to 1, that is added at random, so that breakers which opened
    /// together do not probe together.
    pub jitter: f64,
    /// Calls let through when half-open; all must succeed, none be slow, for it to close.
    pub probes: u32,
    /// A probe that has not answered after this long has failed.
    pub probe_timeout: Duration,
}

impl Default for Settings {
    /// For a detector called once a batch: opens after half of at least ten calls within 5 s failed
    /// or took over 50 ms, probes after 1 to 1.2 s.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(5),
            minimum_calls: 10,
            failure_rate: 0.5,
            slow_call: Duration::from_millis(50),
            slow_rate: 0.5,
            open_for: Duration::from_secs(1),
            jitter: 0.2,
            probes: 3,
            probe_timeout: Duration::from_secs(1),
        }
    }
}

/// Whether calls go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They do.
    Closed,
    /// They do not.
    Open,
    /// A few do, to see.
    HalfOpen,
}

/// How a call ended. Whether it was slow follows from its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Success,
    /// With an error, a panic or past its deadline.
    Failure,
}

/// Leave to make one call; to be given back with its outcome. Of a state that has passed it
/// counts for nothing, so that a late answer neither closes nor opens the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call that was let through must be recorded"]
pub struct Permit(u64);

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When, since the node's start.
    pub at: Duration,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
}

/// What an operator sees of a breaker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Whether calls go through.
    pub state: State,
    /// Calls in the window.
    pub calls: u64,
    /// Share of them that failed, 0 to 1; 0 without calls.
    pub failure_rate: f64,
    /// Share of them that were slow, 0 to 1; 0 without calls.
    pub slow_rate: f64,
    /// Mean duration of the calls in the window.
    pub mean_response: Duration,
    /// When a call last failed, since the node's start.
    pub last_failure: Option<Duration>,
    /// Calls that were not let through, ever.
    pub rejected: u64,
    /// Changes of state, ever.
    pub transitions: u64,
    /// The last changes of state, oldest first.
    pub recent: Vec<Transition>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    calls: u64,
    failures: u64,
    slow: u64,
    time: Duration,
}

/// A breaker around one detector or one outside dependency.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: Settings,
    state: State,
    /// Grows with every transition: a permit of an older one is void.
    generation: u64,
    /// When an open breaker half-opens, or the unanswered probes of a half-open one have run out
    /// of time.
    until: Duration,
    issued: u32,
    succeeded: u32,
    buckets: [Bucket; BUCKETS],
    /// Number of the newest bucket, counted from the node's start.
    newest: u64,
    last_failure: Option<Duration>,
    rejected: u64,
    recent: VecDeque<Transition>,
    rng: Rng,
}

impl Breaker {
    /// A closed breaker; `seed` feeds the jitter.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            state: State::Closed,
            generation: 0,
            until: Duration::ZERO,
            issued: 0,
            succeeded: 0,
            buckets: Default::default(),
            newest: 0,
            last_failure: None,
            rejected: 0,
            recent: VecDeque::new(),
            rng: Rng::new(seed),
        }
    }

    /// Whether a call may be made now.
    pub fn allow(&mut self, now: Duration) -> Option<Permit> {
        self.advance(now);
        let allowed = match self.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                let free = self.issued < self.settings.probes.max(1);
                if free && self.issued == self.succeeded {
                    self.until = now + self.settings.probe_timeout;
                }
                self.issued += u32::from(free);
                free
            }
        };
        if !allowed {
            self.rejected += 1;
        }
        allowed.then_some(Permit(self.generation))
    }

    /// A call that was let through has ended.
    pub fn record(&mut self, now: Duration, permit: Permit, outcome: Outcome, took: Duration) {
        self.advance(now);
        if outcome == Outcome::Failure {
            self.last_failure = Some(now);
        }
        if permit.0 != self.generation {
            return;
        }
        let slow = took > self.settings.slow_call;
        match self.state {
            State::Closed => {
                let bucket = &mut self.buckets[(self.newest % BUCKETS as u64) as usize];
                bucket.calls += 1;
                bucket.failures += u64::from(outcome == Outcome::Failure);
                bucket.slow += u64::from(slow);
                bucket.time = bucket.time.saturating_add(took);
                if self.trips() {
                    self.open(now);
                }
            }
            State::HalfOpen if outcome == Outcome::Failure || slow => self.open(now),
            State::HalfOpen => {
                self.succeeded += 1;
                // What is on its way still was sent later.
                self.until = now + self.settings.probe_timeout;
                if self.succeeded >= self.settings.probes.max(1) {
                    self.buckets = Default::default();
                    self.enter(now, State::Closed);
                }
            }
            State::Open => {}
        }
    }

    /// Opens a closed breaker whatever its rates are: for what is too costly to be counted first.
    pub fn trip(&mut self, now: Duration) {
        self.advance(now);
        if self.state == State::Closed {
            self.open(now);
        }
    }

    /// The state, as of the last call.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What an operator sees.
    pub fn metrics(&mut self, now: Duration) -> Metrics {
        self.advance(now);
        let sum = self.sum();
        let share = |part: u64| if sum.calls == 0 { 0.0 } else { part as f64 / sum.calls as f64 };
        Metrics {
            state: self.state,
            calls: sum.calls,
            failure_rate: share(sum.failures),
            slow_rate: share(sum.slow),
            mean_response: Duration::from_secs_f64(
                sum.time.as_secs_f64() / sum.calls.max(1) as f64,
            ),
            last_failure: self.last_failure,
            rejected: self.rejected,
            transitions: self.generation,
            recent: self.recent.iter().copied().collect(),
        }
    }

    /// Slides the window and takes the transitions that time alone brings.
    fn advance(&mut self, now: Duration) {
        let width = (nanos(self.settings.window) / BUCKETS as u64).max(1);
        let bucket = nanos(now) / width;
        // An open breaker keeps the rates that opened it: nothing is called that could change them.
        if self.state == State::Closed && bucket > self.newest {
            for passed in (self.newest + 1..=bucket).take(BUCKETS) {
                self.buckets[(passed % BUCKETS as u64) as usize] = Bucket::default();
            }
        }
        self.newest = self.newest.max(bucket);
        match self.state {
            State::Open if now >= self.until && !is_live(Mutant::BreakerStaysOpen) => {
                (self.issued, self.succeeded) = (0, 0);
                self.enter(now, State::HalfOpen);
            }
            // Where calls are rare, time passes between probes; it says nothing of who is probed.
            State::HalfOpen if self.issued > self.succeeded && now >= self.until => {
                self.last_failure = Some(now);
                self.open(now);
            }
            _ => {}
        }
    }

    fn sum(&self) -> Bucket {
        self.buckets.iter().fold(Bucket::default(), |a, b| Bucket {
            calls: a.calls + b.calls,
            failures: a.failures + b.failures,
            slow: a.slow + b.slow,
            time: a.time.saturating_add(b.time),
        })
    }

    fn trips(&self) -> bool {
        let sum = self.sum();
        let calls = sum.calls as f64;
        sum.calls >= self.settings.minimum_calls.max(1)
            && (sum.failures as f64 >= self.settings.failure_rate * calls && sum.failures > 0
                || sum.slow as f64 >= self.settings.slow_rate * calls && sum.slow > 0)
    }

    fn open(&mut self, now: Duration) {
        let extra = self.settings.jitter.clamp(0.0, 1.0) * self.rng.unit();
        self.until = now + self.settings.open_for.mul_f64(1.0 + extra);
        self.enter(now, State::Open);
    }

    fn enter(&mut self, now: Duration, to: State) {
        if self.recent.len() == TRANSITIONS_KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(Transition { at: now, from: self.state, to });
        self.state = to;
        self.generation += 1;
    }
}

/// In nanoseconds: those of five centuries fit, and numbers of twice the width divide slowly.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
