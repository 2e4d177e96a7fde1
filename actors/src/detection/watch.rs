//! Who looks at verdicts as they are made, beside what is done with them.

use detection::features::FeatureBatch;
use std::sync::Arc;
use std::time::Duration;
use threat::Verdict;

/// Sees each part of a batch with its verdicts. It is called on the way of every event: what takes
/// time is done elsewhere, and what has no room there is left out.
pub trait Watch: Send + Sync {
    /// These rows got these verdicts, so long after they were read.
    fn decided(&self, features: &Arc<FeatureBatch>, verdicts: &[Verdict], took: Duration);
}

/// Nobody looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Watch for Nobody {
    fn decided(&self, _: &Arc<FeatureBatch>, _: &[Verdict], _: Duration) {}
}
