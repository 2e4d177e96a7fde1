//! How well detectors tell bad from good on labelled data: the same detectors, training and
//! calibration that `detect` runs, brought to sets whose rows are whole sessions or blocks of
//! commands.
//!
//! Labels go into [`metrics`] alone; nothing that is learnt or calibrated sees one. Files, tables
//! and what is printed are the command's.

pub mod interval;
pub mod metrics;
pub mod sequences;
pub mod units;
pub mod users;
