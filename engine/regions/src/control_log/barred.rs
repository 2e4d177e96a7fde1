//! Whose certificates count for nothing, though they are valid by date.

use super::limits::BARRED;
use super::reply::{Answer, Noun, Reply, check_name, check_room};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use threat::Text;

/// Names that are barred, until somebody lifts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    nodes: BTreeSet<Text>,
    operators: BTreeSet<Text>,
}

impl Barred {
    /// Names of nodes, whether they are present or not.
    pub const fn nodes(&self) -> &BTreeSet<Text> {
        &self.nodes
    }

    /// Names of operators.
    pub const fn operators(&self) -> &BTreeSet<Text> {
        &self.operators
    }

    pub(super) fn bar(&mut self, name: &Text, operator: bool) -> Answer {
        let (noun, names) = self.named(operator);
        check_name(noun, name)?;
        if names.contains(name) {
            return Ok(Reply::Unchanged);
        }
        check_room(noun, names.len(), BARRED)?;
        names.insert(name.clone());
        Ok(Reply::Done)
    }

    pub(super) fn lift(&mut self, name: &Text, operator: bool) -> Answer {
        let was = self.named(operator).1.remove(name);
        Ok(if was { Reply::Done } else { Reply::Unchanged })
    }

    const fn named(&mut self, operator: bool) -> (Noun, &mut BTreeSet<Text>) {
        if operator { (Noun::Person, &mut self.operators) } else { (Noun::Node, &mut self.nodes) }
    }
}
