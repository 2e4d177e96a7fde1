//! Learning without I/O: which rows are kept to learn from, when a bundle is due, and how it is
//! made.
//!
//! Models come from `detection`; here are samples, holdouts, calibration of each voter and of the
//! vote, and the bundle. The same rows and seed give the same bytes.

pub mod evaluation;
pub mod sample;
pub mod training;

pub use sample::{Plan, Sample};
pub use training::{CLASS_MIN_ROWS, Error, Settings, train};
