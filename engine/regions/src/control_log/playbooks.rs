//! Response playbooks, as hashes: what is in them lies elsewhere.

use super::command::Hash;
use super::limits::{PLAYBOOK_VERSIONS, PLAYBOOKS};
use super::reply::{Answer, Noun, Refusal, Reply, check_name, check_room, short, unknown};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::Text;

/// A playbook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playbook {
    /// The hash of each version that is kept.
    pub versions: BTreeMap<u64, Hash>,
    /// The version that runs.
    pub active: Option<u64>,
}

/// All playbooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playbooks(BTreeMap<Text, Playbook>);

impl Playbooks {
    /// By name.
    pub const fn all(&self) -> &BTreeMap<Text, Playbook> {
        &self.0
    }

    pub(super) fn publish(&mut self, name: &Text, version: u64, hash: Hash) -> Answer {
        check_name(Noun::Playbook, name)?;
        if !self.0.contains_key(name) {
            check_room(Noun::Playbook, self.0.len(), PLAYBOOKS)?;
        }
        let playbook = self.0.entry(name.clone()).or_default();
        match playbook.versions.get(&version) {
            Some(known) if *known == hash => return Ok(Reply::Unchanged),
            Some(_) => {
                return Err(Refusal::Exists(
                    Noun::PlaybookVersion,
                    short(format!("{version} of {name}")),
                ));
            }
            None => {}
        }
        if let Some((&newest, _)) = playbook.versions.last_key_value().filter(|l| *l.0 > version) {
            return Err(Refusal::OldVersion { given: version, newest });
        }
        playbook.versions.insert(version, hash);
        if playbook.versions.len() > PLAYBOOK_VERSIONS {
            let oldest = playbook.versions.keys().find(|v| playbook.active != Some(**v)).copied();
            oldest.and_then(|v| playbook.versions.remove(&v));
        }
        Ok(Reply::Done)
    }

    pub(super) fn activate(&mut self, name: &Text, version: u64) -> Answer {
        let playbook = self.0.get_mut(name).ok_or_else(|| unknown(Noun::Playbook, name))?;
        if !playbook.versions.contains_key(&version) {
            return Err(unknown(Noun::PlaybookVersion, format!("{version} of {name}")));
        }
        let before = playbook.active.replace(version);
        Ok(if before == Some(version) { Reply::Unchanged } else { Reply::Done })
    }

    pub(super) fn withdraw(&mut self, name: &Text) -> Answer {
        match self.0.remove(name) {
            Some(_) => Ok(Reply::Done),
            None => Err(unknown(Noun::Playbook, name)),
        }
    }
}
