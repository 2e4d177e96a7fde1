//! Which findings a record tells, and what a run keeps of them.

use crate::findings;
use actors::detection::recorder::Record;
use std::collections::BTreeMap;
use threat::{Counted, Example, Severity, Threat, ThreatId};

/// When findings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Once for each threat, at the end of the run, whole.
    AtTheEnd,
    /// When a threat is new, when it gets graver, and when its hour is over.
    AsTheyCome,
}

/// Threats and examples that a run kept for its report.
#[derive(Debug, Default)]
pub struct Kept {
    /// The threats, closed ones included.
    pub threats: BTreeMap<ThreatId, Threat>,
    /// Their examples.
    pub examples: BTreeMap<ThreatId, Vec<Example>>,
    /// What a finite run saw by hour of event time, of the latest [`HOURS`] such counts.
    pub hours: BTreeMap<(i64, Counted), u64>,
}

/// Counts by hour that a run keeps: eleven years of hours of one class. Files with wrong years must
/// not take memory.
pub(super) const HOURS: usize = 100_000;

/// Says which findings to tell.
#[derive(Debug)]
pub struct Teller {
    telling: Telling,
    told: BTreeMap<ThreatId, Severity>,
    kept: Kept,
}

impl Teller {
    /// One that told nothing yet.
    pub fn new(telling: Telling) -> Self {
        Self { telling, told: BTreeMap::new(), kept: Kept::default() }
    }

    /// Goes on with threats that an earlier process told of.
    pub fn resume(&mut self, known: &[Threat]) {
        self.told.extend(known.iter().map(|t| (t.id, t.severity)));
    }

    /// What was kept for a report, taken out.
    pub fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    /// The findings that this record tells, one JSON object a line.
    pub fn lines(&mut self, record: &Record) -> String {
        let kept = &mut self.kept;
        for (id, _, example) in &record.examples {
            kept.examples.entry(*id).or_default().push(example.clone());
        }
        for threat in record.threats.iter().chain(&record.closed) {
            kept.threats.insert(threat.id, threat.clone());
        }
        if self.telling == Telling::AtTheEnd {
            for ((_, hour, counted), count) in &record.hours {
                *kept.hours.entry((*hour, *counted)).or_default() += count;
            }
            while kept.hours.len() > HOURS {
                kept.hours.pop_first();
            }
        }
        let mut out = String::new();
        let mut tell = |threat: &Threat, activity, examples: &[Example]| {
            out.push_str(&findings::line(threat, examples, crate::VERSION, activity));
            out.push('\n');
        };
        match self.telling {
            Telling::AtTheEnd if record.last => {
                let mut all: Vec<&Threat> = kept.threats.values().collect();
                all.sort_by_key(|t| (t.first_seen, t.id));
                for threat in all {
                    let examples = kept.examples.get(&threat.id);
                    let examples = examples.map_or(&[][..], Vec::as_slice);
                    tell(threat, findings::Activity::Create, examples);
                }
            }
            Telling::AtTheEnd => {}
            Telling::AsTheyCome => {
                for threat in &record.threats {
                    let before = self.told.insert(threat.id, threat.severity);
                    let examples = kept.examples.get(&threat.id);
                    let examples = examples.map_or(&[][..], Vec::as_slice);
                    let new = record.new.contains(&threat.id);
                    if new {
                        tell(threat, findings::Activity::Create, examples);
                    } else if before.is_none_or(|b| b < threat.severity) {
                        tell(threat, findings::Activity::Update, examples);
                    }
                }
                for threat in &record.closed {
                    let examples = kept.examples.remove(&threat.id).unwrap_or_default();
                    tell(threat, findings::Activity::Close, &examples);
                    self.told.remove(&threat.id);
                    kept.threats.remove(&threat.id);
                }
            }
        }
        out
    }
}
