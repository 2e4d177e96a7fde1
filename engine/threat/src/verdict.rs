//! What the ensemble answered for one event: votes, score, severity, rule hits, versions.

use crate::{Severity, Text};
use serde::{Deserialize, Serialize};

/// A kind of detector. Adding one adds a variant here and a line in the detection catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectorKind {
    /// Isolation forest.
    Forest,
    /// LSTM next-token surprise.
    Sequence,
    /// Variational mixture with Dirichlet categories.
    Bayes,
    /// Distance to benign neighbours.
    Neighbours,
    /// An account against its own past and its peers.
    Users,
    /// Boosted trees on labelled rows.
    Labelled,
}

impl DetectorKind {
    /// All, in catalogue order.
    pub const ALL: [Self; 6] =
        [Self::Forest, Self::Sequence, Self::Bayes, Self::Neighbours, Self::Users, Self::Labelled];

    /// A stable short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forest => "forest",
            Self::Sequence => "sequence",
            Self::Bayes => "bayes",
            Self::Neighbours => "neighbours",
            Self::Users => "users",
            Self::Labelled => "labelled",
        }
    }
}

/// Why a voter has nothing to say about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abstention {
    /// The event lacks what this voter looks at.
    NothingToSay,
    /// The bundle holds no model for this class of event.
    NoModel,
}

/// Why a voter that should have voted did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// No bundle yet: still learning.
    Learning,
    /// Its actor is down or restarting.
    Down,
    /// It did not answer before the deadline.
    Late,
    /// It answered with an error.
    Failed,
    /// It answered with something that is not a number.
    NotANumber,
    /// Its circuit breaker is open.
    BreakerOpen,
}

/// One voter's answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ballot {
    /// It scored the event.
    Voted {
        /// The detector's own score; higher is more anomalous.
        score: f32,
        /// −log10 of the calibrated probability that a benign event scores as high.
        tail: f32,
        /// It takes the event for a threat.
        threat: bool,
    },
    /// Nothing to say.
    Abstained(Abstention),
    /// Should have answered and did not.
    Missing(Absence),
}

/// A voter with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub detector: DetectorKind,
    /// What.
    pub ballot: Ballot,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictSource {
    /// The voters: two of three, or both when one is missing.
    Ml,
    /// The always-running rules, since fewer than two voters could answer.
    Rules,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleHit {
    /// The rule's id, or its title where it has none.
    pub id: Text,
    /// Its title.
    pub title: Text,
    /// Its level.
    pub severity: Severity,
    /// Its ATT&CK technique (`T1046`), if it names one.
    pub technique: Option<Text>,
    /// The fields that matched, with their values; of a correlation the group and the count.
    pub fields: Vec<(Text, Text)>,
    /// A correlation over several events.
    pub correlation: bool,
}

/// The ensemble's answer for one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Place of the event in its batch.
    pub event: u32,
    /// It is a threat: two voters say so (or the voters and the labelled detector together, where
    /// labels were shown to hold), or a rule of at least medium level matched.
    pub threat: bool,
    /// Calibrated tail of the ensemble: the voters' weighted mean, calibrated again and kept on the
    /// vote's side of the threshold; 0 when the rules decided alone.
    pub score: f32,
    /// How bad.
    pub severity: Severity,
    /// Who decided.
    pub source: VerdictSource,
    /// The three voters of this event's class.
    pub votes: [Vote; 3],
    /// Rules that matched: evidence in every verdict.
    pub rules: Vec<RuleHit>,
    /// First eight bytes of the bundle's hash, and the snapshot number in it; 0 when learning.
    pub bundle: u64,
    /// Hash of the inputs that the voters saw, so that a stored finding re-scores to identical
    /// bits.
    pub inputs: u64,
}

impl Verdict {
    /// The voters that should have answered and did not.
    pub fn missing(&self) -> impl Iterator<Item = (DetectorKind, Absence)> + '_ {
        self.votes.iter().filter_map(|v| match v.ballot {
            Ballot::Missing(why) => Some((v.detector, why)),
            _ => None,
        })
    }
}
