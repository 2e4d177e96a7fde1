//! Features: what a batch of events looks like to the detectors and rules.
//!
//! [`Surroundings`] is kept once per node and sees every event first; a [`Featurizer`] is kept per
//! shard and owns its entities' state, which no restart of a detector touches. Windows run on event
//! time. A batch gives the same numbers however the stream was cut into batches.

pub mod account;
pub mod places;
pub mod rows;
pub mod schemas;
pub mod sketch;
pub mod source_state;
pub mod state;
pub mod surroundings;
pub mod table;
pub mod tokens;

mod featurizer;
mod packed;
mod source_windows;

pub use featurizer::{FeatureBatch, Featurizer, Limits};
pub use surroundings::{Around, Surroundings};
