//! The scale on which a series is modelled. What grows in proportion (traffic, load) has an even
//! spread in logarithms, counts have one in square roots (Bartlett: "The use of transformations",
//! Biometrics 1947).

use serde::{Deserialize, Serialize};

/// A monotone change of scale with its inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scale {
    /// Natural logarithm; for values above 0.
    Log,
    /// Square root; for values from 0.
    Root,
    /// Values as they are.
    Identity,
}

/// Exponents beyond this overflow what later gets squared.
const LOG_MOST: f64 = 300.0;

impl Scale {
    /// The scale for `values`: logarithms where all are positive, roots where none is negative.
    pub fn of(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        match least {
            l if l > 0.0 => Self::Log,
            l if l >= 0.0 => Self::Root,
            _ => Self::Identity,
        }
    }

    /// Whether it has a place for all of these.
    pub(crate) fn holds(self, values: &[f64]) -> bool {
        match self {
            Self::Log => values.iter().all(|v| *v > 0.0),
            Self::Root => values.iter().all(|v| *v >= 0.0),
            Self::Identity => true,
        }
    }

    /// A value on this scale. One that the scale has no place for goes to the nearest place.
    pub fn to(self, value: f64) -> f64 {
        match self {
            Self::Log => value.max(f64::MIN_POSITIVE).ln(),
            Self::Root => value.max(0.0).sqrt(),
            Self::Identity => value,
        }
    }

    /// Back from this scale.
    pub fn from(self, z: f64) -> f64 {
        match self {
            Self::Log => z.min(LOG_MOST).exp(),
            Self::Root => z.max(0.0) * z.max(0.0),
            Self::Identity => z,
        }
    }
}

#[cfg(test)]
mod tests;
