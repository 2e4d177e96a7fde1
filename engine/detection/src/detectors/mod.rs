//! One file per detector, and the catalogue that lists them.

use crate::detector::Entry;

pub mod forest;
pub mod neighbours;

/// Every detector, in the order in which votes are shown.
pub const CATALOGUE: &[Entry] = &[forest::ENTRY, neighbours::ENTRY];

#[cfg(test)]
pub(crate) mod tests;
