//! How bad a thing is, in OCSF's scale.

use serde::{Deserialize, Serialize};

/// OCSF `severity_id` 1 to 5, ordered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Severity {
    /// Worth keeping, nothing to do.
    #[default]
    Informational = 1,
    /// Look when there is time.
    Low = 2,
    /// Look today.
    Medium = 3,
    /// Look now.
    High = 4,
    /// Act now.
    Critical = 5,
}

impl Severity {
    /// All, from the least.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// OCSF `severity_id`.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The OCSF caption.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }

    /// From an OCSF `severity_id` or a caption, case-insensitively.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| {
            s.name().eq_ignore_ascii_case(text) || text.parse::<u8>().is_ok_and(|id| id == s.id())
        })
    }
}
