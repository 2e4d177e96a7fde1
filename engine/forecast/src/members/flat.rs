//! A floor: the median of the last week, for every hour. Where arrivals are mostly noise it is
//! hard to beat.

use crate::member::{Member, Past};
use crate::series::Seasons;
use crate::stats::median;
use serde::{Deserialize, Serialize};

/// Nothing is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flat;

impl Member for Flat {
    const NAME: &'static str = "flat";
    const SUMMARY: &'static str = "the median of the last week; a floor";

    fn needs(_: Seasons) -> usize {
        1
    }

    fn fit(_: &Past<'_>) -> Option<Self> {
        Some(Self)
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        vec![median(past.last(past.seasons.long).iter().copied()); horizon]
    }
}
