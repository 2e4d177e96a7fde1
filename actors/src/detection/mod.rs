//! The detection path as actors: per shard features, detectors and the ensemble; per node the
//! threats actor, which sees every verdict in the order of the batches.
//!
//! ```text
//! dealer ─credits─> features ──> ensemble ⇄ detector[kind] (a thread each; can be left behind)
//!                                   └─────> threats (re-sequenced) ──> store, outputs, learning
//! ```
//! What is decided is in `detection` and `flow`; here are mailboxes and the performing of effects.

pub mod detector;
pub mod ensemble;
pub mod features;
pub mod messages;
pub mod models;
pub mod recorder;
pub mod threats;
pub mod watch;

pub use messages::{Deal, Decided, DetectorMessage, EnsembleMessage, FeaturesMessage, Part};
