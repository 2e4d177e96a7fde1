//! The way of an ensemble bundle: registered, in shadow, ready on nodes, in its canary region,
//! active; and back.

use super::command::Hash;
use super::limits::{BUNDLES, EVIDENCE_BYTES, FORMER_BUNDLES};
use super::nodes::Nodes;
use super::reply::{Answer, Noun, Refusal, Reply, check_room, check_size, unknown};
use super::workloads::check_epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::Text;
use threat::mutants::{Mutant, is_live};

/// Where a bundle is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Known, not used.
    Registered,
    /// Nodes score with it, without effect.
    Shadow,
    /// This region uses it.
    Canary(Text),
    /// All regions use it.
    Active,
    /// It was active; another one took its place.
    Former,
    /// It was taken back.
    RolledBack,
}

/// A bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Of its bytes.
    pub hash: Hash,
    /// Where it is.
    pub stage: Stage,
    /// Nodes that have it ready, with what their test gave.
    pub ready: BTreeMap<u64, Text>,
    /// The steps that it took, each at a log index and with its evidence. A stage appears once,
    /// with the last time, so that going to and fro adds nothing.
    pub steps: Vec<(u64, Stage, Text)>,
}

impl Bundle {
    /// The log index of its last step: what was measured before it says nothing of this stage.
    pub fn since(&self) -> u64 {
        self.steps.last().map_or(0, |(index, ..)| *index)
    }

    fn step(&mut self, index: u64, stage: Stage, evidence: &Text) {
        let kind = std::mem::discriminant(&stage);
        self.steps.retain(|(_, s, _)| std::mem::discriminant(s) != kind);
        self.steps.push((index, stage.clone(), evidence.clone()));
        self.stage = stage;
    }
}

/// All bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundles {
    all: BTreeMap<u64, Bundle>,
    /// The last version given out.
    newest: u64,
    active: Option<u64>,
    /// Active before, the last one at the end.
    former: Vec<u64>,
    /// Of the last activation or rollback.
    epoch: u64,
}

impl Bundles {
    /// By version.
    pub const fn all(&self) -> &BTreeMap<u64, Bundle> {
        &self.all
    }

    /// The one that all regions use.
    pub const fn active(&self) -> Option<u64> {
        self.active
    }

    /// The one that takes its place when it is taken back.
    pub fn former(&self) -> Option<u64> {
        self.former.last().copied()
    }

    /// Since when; 0 before the first one.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The one that a region uses: the one that is tried there, or the active one.
    pub fn used_in(&self, region: &str) -> Option<u64> {
        let here = |b: &Bundle| matches!(&b.stage, Stage::Canary(r) if r == region);
        self.all.iter().find(|(_, b)| here(b)).map(|(v, _)| *v).or(self.active)
    }

    /// A bundle that is tried in the region.
    pub(super) fn canary_in(&self, region: &Text) -> Option<u64> {
        self.all.iter().find(|(_, b)| b.stage == Stage::Canary(region.clone())).map(|(v, _)| *v)
    }

    fn get(&mut self, version: u64) -> Result<&mut Bundle, Refusal> {
        self.all.get_mut(&version).ok_or_else(|| unknown(Noun::Bundle, version))
    }

    pub(super) fn register(&mut self, index: u64, hash: Hash, evidence: &Text) -> Answer {
        check_evidence(evidence)?;
        if let Some((version, _)) = self.all.iter().find(|(_, b)| b.hash == hash) {
            return Ok(Reply::Version(*version));
        }
        check_room(Noun::Bundle, self.all.len(), BUNDLES)?;
        self.newest = self.newest.saturating_add(1);
        let (ready, steps) = (BTreeMap::new(), Vec::new());
        let mut bundle = Bundle { hash, stage: Stage::Registered, ready, steps };
        bundle.step(index, Stage::Registered, evidence);
        self.all.insert(self.newest, bundle);
        Ok(Reply::Version(self.newest))
    }

    pub(super) fn shadow(&mut self, index: u64, version: u64, evidence: &Text) -> Answer {
        check_evidence(evidence)?;
        let bundle = self.get(version)?;
        match bundle.stage {
            Stage::Shadow => Ok(Reply::Unchanged),
            Stage::Registered | Stage::RolledBack => {
                bundle.step(index, Stage::Shadow, evidence);
                Ok(Reply::Done)
            }
            _ => Err(Refusal::Stage { version, stage: bundle.stage.clone() }),
        }
    }

    pub(super) fn ready(
        &mut self,
        version: u64,
        node: u64,
        evidence: &Text,
        nodes: &Nodes,
    ) -> Answer {
        check_evidence(evidence)?;
        nodes.get(node)?;
        let bundle = self.get(version)?;
        if matches!(bundle.stage, Stage::Registered | Stage::RolledBack) {
            return Err(Refusal::Stage { version, stage: bundle.stage.clone() });
        }
        let before = bundle.ready.insert(node, evidence.clone());
        Ok(if before.as_ref() == Some(evidence) { Reply::Unchanged } else { Reply::Done })
    }

    pub(super) fn canary(
        &mut self,
        index: u64,
        version: u64,
        region: &Text,
        evidence: &Text,
        nodes: &Nodes,
    ) -> Answer {
        check_evidence(evidence)?;
        nodes.known_region(region)?;
        let tried = |b: &Bundle| matches!(b.stage, Stage::Canary(_));
        let busy = self.all.iter().find(|(v, b)| **v != version && tried(b)).map(|(v, _)| *v);
        let bundle = self.get(version)?;
        match &bundle.stage {
            Stage::Canary(there) if there == region => return Ok(Reply::Unchanged),
            Stage::Shadow => {}
            stage => return Err(Refusal::Stage { version, stage: stage.clone() }),
        }
        if let Some(other) = busy {
            return Err(Refusal::CanaryBusy(other));
        }
        let there = |node: &u64| nodes.present().get(node).is_some_and(|n| n.region == *region);
        if !bundle.ready.keys().any(there) {
            return Err(Refusal::NotReady { version, region: region.clone() });
        }
        bundle.step(index, Stage::Canary(region.clone()), evidence);
        Ok(Reply::Done)
    }

    pub(super) fn activate(
        &mut self,
        index: u64,
        version: u64,
        expected: u64,
        evidence: &Text,
        epoch: &mut u64,
    ) -> Answer {
        check_evidence(evidence)?;
        check_epoch(expected, self.epoch)?;
        let bundle = self.get(version)?;
        if !matches!(bundle.stage, Stage::Canary(_)) {
            return Err(Refusal::Stage { version, stage: bundle.stage.clone() });
        }
        bundle.step(index, Stage::Active, evidence);
        let evidence = Text::from(format!("bundle {version} took its place"));
        if let Some(before) = self.active.replace(version) {
            self.get(before)?.step(index, Stage::Former, &evidence);
            self.former.push(before);
            if self.former.len() > FORMER_BUNDLES {
                self.former.remove(0);
            }
        }
        Ok(self.next_epoch(epoch))
    }

    pub(super) fn rollback(
        &mut self,
        index: u64,
        version: u64,
        expected: u64,
        evidence: &Text,
        epoch: &mut u64,
    ) -> Answer {
        check_evidence(evidence)?;
        check_epoch(expected, self.epoch)?;
        let bundle = self.get(version)?;
        match bundle.stage {
            Stage::RolledBack => Ok(Reply::Unchanged),
            Stage::Shadow | Stage::Canary(_) => {
                bundle.step(index, Stage::RolledBack, evidence);
                Ok(Reply::Done)
            }
            Stage::Active => {
                let back = Text::from(format!("bundle {version} was taken back"));
                // Without a former one nodes use what they learnt themselves.
                self.active = self.former.pop();
                if let Some(before) = self.active {
                    self.get(before)?.step(index, Stage::Active, &back);
                }
                self.get(version)?.step(index, Stage::RolledBack, evidence);
                Ok(self.next_epoch(epoch))
            }
            Stage::Registered | Stage::Former => {
                Err(Refusal::Stage { version, stage: bundle.stage.clone() })
            }
        }
    }

    pub(super) fn retire(&mut self, version: u64) -> Answer {
        let former = self.former.contains(&version);
        let bundle = self.get(version)?;
        if former || matches!(bundle.stage, Stage::Shadow | Stage::Canary(_) | Stage::Active) {
            return Err(Refusal::Stage { version, stage: bundle.stage.clone() });
        }
        self.all.remove(&version);
        Ok(Reply::Done)
    }

    /// A node that left is ready with nothing.
    pub(super) fn node_left(&mut self, node: u64) {
        for bundle in self.all.values_mut() {
            bundle.ready.remove(&node);
        }
    }

    fn next_epoch(&mut self, epoch: &mut u64) -> Reply {
        if !is_live(Mutant::ActivationKeepsEpoch) {
            *epoch = epoch.saturating_add(1);
        }
        self.epoch = *epoch;
        Reply::Epoch(*epoch)
    }
}

fn check_evidence(evidence: &Text) -> Result<(), Refusal> {
    check_size(Noun::Evidence, evidence.len(), EVIDENCE_BYTES)
}
