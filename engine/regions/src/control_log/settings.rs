//! Flags, and keys that only their node can read.

use super::limits::{FLAG_BYTES, FLAGS, KEYS, WRAPPED_BYTES};
use super::nodes::Nodes;
use super::reply::{Answer, Noun, Refusal, Reply, check_name, check_room, check_size, unknown};
use crate::threats::collection::Floor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::{Text, Timestamp};

/// Flags and wrapped keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    flags: BTreeMap<Text, Text>,
    keys: BTreeMap<Text, BTreeMap<u64, Vec<u8>>>,
}

impl Settings {
    /// Values of flags, by name.
    pub const fn flags(&self) -> &BTreeMap<Text, Text> {
        &self.flags
    }

    /// A key as wrapped for a node.
    pub fn wrapped(&self, key: &str, node: u64) -> Option<&[u8]> {
        self.keys.get(key)?.get(&node).map(Vec::as_slice)
    }

    pub(super) fn set_flag(&mut self, name: &Text, value: Option<&Text>) -> Answer {
        check_name(Noun::Flag, name)?;
        if **name == *Floor::FLAG {
            return Err(Refusal::Own(Noun::Flag, name.clone()));
        }
        self.put_flag(name, value)
    }

    /// Each floor follows the one that its proposer knew: whoever was away for one of them is away
    /// for the next, until it has seen one.
    pub(super) fn raise_floor(&mut self, expected: Option<Timestamp>, floor: &Floor) -> Answer {
        let name = Text::from(Floor::FLAG);
        let known = Floor::of(self).map(|known| known.at);
        if known != expected || known >= Some(floor.at) {
            return Err(Refusal::Overtaken(Noun::Flag, name));
        }
        self.put_flag(&name, Some(&floor.text()))
    }

    fn put_flag(&mut self, name: &Text, value: Option<&Text>) -> Answer {
        let Some(value) = value else {
            let was = self.flags.remove(name);
            return Ok(if was.is_some() { Reply::Done } else { Reply::Unchanged });
        };
        check_size(Noun::Flag, value.len(), FLAG_BYTES)?;
        if !self.flags.contains_key(name) {
            check_room(Noun::Flag, self.flags.len(), FLAGS)?;
        }
        let before = self.flags.insert(name.clone(), value.clone());
        Ok(if before.as_ref() == Some(value) { Reply::Unchanged } else { Reply::Done })
    }

    pub(super) fn wrap_key(
        &mut self,
        key: &Text,
        node: u64,
        wrapped: &[u8],
        nodes: &Nodes,
    ) -> Answer {
        check_name(Noun::Key, key)?;
        nodes.get(node)?;
        if wrapped.is_empty() {
            return Err(Refusal::Empty(Noun::Key));
        }
        check_size(Noun::Key, wrapped.len(), WRAPPED_BYTES)?;
        if !self.keys.contains_key(key) {
            check_room(Noun::Key, self.keys.len(), KEYS)?;
        }
        let before = self.keys.entry(key.clone()).or_default().insert(node, wrapped.to_vec());
        Ok(if before.as_deref() == Some(wrapped) { Reply::Unchanged } else { Reply::Done })
    }

    pub(super) fn drop_key(&mut self, key: &Text) -> Answer {
        match self.keys.remove(key) {
            Some(_) => Ok(Reply::Done),
            None => Err(unknown(Noun::Key, key)),
        }
    }

    /// What was wrapped for a node that left is of no use.
    pub(super) fn node_left(&mut self, node: u64) {
        for wrapped in self.keys.values_mut() {
            wrapped.remove(&node);
        }
    }
}
