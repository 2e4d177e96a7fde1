//! One file per detector, and the catalogue that lists them.

pub mod bayes;
pub mod sequence;

use crate::detector::Entry;

/// Every detector, in the order in which votes are shown.
pub const CATALOGUE: &[Entry] = &[sequence::ENTRY, bayes::ENTRY];
