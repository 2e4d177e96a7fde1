//! The report of one run as a value: what was read, how it was judged, what came out.

use crate::host::Received;
pub use actors::detection::threats::Latency;
use detection::drift::Drift;
use detection::quality::Note;
use detection::tally::AccountRisk;
use forecast::Outlook;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::verdict::Absence;
use threat::{
    DetectorKind, EventClass, Example, Incident, IntakeCounts, Severity, Text, Threat, ThreatId,
    Timestamp,
};

/// A source that was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its name: a path, or `-`.
    pub name: String,
    /// The format that was found in it.
    pub format: String,
    /// What intake did with its records.
    pub counts: IntakeCounts,
    /// What went wrong with the source as a whole (not readable to its end, clock backwards).
    pub problems: Vec<String>,
    /// Some of the records that were set aside.
    pub quarantined: Vec<QuarantineExample>,
    /// What became of its datagrams, where it has any.
    pub received: Received,
    /// What it delivers otherwise than at its beginning.
    pub quality: Vec<Note>,
    /// Further such notes that found no room.
    pub quality_turned_away: u64,
    /// Records of each class that were compared with its beginning (a sample); 0 while the
    /// beginning is not over.
    pub quality_compared: BTreeMap<EventClass, u64>,
}

impl SourceReport {
    /// No record of any known format was found in it: a text, but no log.
    pub fn is_no_log(&self) -> bool {
        self.counts.events == 0 && self.counts.quarantined > 0 && self.format == "unknown"
    }
}

/// A record that was set aside as malformed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QuarantineExample {
    /// 1-based line number.
    pub line: u64,
    /// Why.
    pub reason: String,
    /// How it begins.
    pub excerpt: String,
}

/// Whether the models can be trusted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// A bundle voted.
    #[default]
    Ready,
    /// Too little was seen to train on: the rules decided alone.
    Learning {
        /// Rows seen so far.
        rows: u64,
        /// Rows needed.
        needed: u64,
    },
}

/// The bundle that voted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BundleReport {
    /// Its version.
    pub version: String,
    /// Its hash in hex.
    pub id: String,
    /// Benign rows that it was trained on.
    pub rows: u64,
    /// What it holds for each class of events.
    pub classes: BTreeMap<EventClass, ClassReport>,
}

/// A class of events in a bundle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Its three voters.
    pub voters: Vec<DetectorKind>,
    /// Benign rows of this class.
    pub rows: u64,
    /// The tail (−log10 p) from which a voter says "threat".
    pub threshold: f32,
}

/// A voter that should have answered and did not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissingVoter {
    /// Who.
    pub detector: DetectorKind,
    /// Why.
    pub reason: Absence,
    /// In how many verdicts.
    pub verdicts: u64,
}

/// How the verdicts came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// All; as many as events.
    pub total: u64,
    /// Decided by the voters.
    pub by_voters: u64,
    /// Decided by the rules alone.
    pub by_rules: u64,
    /// Those that say "threat".
    pub threats: u64,
    /// Threat verdicts by severity.
    pub by_severity: BTreeMap<Severity, u64>,
    /// Voters that were missing.
    pub missing: Vec<MissingVoter>,
}

/// A stretch of event time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Where it begins.
    pub start: Timestamp,
    /// How long it is.
    pub seconds: f64,
    /// Events in it.
    pub events: u64,
    /// Threat verdicts in it.
    pub threats: BTreeMap<Severity, u64>,
}

/// Whose scores a histogram shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scorer {
    /// One voter.
    Detector(DetectorKind),
    /// The combined score.
    Ensemble,
}

/// How the tails of one class and scorer spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The class of events.
    pub class: EventClass,
    /// Whose scores.
    pub scorer: Scorer,
    /// Where "threat" begins.
    pub threshold: f32,
    /// Width of a bin in tail units; bin `i` covers `[i, i + 1) * width`, the last one all above.
    pub width: f32,
    /// Benign verdicts by bin.
    pub benign: Vec<u64>,
    /// Threat verdicts by bin.
    pub threats: Vec<u64>,
}

/// An entity with what it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityReport {
    /// Its name.
    pub entity: Text,
    /// `host`, `user` or `source`.
    pub kind: Text,
    /// Its events.
    pub events: u64,
    /// Those that are threats.
    pub threats: u64,
    /// Its greatest score.
    pub max_score: f32,
}

/// Rows of one ground-truth label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelReport {
    /// Rows that carry it.
    pub rows: u64,
    /// Those that got a threat verdict.
    pub found: u64,
}

/// What was turned away because a limit was reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// Events shed at admission, by reason.
    pub shed: BTreeMap<String, u64>,
    /// Times a source was held back for want of credits.
    pub held_back: u64,
    /// Entities whose state was evicted.
    pub evicted: u64,
    /// Threats that found no room in the report.
    pub threats_turned_away: u64,
}

/// Files that this run wrote, to tell the person where to look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    /// The HTML report.
    pub report: Option<String>,
    /// The findings, one JSON object a line.
    pub findings: Option<String>,
}

/// Everything that one run found. `verdicts.total` equals the events of all sources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Version of the tool.
    pub version: String,
    /// Wall time of the start.
    pub started: Timestamp,
    /// Wall time of the end.
    pub finished: Timestamp,
    /// Seconds in between, by a steady clock.
    pub elapsed_secs: f64,
    /// Command line as given.
    pub command: Vec<String>,
    /// What was read.
    pub sources: Vec<SourceReport>,
    /// Ready, or still learning.
    pub state: RunState,
    /// The bundle that voted; none while learning.
    pub bundle: Option<BundleReport>,
    /// The budget in words (`0.1% of events`).
    pub budget: String,
    /// Events scored per second of wall time.
    pub events_per_second: f64,
    /// Milliseconds from read to verdict.
    pub latency_ms: Latency,
    /// Event time of the earliest event.
    pub first_event: Option<Timestamp>,
    /// Event time of the latest event.
    pub last_event: Option<Timestamp>,
    /// How the verdicts came out.
    pub verdicts: VerdictCounts,
    /// What is bad about whom.
    pub threats: Vec<Threat>,
    /// The threats told as stories, gravest first.
    pub incidents: Vec<Incident>,
    /// Replayable verdicts of each threat.
    pub examples: BTreeMap<ThreatId, Vec<Example>>,
    /// Events and threats over event time.
    pub timeline: Vec<Bucket>,
    /// What the days after the last event may bring, where two days and more were read.
    #[serde(default)]
    pub next: Vec<Outlook>,
    /// How scores spread.
    pub histograms: Vec<Histogram>,
    /// The entities with most threats, most first.
    pub top_entities: Vec<EntityReport>,
    /// The accounts whose logons told most against them, the greatest risk first.
    pub accounts: Vec<AccountRisk>,
    /// Ground truth by label, where the capture has any.
    pub labelled: Option<BTreeMap<Text, LabelReport>>,
    /// The voters whose scores of benign events have changed since training.
    pub drift: Vec<Drift>,
    /// What was turned away.
    pub overload: Overload,
    /// Where to look further.
    pub outputs: Outputs,
}

impl RunReport {
    /// The counts of all sources together.
    pub fn intake(&self) -> IntakeCounts {
        let mut all = IntakeCounts::default();
        self.sources.iter().for_each(|s| all.add(&s.counts));
        all
    }

    /// Threats, gravest first: severity, score, count, id.
    pub fn ranked(&self) -> Vec<&Threat> {
        let mut all: Vec<&Threat> = self.threats.iter().collect();
        all.sort_by(|a, b| {
            (b.severity.cmp(&a.severity))
                .then(b.score.total_cmp(&a.score))
                .then(b.count.cmp(&a.count))
                .then(a.id.cmp(&b.id))
        });
        all
    }

    /// The verdict in one sentence.
    pub fn sentence(&self) -> String {
        use crate::report::words::{list, number, plural};
        let events = plural(self.verdicts.total, "event", "events");
        if self.verdicts.total == 0 {
            return "No events were read, so nothing was judged".to_owned();
        }
        if self.incidents.is_empty() {
            return match self.state {
                RunState::Ready => format!("Nothing suspicious in {events}"),
                RunState::Learning { .. } => {
                    format!("No rule matched in {events}; the models are still learning")
                }
            };
        }
        if let [one] = self.incidents.as_slice() {
            let severity = one.severity.name().to_lowercase();
            return format!("1 incident in {events}, of {severity} severity");
        }
        let by_severity: Vec<String> = Severity::ALL
            .into_iter()
            .rev()
            .filter_map(|s| {
                let n = self.incidents.iter().filter(|i| i.severity == s).count() as u64;
                (n > 0).then(|| format!("{} {}", number(n), s.name().to_lowercase()))
            })
            .collect();
        let incidents = plural(self.incidents.len() as u64, "incident", "incidents");
        format!("{incidents} in {events}: {}", list(&by_severity))
    }
}
