//! What is declared about a supervisor and its children: strategy, intensity, pauses, rules.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use threat::entropy::Rng;

/// Which children are restarted when one exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the child that exited.
    OneForOne,
    /// The child that exited and those declared after it, which rest on it.
    RestForOne,
    /// All of them.
    OneForAll,
}

/// How many restarts are too many: more than `restarts` within `window` escalate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intensity {
    /// Restarts that are still borne.
    pub restarts: u32,
    /// Within this time.
    pub window: Duration,
}

/// The pause before a restart: `first`, then `factor` times longer for each exit in a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Before the first restart.
    pub first: Duration,
    /// Growth per exit in a row; at least 1.
    pub factor: f64,
    /// Never longer than this.
    pub max: Duration,
    /// Share of the pause, 0 to 1, that is drawn at random and taken off it, so that children
    /// which died of one cause do not come back in one moment.
    pub jitter: f64,
    /// A child that ran this long before it exited counts as having been healthy: its next pause
    /// is `first` again.
    pub healthy: Duration,
}

impl Backoff {
    /// The pause before the restart that follows the `exits`-th exit in a row (1 is the first).
    pub fn pause(&self, exits: u32, rng: &mut Rng) -> Duration {
        let growth = self.factor.max(1.0).powi(exits.saturating_sub(1).min(1_000) as i32);
        let full = (self.first.as_secs_f64() * growth).min(self.max.as_secs_f64());
        Duration::from_secs_f64(full * (1.0 - self.jitter.clamp(0.0, 1.0) * rng.unit()))
    }
}

/// All that is declared about a supervisor, save its children.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Which children.
    pub strategy: Strategy,
    /// How often.
    pub intensity: Intensity,
    /// How soon.
    pub backoff: Backoff,
}

impl Policy {
    /// The house's usual policy under a strategy: five restarts in ten seconds, pauses from 20 ms
    /// to 2 s, healthy after 5 s. The first pause is under the 100 ms that recovery may take.
    pub const fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity { restarts: 5, window: Duration::from_secs(10) },
            backoff: Backoff {
                first: Duration::from_millis(20),
                factor: 2.0,
                max: Duration::from_secs(2),
                jitter: 0.5,
                healthy: Duration::from_secs(5),
            },
        }
    }
}

/// Which exits of a child are to be mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// All.
    #[default]
    Permanent,
    /// Those that are not [`Exit::Normal`].
    Transient,
    /// None: it runs once.
    Temporary,
}
