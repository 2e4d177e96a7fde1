//! What clients do while things break.

use super::Error;
use super::units::Rate;
use serde::{Deserialize, Serialize};

/// What kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// Batches of events that must get verdicts.
    Ingest,
    /// Commands and reads of the control log.
    Control,
    /// Analysts who handle threats at nodes all over the cluster.
    Threats,
}

/// One kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Which.
    pub kind: WorkloadKind,
    /// Operations a second, in the whole cluster: batches of events, commands, edits.
    pub rate: Rate,
    /// Who does them, each one after the other.
    #[serde(default = "Workload::clients")]
    pub clients: u32,
    /// Events of a batch.
    #[serde(default = "Workload::batch")]
    pub batch: u32,
    /// Hosts, threats or keys that are spoken of.
    #[serde(default = "Workload::keys")]
    pub keys: u32,
    /// Skew: how much more often the first of them come (an exponent of Zipf's law; 0 is none).
    #[serde(default)]
    pub zipf: f64,
    /// What the operations are.
    #[serde(default)]
    pub mix: Mix,
    /// Only these operations are done, each by client and number. A shrunk run says which of all
    /// it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<(u32, u32)>>,
}

/// Shares of operations, in any unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Events without anything bad.
    pub benign: f64,
    /// Events that a rule knows.
    pub known_bad: f64,
    /// Events that only the learned detectors find.
    pub unusual: f64,
    /// Reads that must see every command acknowledged before.
    pub read: f64,
    /// Plain writes.
    pub write: f64,
    /// Writes that expect what was read before: activations and rollbacks of bundles.
    pub cas: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { benign: 0.9, known_bad: 0.05, unusual: 0.05, read: 0.4, write: 0.4, cas: 0.2 }
    }
}

impl Workload {
    const fn clients() -> u32 {
        4
    }

    const fn batch() -> u32 {
        8
    }

    const fn keys() -> u32 {
        256
    }

    pub(super) fn check(&self, field: &str) -> Result<(), Error> {
        if self.clients == 0 || self.clients > 256 {
            return Err(Error::of(format!("{field}.clients"), "1 to 256"));
        }
        if self.batch == 0 || self.batch > 256 {
            return Err(Error::of(format!("{field}.batch"), "1 to 256 events"));
        }
        if self.keys == 0 || self.keys > 65_536 {
            return Err(Error::of(format!("{field}.keys"), "1 to 65536"));
        }
        if self.rate.0 > 100_000.0 {
            return Err(Error::of(format!("{field}.rate"), "at most 100000/s"));
        }
        let Mix { benign, known_bad, unusual, read, write, cas } = self.mix;
        let shares = [benign, known_bad, unusual, read, write, cas];
        if shares.iter().any(|s| !(s.is_finite() && *s >= 0.0)) {
            return Err(Error::of(format!("{field}.mix"), "shares are 0 or more"));
        }
        let total: f64 = match self.kind {
            WorkloadKind::Ingest => benign + known_bad + unusual,
            WorkloadKind::Control => read + write + cas,
            WorkloadKind::Threats => 1.0,
        };
        if total <= 0.0 {
            return Err(Error::of(format!("{field}.mix"), "all shares of it are 0"));
        }
        Ok(())
    }
}
