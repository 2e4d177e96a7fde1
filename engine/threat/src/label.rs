//! An analyst's word on a finding.

use crate::{Example, ThreatClass, ThreatId, Timestamp};
use serde::{Deserialize, Serialize};

/// Whether a finding was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// It was a threat.
    TruePositive,
    /// It was none.
    FalsePositive,
}

/// A finding's label, with all that is needed to learn from it after the finding is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The finding.
    pub finding: ThreatId,
    /// What it was told to be.
    pub class: ThreatClass,
    /// What the analyst says.
    pub disposition: Disposition,
    /// When it was given.
    pub given: Timestamp,
    /// The finding's kept verdicts, with what the voters saw.
    pub examples: Vec<Example>,
}
