//! What has to hold: before the first fault, always, and once what broke is mended.

use super::Error;
use super::units;
use crate::invariants;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// When a probe is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Until the first fault.
    Edge,
    /// All the time.
    Continuous,
}

/// A measure with a bound: `verdict_gap_max < 2s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Names it in reports.
    pub id: String,
    /// When.
    pub mode: Mode,
    /// What.
    pub check: Bounds,
}

/// A measure and what it must stay under.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// One of [`Bounds::MEASURES`].
    pub measure: String,
    /// Microseconds, or a count.
    pub below: f64,
}

impl Bounds {
    /// What can be measured, with its unit.
    pub const MEASURES: [(&'static str, &'static str); 4] = [
        ("verdict_gap_max", "longest time without a verdict"),
        ("verdict_latency_p99", "time from sending events to their acknowledgement"),
        ("command_latency_p99", "time from asking for a command to its acknowledgement"),
        ("failed_share", "share of operations that failed or are unknown, in percent"),
    ];
}

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::MEASURES.map(|(name, _)| name).join(", ");
        let (measure, below) = text
            .split_once('<')
            .ok_or_else(|| format!("`{text}` is no check such as verdict_gap_max < 2s"))?;
        let measure = measure.trim();
        if !Self::MEASURES.iter().any(|(name, _)| *name == measure) {
            return Err(format!("`{measure}` is not measured; there are {}", known()));
        }
        let below = below.trim();
        let below = match below.strip_suffix('%').map(str::parse) {
            Some(percent) => percent.map_err(|_| format!("`{below}` is not a share"))?,
            None => units::parse(below)?.as_micros() as f64,
        };
        Ok(Self { measure: measure.into(), below })
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.measure == "failed_share" {
            write!(f, "{} < {}%", self.measure, self.below)
        } else {
            let below = units::show(Duration::from_micros(self.below as u64));
            write!(f, "{} < {below}", self.measure)
        }
    }
}

impl Serialize for Bounds {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bounds {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What has to hold before the first fault, or the run says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadyState {
    /// Each of them.
    #[serde(default)]
    pub probes: Vec<Probe>,
}

/// Which invariants are checked. Those of safety are, always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invariants {
    /// Bounds of liveness, where they are to be others than usual.
    #[serde(default)]
    pub liveness: BTreeMap<String, String>,
    /// What has to happen in at least one seed, or the runs say nothing.
    #[serde(default)]
    pub sometimes: Vec<String>,
}

impl Invariants {
    /// The bound of an invariant, in this experiment.
    pub fn bound(&self, id: &str, usual: Duration) -> Duration {
        let said = self.liveness.get(id).and_then(|text| units::parse(text).ok());
        said.unwrap_or(usual)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        for (id, bound) in &self.liveness {
            if !invariants::CATALOGUE.iter().any(|i| i.id == id && i.bound.is_some()) {
                let all = invariants::CATALOGUE.iter().filter(|i| i.bound.is_some());
                let all: Vec<&str> = all.map(|i| i.id).collect();
                let what = format!("`{id}` has no bound; {} have one", all.join(", "));
                return Err(Error::of("invariants.liveness", what));
            }
            units::parse(bound).map_err(|what| Error::of(format!("invariants.{id}"), what))?;
        }
        for goal in &self.sometimes {
            if !invariants::SOMETIMES.iter().any(|(id, _)| id == goal) {
                let all = invariants::SOMETIMES.map(|(id, _)| id).join(", ");
                let what = format!("`{goal}` is no goal; there are {all}");
                return Err(Error::of("invariants.sometimes", what));
            }
        }
        Ok(())
    }
}
