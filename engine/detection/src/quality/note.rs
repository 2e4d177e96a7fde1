//! What is told of a source.

use serde::{Deserialize, Serialize};
use threat::{EventClass, Text, Timestamp};

/// A change of what a source delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The class of its events; none where it is about all records.
    pub class: Option<EventClass>,
    /// The field; none where it is about whole records or their times.
    pub field: Option<Text>,
    /// What has changed.
    pub change: Change,
    /// Event time of the first record that shows it.
    pub since: Timestamp,
    /// Event time of the last one.
    pub last: Timestamp,
    /// Event time by which it was over; none while it lasts.
    pub until: Option<Timestamp>,
    /// Records looked at since: a sample, in which a busy entity counts little.
    pub looked_at: u64,
    /// Those that show it.
    pub cases: u64,
}

/// Kinds of changes, each with what was before. Shares are of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Change {
    /// A field is missing in records of kinds that used to have it.
    Missing {
        /// Share of these records that had none.
        before: f64,
    },
    /// A field that was often there has nearly vanished.
    Vanished {
        /// Share of these records that had none.
        before: f64,
    },
    /// Values far outside of everything seen before.
    Outside {
        /// Least value before.
        low: f64,
        /// Greatest value before.
        high: f64,
        /// Least such value now; none where they are no finite numbers.
        now_low: Option<f64>,
        /// Greatest such value now.
        now_high: Option<f64>,
    },
    /// Most values lie where few did: another unit, another scale.
    Shifted {
        /// 98% of the values were no less.
        low: f64,
        /// 98% of the values were no greater.
        high: f64,
    },
    /// One value and no other.
    Constant {
        /// Different values before.
        before: u64,
    },
    /// Many values that were never seen before.
    Varied {
        /// Different values before.
        before: u64,
        /// Different new ones since, by estimate.
        new: u64,
    },
    /// Mostly values that were never seen before: another vocabulary.
    Replaced {
        /// Different values before.
        before: u64,
    },
    /// Nothing came for long, then it went on.
    Gap {
        /// Seconds without a record: the longest such gap.
        seconds: f64,
        /// The longest gap before that was none.
        usual: f64,
    },
    /// Nothing came from then on, though the source went on.
    Silent {
        /// Seconds from the last record of the class to the last of the source.
        seconds: f64,
        /// The longest gap before that was none.
        usual: f64,
    },
    /// Event time lies behind what came before.
    Backwards {
        /// By how many seconds at most.
        seconds: f64,
        /// By how many seconds at most before.
        usual: f64,
    },
    /// Single records lie far ahead of those around them.
    Ahead {
        /// By how many seconds at most.
        seconds: f64,
    },
    /// Event time stands still.
    Stuck,
    /// Records cannot be read.
    Malformed {
        /// Share of records before.
        before: f64,
    },
}
