//! One file per detector, and the catalogue that lists them.

use crate::detector::Entry;

/// Every detector, in the order in which votes are shown.
pub const CATALOGUE: &[Entry] = &[];
