//! A floor: what was at the same hour of the day before, once more.

use crate::member::{Member, Past};
use crate::series::Seasons;
use serde::{Deserialize, Serialize};

/// Nothing is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seasonal;

impl Member for Seasonal {
    const NAME: &'static str = "seasonal";
    const SUMMARY: &'static str = "the day before, once more; a floor";

    fn needs(seasons: Seasons) -> usize {
        seasons.short
    }

    fn fit(_: &Past<'_>) -> Option<Self> {
        Some(Self)
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        let last = past.last(past.seasons.short);
        last.iter().copied().cycle().take(horizon).collect()
    }
}
