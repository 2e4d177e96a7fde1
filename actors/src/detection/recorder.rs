//! The port through which judged batches become durable and leave the node.

use crate::ports::{BoxFuture, Error};
use std::collections::BTreeMap;
use threat::{Counted, Example, SourceId, Threat, ThreatId, Timestamp};

/// One judged batch: the proof that each of its events has a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounted {
    /// Its source.
    pub source: SourceId,
    /// The segment of the source: a followed log is a chain of files.
    pub segment: u64,
    /// The segment's offset after it.
    pub end_offset: u64,
    /// Events judged.
    pub events: u64,
    /// Those of them that are threats, by their place in the batch.
    pub threats: Vec<u32>,
    /// Hash of all verdicts, in event order.
    pub verdicts: u64,
}

/// Everything since the last record. Sources' positions, counts and threats move together.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Where every source stands, by name.
    pub checkpoints: BTreeMap<String, Vec<u8>>,
    /// The batches, in order.
    pub accounted: Vec<Accounted>,
    /// Threats that changed, whole, those that are new named in `new`.
    pub threats: Vec<Threat>,
    /// Threats that were not known before.
    pub new: Vec<ThreatId>,
    /// Threats whose hour is over; whole, and no longer held open.
    pub closed: Vec<Threat>,
    /// Examples of threats, with their number.
    pub examples: Vec<(ThreatId, u32, Example)>,
    /// What there was in each hour of event time, by source.
    pub hours: BTreeMap<(SourceId, i64, Counted), u64>,
    /// The greatest event time so far: what was closed, was closed by it.
    pub newest: Option<Timestamp>,
    /// The last record of a run.
    pub last: bool,
}

/// Makes records durable, in order, and sends out what they say.
pub trait Recorder: Send + Sync {
    /// Durable when ready; an error ends the node.
    fn record(&self, record: Record) -> BoxFuture<'_, Result<(), Error>>;
}
