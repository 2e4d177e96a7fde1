//! How old the state of entities is that would outlive its owner, as a node says it of itself.

use super::Ownership;
use serde::{Deserialize, Serialize};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// Ages of checkpoints, as an operator is shown them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointAges {
    /// Of what other nodes have of the workloads that this one owns: the age of the oldest of
    /// their newest checkpoints. None while another node lacks one of them, or it owns nothing.
    pub sent_ms: Option<u64>,
    /// Since this node last was sent a whole checkpoint of a workload of another.
    pub held_ms: Option<u64>,
}

/// When, on the node's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    sent: Option<Duration>,
    held: Option<Duration>,
}

impl Ownership {
    fn carried(&self) -> MutexGuard<'_, Carried> {
        // Nothing panics while it is held.
        self.0.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What other nodes have of all workloads that this one owns is so old now; `None` when one of
    /// them is nowhere else.
    pub fn sent(&self, age: Option<Duration>) {
        let now = self.0.clock.now();
        self.carried().sent = age.map(|age| now.saturating_sub(age));
    }

    /// A whole checkpoint of another node's workload has come.
    pub fn held(&self) {
        let now = self.0.clock.now();
        self.carried().held = Some(now);
    }

    /// How old they are now.
    pub fn checkpoints(&self) -> CheckpointAges {
        let now = self.0.clock.now();
        let carried = *self.carried();
        let age = |at: Option<Duration>| at.map(|at| now.saturating_sub(at).as_millis() as u64);
        CheckpointAges { sent_ms: age(carried.sent), held_ms: age(carried.held) }
    }
}
