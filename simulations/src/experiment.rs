//! A chaos experiment: a TOML file that says what runs, what breaks and what must hold.
//!
//! One format for every world. Everything that is drawn at random in a run follows from the file
//! and a seed; [`crate::plan`] makes both into an explicit plan.

mod check;
mod fault;
mod stop;
mod target;
mod topology;
mod units;
mod workload;

pub use check::{Bounds, Invariants, Mode, Probe, SteadyState};
pub use fault::{Direction, FaultOptions, Kind, Moment, Shape};
pub use stop::{Limit, Stop};
pub(crate) use stop::{host_free, kibibytes};
pub use target::{Role, Target, matches};
pub use topology::{Link, Topology};
pub use units::{Rate, Span, Words};
pub use workload::{Mix, Workload, WorkloadKind};

use crate::plan::Tuning;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// The format of the file.
const FORMAT: u32 = 1;

/// Nodes of one experiment: as many as a cluster may have would take a machine's memory.
pub const NODES: usize = 64;

/// Virtual time of one run.
pub const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Why a text is no experiment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the format; the message has line and column.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value that makes no sense.
    #[error("{field}: {what}")]
    Invalid {
        /// Where.
        field: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

impl Error {
    pub(crate) fn of(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), what: what.into() }
    }
}

/// Where an experiment runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// The engine's machines in one queue of virtual time.
    Virtual,
    /// The node's parts on a simulated network and disk, in one process.
    InProcess,
    /// The binary, in network namespaces.
    Processes,
    /// Every one.
    All,
}

/// Which seeds are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
}

impl Default for Seeds {
    fn default() -> Self {
        Self { from: 1, count: 100 }
    }
}

/// Faults drawn at random, for each seed others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// Families of faults to draw from; each is in a seed with probability one half.
    pub enable: Vec<Family>,
    /// Faults at one time.
    #[serde(default = "Swarm::intensity")]
    pub intensity: Words<u32>,
    /// Whether delays, batches and limits inside of nodes are drawn, too.
    #[serde(default)]
    pub buggify: bool,
    /// Whether the cluster's size is drawn: 1 to 5 regions, 1 to 9 nodes.
    #[serde(default)]
    pub sizes: bool,
    /// Whether it is drawn how much each workload asks: as the file says, or a half, a quarter or
    /// an eighth of it.
    #[serde(default)]
    pub loads: bool,
}

impl Swarm {
    const fn intensity() -> Words<u32> {
        Words { from: 1, to: 3 }
    }
}

/// A family of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Links.
    Net,
    /// Nodes that end, stop and come back.
    Process,
    /// Disks.
    Storage,
    /// Clocks.
    Clock,
    /// Actors inside of nodes.
    Actor,
    /// Nodes that join and leave.
    Membership,
    /// More events than usual.
    Load,
    /// Who is let in.
    Access,
}

impl Family {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Net,
        Self::Process,
        Self::Storage,
        Self::Clock,
        Self::Actor,
        Self::Membership,
        Self::Load,
        Self::Access,
    ];
}

/// What is written beside the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reports {
    /// A page for each run that did not pass, and for the first that did.
    pub html: bool,
    /// The same as JSON, which can be replayed.
    pub json: bool,
    /// What is written beside them of a run that failed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub on_fail: BTreeSet<OnFail>,
}

/// What is written of a run that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFail {
    /// The smallest plan that still fails, as an experiment.
    Shrink,
    /// All that happened, a line for each event.
    Trace,
}

impl Default for Reports {
    fn default() -> Self {
        Self { html: true, json: true, on_fail: BTreeSet::new() }
    }
}

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// [`FORMAT`].
    pub format: u32,
    /// Its name, which names its reports.
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Where it runs, unless the command line says otherwise.
    #[serde(default = "Experiment::world")]
    pub world: World,
    /// Which seeds.
    #[serde(default)]
    pub seeds: Seeds,
    /// The safety phase, in which faults happen.
    #[serde(with = "units::duration")]
    pub duration: Duration,
    /// The liveness phase after it, in which a healthy core has to get on.
    #[serde(default = "Experiment::heal", with = "units::duration")]
    pub heal: Duration,
    /// Who is healthy in the liveness phase.
    #[serde(default)]
    pub core: Core,
    /// Regions, nodes, voters.
    pub topology: Topology,
    /// Links between regions; those not named are of one city.
    #[serde(default, rename = "link")]
    pub links: Vec<Link>,
    /// What clients do.
    #[serde(default, rename = "workload")]
    pub workloads: Vec<Workload>,
    /// What has to hold before the first fault.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub steady_state: SteadyState,
    /// Faults at given times.
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultOptions>,
    /// Faults drawn by seed.
    pub swarm: Option<Swarm>,
    /// When it is given up.
    #[serde(default, skip_serializing_if = "Stop::is_never")]
    pub stop: Stop,
    /// What must hold.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub invariants: Invariants,
    /// What is written.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub report: Reports,
    /// The insides of nodes, where they are not as usual: a shrunk run says how they were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
    /// The planted bug that is live, by name; for programs that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
}

/// Whether it is as in files that say nothing of it.
fn is_usual<T: Default + PartialEq>(said: &T) -> bool {
    *said == T::default()
}

/// Who is healthy in the liveness phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// All nodes and links are mended.
    #[default]
    All,
    /// A majority of the voters drawn by seed, and one node of each region at least, are mended;
    /// the others stay in the state in which they are.
    RandomMajority,
}

impl Experiment {
    const fn world() -> World {
        World::Virtual
    }

    const fn heal() -> Duration {
        Duration::from_secs(20)
    }

    /// Reads and checks the text of a file.
    ///
    /// # Errors
    /// [`Error::Toml`] with the position, [`Error::Invalid`] with the field.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let experiment: Self = toml::from_str(text)?;
        experiment.check()?;
        Ok(experiment)
    }

    /// Its text, which [`Self::parse`] reads.
    ///
    /// # Errors
    /// What of it no file can say.
    pub fn text(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    /// What is wrong with it beyond its form.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self) -> Result<(), Error> {
        if self.format != FORMAT {
            let what =
                format!("{} is not known to this version, which reads {FORMAT}", self.format);
            return Err(Error::of("format", what));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(Error::of("name", "letters, digits and dashes: it names files"));
        }
        if self.duration.is_zero() || self.duration + self.heal > LONGEST {
            let what = format!("with `heal` more than nothing and at most {LONGEST:?}");
            return Err(Error::of("duration", what));
        }
        self.topology.check()?;
        for link in &self.links {
            link.check(&self.topology)?;
        }
        for (at, workload) in self.workloads.iter().enumerate() {
            workload.check(&format!("workload {}", at + 1))?;
        }
        self.invariants.check()?;
        let mut ids = BTreeSet::new();
        for (at, fault) in self.faults.iter().enumerate() {
            let field = fault.id.clone().unwrap_or_else(|| format!("{}", at + 1));
            fault.check(&format!("fault {field}"), &self.topology, &ids)?;
            if let Some(id) = &fault.id
                && !ids.insert(id.clone())
            {
                return Err(Error::of(format!("fault {id}"), "there is another of this id"));
            }
        }
        Ok(())
    }
}

/// Microseconds of a time of either sign, such as `-30s`.
pub fn signed_micros(text: &str) -> Option<i64> {
    units::micros(text).ok()
}

#[cfg(test)]
mod tests;
