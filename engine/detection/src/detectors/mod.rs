//! One file or folder per detector, and the catalogue that lists them.

use crate::detector::Entry;

pub mod bayes;
pub mod forest;
pub mod labelled;
pub mod neighbours;
pub mod sequence;
pub mod users;

/// Every detector, in the order in which votes are shown.
pub const CATALOGUE: &[Entry] = &[
    forest::ENTRY,
    sequence::ENTRY,
    bayes::ENTRY,
    neighbours::ENTRY,
    users::ENTRY,
    labelled::ENTRY,
];

#[cfg(test)]
pub(crate) mod tests;
