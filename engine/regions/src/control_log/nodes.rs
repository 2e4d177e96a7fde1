//! Who is in the cluster, and where.

use super::limits::{ADDRESS_BYTES, LEFT_NODES, NODES, REGIONS};
use super::reply::{Answer, Noun, Refusal, Reply, check_name, check_room, check_size, unknown};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use threat::Text;

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique among those present.
    pub name: Text,
    /// Where it is.
    pub region: Text,
    /// Where it listens.
    pub address: Text,
    /// How often its state was opened: what an older life says is refused.
    pub incarnation: u64,
    /// Whether it may own workloads.
    pub admitted: bool,
}

/// Regions and nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    regions: BTreeSet<Text>,
    present: BTreeMap<u64, Node>,
    left: BTreeSet<u64>,
    /// This id and all below that are not of a present node count as left.
    left_below: Option<u64>,
}

impl Nodes {
    /// Known regions.
    pub const fn regions(&self) -> &BTreeSet<Text> {
        &self.regions
    }

    /// Nodes present, by id.
    pub const fn present(&self) -> &BTreeMap<u64, Node> {
        &self.present
    }

    /// Whether the id is of a node that left.
    pub fn has_left(&self, node: u64) -> bool {
        let below = self.left_below.is_some_and(|b| node <= b);
        self.left.contains(&node) || (below && !self.present.contains_key(&node))
    }

    pub(super) fn get(&self, node: u64) -> Result<&Node, Refusal> {
        self.present.get(&node).ok_or_else(|| unknown(Noun::Node, node))
    }

    pub(super) fn known_region(&self, region: &Text) -> Result<(), Refusal> {
        if self.regions.contains(region) { Ok(()) } else { Err(unknown(Noun::Region, region)) }
    }

    pub(super) fn add_region(&mut self, region: &Text) -> Answer {
        check_name(Noun::Region, region)?;
        if self.regions.contains(region) {
            return Ok(Reply::Unchanged);
        }
        check_room(Noun::Region, self.regions.len(), REGIONS)?;
        self.regions.insert(region.clone());
        Ok(Reply::Done)
    }

    /// The caller has checked that no workload needs it.
    pub(super) fn remove_region(&mut self, region: &Text) -> Answer {
        self.known_region(region)?;
        if let Some((id, _)) = self.present.iter().find(|(_, n)| n.region == *region) {
            let id = Text::from(id.to_string());
            return Err(Refusal::InUse(Noun::Region, region.clone(), Noun::Node, id));
        }
        self.regions.remove(region);
        Ok(Reply::Done)
    }

    pub(super) fn join(&mut self, id: u64, node: Node) -> Answer {
        check_name(Noun::Node, &node.name)?;
        check_size(Noun::Address, node.address.len(), ADDRESS_BYTES)?;
        self.known_region(&node.region)?;
        if self.has_left(id) {
            return Err(Refusal::NodeLeft(id));
        }
        let same_name = |(other, n): (&u64, &Node)| *other != id && n.name == node.name;
        if self.present.iter().any(same_name) {
            return Err(Refusal::Exists(Noun::Node, node.name));
        }
        match self.present.get_mut(&id) {
            Some(known) if known.name != node.name || known.region != node.region => {
                Err(Refusal::Exists(Noun::Node, id.to_string().into()))
            }
            Some(known) if known.incarnation < node.incarnation => {
                *known = Node { admitted: known.admitted, ..node };
                Ok(Reply::Done)
            }
            Some(known) if *known == (Node { admitted: known.admitted, ..node.clone() }) => {
                Ok(Reply::Unchanged)
            }
            Some(known) => {
                Err(Refusal::StaleIncarnation { given: node.incarnation, known: known.incarnation })
            }
            None => {
                check_room(Noun::Node, self.present.len(), NODES)?;
                self.present.insert(id, node);
                Ok(Reply::Done)
            }
        }
    }

    pub(super) fn admit(&mut self, node: u64) -> Answer {
        let known = self.present.get_mut(&node).ok_or_else(|| unknown(Noun::Node, node))?;
        let was = std::mem::replace(&mut known.admitted, true);
        Ok(if was { Reply::Unchanged } else { Reply::Done })
    }

    /// The caller has checked that it owns nothing.
    pub(super) fn leave(&mut self, node: u64) -> Answer {
        if self.has_left(node) {
            return Ok(Reply::Unchanged);
        }
        self.get(node)?;
        self.present.remove(&node);
        self.left.insert(node);
        if self.left.len() > LEFT_NODES {
            self.left_below = self.left.pop_first().max(self.left_below);
        }
        Ok(Reply::Done)
    }
}
