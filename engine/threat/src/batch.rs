//! Events on their way: a decoded batch, shared by reference by everything that looks at it.

use crate::{Event, Text, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};

/// A source of this node, by its place in the configuration.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SourceId(pub u32);

/// The names of a node's sources, by id; shared, since a source may come while the node runs.
#[derive(Clone, Debug, Default)]
pub struct SourceNames(Arc<RwLock<Vec<Text>>>);

impl SourceNames {
    /// The name of a source.
    pub fn get(&self, id: SourceId) -> Option<Text> {
        // Nothing panics while it is held.
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(id.0 as usize).cloned()
    }

    /// Gives a source the next id. Whoever adds bounds how many there are.
    pub fn add(&self, name: Text) -> SourceId {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        names.push(name);
        SourceId(names.len() as u32 - 1)
    }
}

impl FromIterator<Text> for SourceNames {
    fn from_iter<I: IntoIterator<Item = Text>>(names: I) -> Self {
        Self(Arc::new(RwLock::new(names.into_iter().collect())))
    }
}

/// What intake did with a source's records. `read = events + quarantined + comments` holds exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntakeCounts {
    /// Records read: lines, or rows.
    pub read: u64,
    /// Records that became events.
    pub events: u64,
    /// Records set aside as malformed.
    pub quarantined: u64,
    /// Header, comment and blank lines.
    pub comments: u64,
    /// Bytes of all of these.
    pub bytes: u64,
}

impl IntakeCounts {
    /// The law of intake: nothing is lost unseen.
    pub const fn balanced(&self) -> bool {
        self.read == self.events + self.quarantined + self.comments
    }

    /// Adds another source's counts.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.events += other.events;
        self.quarantined += other.quarantined;
        self.comments += other.comments;
        self.bytes += other.bytes;
    }
}

/// At most [`BATCH_EVENTS`](crate::limits::BATCH_EVENTS) events of one source, in its order.
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    /// Where they came from.
    pub source: SourceId,
    /// Which of the files that a followed log is made of: `end_offset` counts within it.
    pub segment: u64,
    /// Grows by one with every batch of the node; verdicts are folded in this order.
    pub sequence: u64,
    /// The events. An event's `raw` range points into `bytes`.
    pub events: Vec<Event>,
    /// The raw records of the events, without their line ends.
    pub bytes: Vec<u8>,
    /// The source's byte offset after the last record that this batch accounts for.
    pub end_offset: u64,
    /// The source's counts up to `end_offset`.
    pub counts: IntakeCounts,
}

impl EventBatch {
    /// The raw record of an event of this batch.
    pub fn raw(&self, event: &Event) -> &[u8] {
        let start = event.raw.start as usize;
        self.bytes.get(start..start + event.raw.len as usize).unwrap_or_default()
    }

    /// The greatest event time in here.
    pub fn latest(&self) -> Option<Timestamp> {
        self.events.iter().map(|e| e.time).max()
    }
}
