//! Sigma rules: which ones an event meets, which match, and what several matches mean together.
//!
//! [`RuleSet`] holds the loaded rules by log source and matches one event without state, in the
//! shard; [`Correlator`] holds the state of correlations, once per node, and is fed what shards
//! matched in the order of the batches ([`Resequencer`]). [`EventView`] is how rules see an event.
//! The shipped pack is in [`pack`]; its rules read the numbers of [`window_fields`], which the
//! features stage fills. Parsing and matching proper are rsigma's; nothing here reads files or a
//! clock.

mod correlation_state;
mod correlator;
mod event_view;
mod field;
mod field_names;
mod gate;
mod hit;
mod load;
mod logsource;
pub mod pack;
mod resequencer;
mod set;
mod typed_value;
pub mod window_fields;

pub use correlator::{CorrelationInput, Correlator, CorrelatorCounts, FieldValue};
pub use event_view::EventView;
pub use field::{Field, Typed};
pub use load::LoadProblem;
pub use logsource::OWN_PRODUCT;
pub use resequencer::{Error, RESEQUENCE_BATCHES, Released, Resequencer};
pub use set::{Matched, RuleInfo, RuleSet};
pub use window_fields::{WINDOW_FIELDS, WindowField, WindowValues};
