//! What a person is shown and can check: examples of verdicts with their reasons, and incidents.

use crate::entity::Entity;
use crate::event::Position;
use crate::{EventClass, Severity, Text, ThreatClass, ThreatId, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

/// One feature's part in a verdict, with what is usual beside what was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The feature.
    pub feature: Text,
    /// Its share of the voters' scores, 0 to 1.
    pub share: f32,
    /// What was seen, in the feature's unit or as its value.
    pub observed: Text,
    /// What was seen, as a number, where it is one.
    pub value: Option<f32>,
    /// 5th, 50th and 95th percentile in the benign training rows, where it is a number.
    pub baseline: Option<[f32; 3]>,
    /// How often its value stood in the benign training rows (0 to 1), where it is a category.
    pub frequency: Option<f32>,
}

impl Contribution {
    /// How usual the observed category is, in words: for the account where the feature is one that
    /// is held against the account's own past, else for benign rows. `None` for a number.
    pub fn frequency_words(&self) -> Option<String> {
        let frequency = self.frequency?;
        let own = self.feature.strip_prefix("account_");
        if frequency > 0.0 {
            let whose = if own.is_some() { "this account's" } else { "benign" };
            let percent = frequency * 100.0;
            let share = if percent < 0.1 { "<0.1".to_owned() } else { format!("{percent:.1}") };
            return Some(format!("in {share}% of {whose} rows"));
        }
        let seen = &self.observed;
        Some(match own {
            Some("host") => format!("first logon of this account to {seen}"),
            Some("source") => format!("first logon of this account from {seen}"),
            Some("country") => format!("first logon of this account from the country {seen}"),
            Some("hour") => format!("at an hour at which this account is never seen: {seen}"),
            Some("weekday") => format!("on a day on which this account is never seen: {seen}"),
            Some(_) => format!("this account never did so before: {seen}"),
            None => "never seen in benign rows".to_owned(),
        })
    }
}

/// Everything that the voters saw of one event: with the bundle it re-scores to identical bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Numeric features in the schema's order.
    pub numeric: Vec<f32>,
    /// Category hashes in the schema's order.
    pub categories: Vec<u64>,
    /// The event's token.
    pub token: u16,
    /// The entity's tokens before it.
    pub history: Vec<u16>,
}

/// A verdict that is kept as an example of its threat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Event time.
    pub time: Timestamp,
    /// The source's name: a path, or `-`.
    pub source: Text,
    /// Where the record stood.
    pub position: Position,
    /// The raw record, cut at a limit.
    pub raw: String,
    /// The class of the event.
    pub class: EventClass,
    /// Who did it to whom, in a line.
    pub summary: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Greatest contributions first.
    pub contributions: Vec<Contribution>,
    /// What the voters saw.
    pub replay: Replay,
}

/// Threats of related entities, for a person to handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable: made of the incident's key.
    pub id: Text,
    /// One line for a person.
    pub title: String,
    /// The entity in its middle: the infected host, the scanner, the attacked service.
    pub entity: Entity,
    /// What it is, by its gravest threat.
    pub class: ThreatClass,
    /// ATT&CK techniques of its threats.
    pub techniques: Vec<Text>,
    /// The greatest severity.
    pub severity: Severity,
    /// The greatest score.
    pub score: f32,
    /// Event time of the first verdict.
    pub first_seen: Timestamp,
    /// Event time of the last verdict.
    pub last_seen: Timestamp,
    /// Verdicts in all of its threats.
    pub count: u64,
    /// Its threats.
    pub threats: Vec<ThreatId>,
    /// The entities that acted, most active first, at most
    /// [`THREAT_INDICATORS`](crate::limits::THREAT_INDICATORS).
    pub actors: Vec<(Text, u64)>,
    /// How many entities acted in all.
    pub actor_count: u64,
    /// What to do next, in a sentence or two.
    pub advice: String,
}
