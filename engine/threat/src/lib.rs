//! The nouns of Watchfire: what a sensor reported (`event`), what the ensemble answered
//! (`verdict`), what is bad about whom (`threat`), and the values they are made of.
//!
//! Nothing here decides anything, reads a clock or touches the host. Every other crate may use this
//! one; this one uses no other member.

pub mod batch;
pub mod codec;
pub mod entity;
pub mod entropy;
pub mod event;
pub mod event_class;
pub mod finding;
pub mod hours;
pub mod label;
pub mod limits;
pub mod mutants;
pub mod severity;
pub mod threats;
pub mod time;
pub mod verdict;

/// Short text: inline up to 24 bytes, so that ids, services and states cost no allocation.
pub type Text = compact_str::CompactString;

pub use batch::{EventBatch, IntakeCounts, SourceId, SourceNames};
pub use entity::EntityId;
pub use event::{Body, Endpoint, Event, Host};
pub use event_class::EventClass;
pub use finding::{Contribution, Example, Incident, Replay};
pub use hours::{Counted, HourCounts};
pub use label::{Disposition, Label};
pub use severity::Severity;
pub use threats::{Threat, ThreatClass, ThreatId};
pub use time::Timestamp;
pub use verdict::{Ballot, DetectorKind, RuleHit, Verdict, VerdictSource, Vote};
