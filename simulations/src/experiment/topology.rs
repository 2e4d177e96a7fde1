//! Regions, their nodes and voters, and the links between them.

use super::units::Span;
use super::{Error, NODES};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Regions with their nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// How many nodes each region has; they are called `eu-1`, `eu-2` and so on.
    pub regions: BTreeMap<String, u32>,
    /// How many of them vote in consensus. Without it the first node of each region, and the second
    /// ones in turn up to five.
    #[serde(default)]
    pub voters: BTreeMap<String, u32>,
}

impl Topology {
    /// All nodes, region by region.
    pub fn nodes(&self) -> usize {
        self.regions.values().map(|n| *n as usize).sum()
    }

    /// Voters by region, drawn out where the file is silent.
    pub fn votes(&self) -> BTreeMap<String, u32> {
        if !self.voters.is_empty() {
            return self.voters.clone();
        }
        let want = match self.nodes() {
            0..=2 => 1,
            3..=4 => 3,
            _ => 5,
        };
        let mut votes: BTreeMap<String, u32> = BTreeMap::new();
        for round in 0..want {
            for (region, nodes) in &self.regions {
                let given: u32 = votes.values().sum();
                if given < want && *nodes > round {
                    *votes.entry(region.clone()).or_default() += 1;
                }
            }
        }
        votes
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let nodes = self.nodes();
        if nodes == 0 || nodes > NODES {
            return Err(Error::of("topology.regions", format!("1 to {NODES} nodes, not {nodes}")));
        }
        let plain = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if let Some(name) = self.regions.keys().find(|name| !plain(name)) {
            let what = format!("`{name}`: letters, digits and _");
            return Err(Error::of("topology.regions", what));
        }
        for (region, votes) in &self.voters {
            let there = self.regions.get(region).copied().unwrap_or_default();
            if *votes > there {
                let what = format!("{votes} voters in {region}, which has {there} nodes");
                return Err(Error::of("topology.voters", what));
            }
        }
        let votes: u32 = self.votes().values().sum();
        if !matches!(votes, 1 | 3 | 5 | 7) {
            let what = format!("1, 3, 5 or 7 voters in all, not {votes}");
            return Err(Error::of("topology.voters", what));
        }
        Ok(())
    }
}

/// A link between two regions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// One end.
    pub from: String,
    /// The other.
    pub to: String,
    /// Whether the way back is the same.
    #[serde(default = "both")]
    pub both: bool,
    /// Time of one way.
    pub delay: Span,
    /// More than that, at most, drawn for each message.
    #[serde(default = "none", with = "super::units::duration")]
    pub jitter: Duration,
    /// Share of messages that are lost, in percent.
    #[serde(default)]
    pub loss: f64,
}

const fn both() -> bool {
    true
}

const fn none() -> Duration {
    Duration::ZERO
}

impl Link {
    pub(super) fn check(&self, topology: &Topology) -> Result<(), Error> {
        for end in [&self.from, &self.to] {
            if !topology.regions.contains_key(end) {
                return Err(Error::of("link", format!("there is no region `{end}`")));
            }
        }
        if !(0.0..=100.0).contains(&self.loss) {
            return Err(Error::of("link.loss", "0 to 100 percent"));
        }
        Ok(())
    }
}
