//! The clock that leases and silence are measured by.

use std::time::Duration;
use tokio::time::Instant;

/// Time since any fixed moment. It has to count the time in which the machine sleeps: an owner that
/// was suspended must not think that its lease runs still.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Duration;
}

/// The runtime's clock, which tests can pause. On Linux it does not count a suspended machine.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock(Instant);

impl TokioClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
