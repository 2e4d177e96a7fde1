//! Detection without I/O: features of events, detectors that score them, rules, calibration to a
//! stated budget, the ensemble's vote, and the explanation of every verdict.
//!
//! The way of an event: [`features`] turn a batch into [`block::Block`]s, each detector of the
//! [`detectors::CATALOGUE`] scores a block, [`rules`] match the event and its window, [`ensemble`]
//! decides, [`judgement`] folds what came out, in order. [`engine`] calls these in a row; actors
//! call the same pieces from different threads.

pub mod blend;
pub mod block;
pub mod bundle;
pub mod calibration;
pub mod counterfactual;
pub mod detector;
pub mod detectors;
pub mod dossier;
pub mod drift;
pub mod encoder;
pub mod engine;
pub mod ensemble;
pub mod explain;
pub mod features;
pub mod folding;
pub mod incidents;
pub mod judgement;
pub mod labels;
pub mod quality;
pub mod rules;
pub mod schema;
pub mod scorers;
pub mod shadow;
pub mod tally;
