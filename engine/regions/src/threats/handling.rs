//! What people said of a threat: registers of which the last writer's word stands.

use crate::clock::{self, Stamp};
use crdts::{CvRDT, LWWReg};
use serde::{Deserialize, Serialize};
use threat::mutants::{Mutant, is_live};
use threat::{Severity, Text, Timestamp};

/// Where the work on a threat stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody looked at it yet.
    Open,
    /// Somebody works on it.
    InProgress,
    /// Nothing more is to be done: a tombstone until all regions know.
    Closed,
}

/// What it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// An attack.
    TruePositive,
    /// None.
    FalsePositive,
}

/// A value of which the last write stands; empty until the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Register<V>(Option<LWWReg<V, Stamp>>);

impl<V> Default for Register<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V: Clone + PartialEq> Register<V> {
    /// Writes a value. A stamp that is not newer than the last one's changes nothing.
    pub fn set(&mut self, value: V, stamp: Stamp) -> bool {
        self.join(&Self(Some(LWWReg { val: value, marker: stamp })))
    }

    /// The value, and when and by whom it was written.
    pub fn get(&self) -> Option<&V> {
        self.0.as_ref().map(|r| &r.val)
    }

    /// When and by whom it was written.
    pub fn stamp(&self) -> Option<Stamp> {
        self.0.as_ref().map(|r| r.marker)
    }

    /// Takes the other's value if it is newer; whether it was.
    ///
    /// Stamps are unique ([`crate::clock`]), so that equal ones have equal values.
    pub fn join(&mut self, other: &Self) -> bool {
        match (&mut self.0, &other.0) {
            (_, None) => false,
            (none @ None, Some(_)) => {
                none.clone_from(&other.0);
                true
            }
            (Some(mine), Some(theirs)) => {
                let newer = theirs.marker > mine.marker;
                mine.merge(theirs.clone());
                newer
            }
        }
    }
}

/// What a person says now; what is empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Where the work stands.
    pub status: Option<Status>,
    /// Who works on it, or nobody any more.
    pub assignee: Option<Option<Text>>,
    /// What it turned out to be, or that this is open again.
    pub classification: Option<Option<Classification>>,
    /// How grave it is, or that the verdicts' word holds again.
    pub severity: Option<Option<Severity>>,
}

/// What people said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handling {
    /// Where the work stands.
    pub status: Register<Status>,
    /// Who works on it; empty again when it was given back.
    pub assignee: Register<Option<Text>>,
    /// What it turned out to be.
    pub classification: Register<Option<Classification>>,
    /// How grave an analyst says it is, beside what the verdicts say.
    pub severity: Register<Option<Severity>>,
}

impl Handling {
    /// Writes what a person says.
    pub fn say(&mut self, said: &Said, stamp: Stamp) {
        if let Some(status) = said.status {
            self.status.set(status, stamp);
        }
        if let Some(assignee) = &said.assignee {
            self.assignee.set(assignee.clone(), stamp);
        }
        if let Some(classification) = said.classification {
            self.classification.set(classification, stamp);
        }
        if let Some(severity) = said.severity {
            self.severity.set(severity, stamp);
        }
    }

    /// Joins with another one; whether that changed anything.
    pub fn join(&mut self, other: &Self) -> bool {
        self.status.join(&other.status)
            | (!is_live(Mutant::FieldNotJoined) && self.assignee.join(&other.assignee))
            | self.classification.join(&other.classification)
            | self.severity.join(&other.severity)
    }

    /// Makes its status one that was said just after a time, if it is older: for all nodes alike,
    /// and with a counter that no clock gives, so that no other word has this stamp.
    pub(super) fn lift(&mut self, floor: Timestamp) {
        if let (Some(status), Some(stamp)) = (self.status.get().copied(), self.status.stamp()) {
            let wall = clock::lifted(floor);
            self.status.set(status, Stamp { wall, counter: u32::MAX, ..stamp });
        }
    }

    /// The latest stamp of all registers.
    pub fn last(&self) -> Option<Stamp> {
        [
            self.status.stamp(),
            self.assignee.stamp(),
            self.classification.stamp(),
            self.severity.stamp(),
        ]
        .into_iter()
        .flatten()
        .max()
    }
}
