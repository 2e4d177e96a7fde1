//! The state that the nodes agree on, as a machine: the same requests in the same order give the
//! same state and the same replies on every node. There is no clock and no I/O in here; time is in
//! the commands that need it.
//!
//! Playbooks and bundles are seen as hashes. An epoch is a fencing token: there is one counter for
//! all owners and activations, so that none is ever given out twice.

mod approvals;
mod barred;
mod bundles;
mod clients;
mod command;
pub mod limits;
mod nodes;
mod playbooks;
mod reply;
mod settings;
mod workloads;

pub use approvals::{Approval, ApprovalId, ApprovalState, Approvals};
pub use barred::Barred;
pub use bundles::{Bundle, Bundles, Stage};
pub use command::{Client, Command, Hash, Request};
pub use nodes::{Node, Nodes};
pub use playbooks::{Playbook, Playbooks};
pub use reply::{Noun, Refusal, Reply};
pub use settings::Settings;
pub use workloads::{Workload, Workloads};

use clients::Clients;
use reply::Answer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use threat::codec;
use threat::mutants::{Mutant, is_live};

/// The format of a snapshot.
const VERSION: u8 = 2;

/// The format before it, which is read, too.
const FORMER: u8 = 1;

/// What the former format had, in its order: all but the names that are barred.
type Former = (u64, u64, Nodes, Workloads, Bundles, (Playbooks, Settings, Approvals, Clients));

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too large, of another version, or damaged.
    #[error("a snapshot of the control log: {0}")]
    Codec(#[from] codec::Error),
}

/// The agreed state, up to a log index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlLog {
    applied: u64,
    /// The last epoch that was given out.
    epoch: u64,
    nodes: Nodes,
    workloads: Workloads,
    bundles: Bundles,
    playbooks: Playbooks,
    settings: Settings,
    approvals: Approvals,
    clients: Clients,
    barred: Barred,
}

impl ControlLog {
    /// Applies the request at its place in the log; several requests may share an index. A request
    /// that was applied before changes nothing but `applied`, and gets the reply of that time.
    pub fn apply(&mut self, index: u64, request: &Request) -> Reply {
        self.applied = self.applied.max(index);
        let (client, sequence) = (request.client, request.sequence);
        if let Some(reply) = self.clients.recall(index, client, sequence) {
            return reply;
        }
        let reply = self.perform(index, &request.command).unwrap_or_else(Reply::Refused);
        self.clients.remember(index, client, sequence, reply.clone());
        reply
    }

    /// The index up to which it is applied.
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// The last epoch that was given out, of any kind.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Regions and nodes.
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Who owns what.
    pub const fn workloads(&self) -> &Workloads {
        &self.workloads
    }

    /// Ensemble bundles.
    pub const fn bundles(&self) -> &Bundles {
        &self.bundles
    }

    /// Playbooks.
    pub const fn playbooks(&self) -> &Playbooks {
        &self.playbooks
    }

    /// Flags and wrapped keys.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Approvals.
    pub const fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// Names whose certificates count for nothing.
    pub const fn barred(&self) -> &Barred {
        &self.barred
    }

    /// How many clients' replies are remembered.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// All of it as bytes.
    ///
    /// # Errors
    /// [`Error::Codec`] when it is too large, which the limits keep it from being.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        if is_live(Mutant::SnapshotForgetsReplies) {
            let without = Self { clients: Clients::default(), ..self.clone() };
            return Ok(codec::encode(VERSION, &without)?);
        }
        if is_live(Mutant::SnapshotForgetsIndex) {
            let earlier = Self { applied: self.applied.saturating_sub(1), ..self.clone() };
            return Ok(codec::encode(VERSION, &earlier)?);
        }
        Ok(codec::encode(VERSION, self)?)
    }

    /// The state that [`Self::encode`] wrote, also that of the format before this one.
    ///
    /// # Errors
    /// [`Error::Codec`] when the bytes are not such a state.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match codec::decode(VERSION, bytes) {
            Err(codec::Error::Version { found: FORMER, .. }) => Self::decode_former(bytes),
            decoded => Ok(decoded?),
        }
    }

    fn decode_former(bytes: &[u8]) -> Result<Self, Error> {
        let former: Former = codec::decode(FORMER, bytes)?;
        let (applied, epoch, nodes, workloads, bundles, rest) = former;
        let (playbooks, settings, approvals, clients) = rest;
        let barred = Barred::default();
        Ok(Self {
            applied,
            epoch,
            nodes,
            workloads,
            bundles,
            playbooks,
            settings,
            approvals,
            clients,
            barred,
        })
    }

    /// BLAKE3 of all of it: equal on nodes that applied the same.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn digest(&self) -> Result<[u8; 32], Error> {
        Ok(*blake3::hash(&self.encode()?).as_bytes())
    }

    fn perform(&mut self, index: u64, command: &Command) -> Answer {
        match command {
            Command::AddRegion { region } => self.nodes.add_region(region),
            Command::RemoveRegion { region } => self.remove_region(region),
            Command::JoinNode { name, .. } if self.barred.nodes().contains(name) => {
                Err(Refusal::Barred(name.clone()))
            }
            Command::JoinNode { node, name, region, address, incarnation } => self.nodes.join(
                *node,
                Node {
                    name: name.clone(),
                    region: region.clone(),
                    address: address.clone(),
                    incarnation: *incarnation,
                    admitted: false,
                },
            ),
            Command::AdmitNode { node } => self.nodes.admit(*node),
            Command::LeaveNode { node } => self.leave(*node),
            Command::DefineWorkload { .. }
            | Command::PlaceWorkload { .. }
            | Command::RehomeWorkload { .. }
            | Command::AssignWorkload { .. }
            | Command::RemoveWorkload { .. } => self.on_workload(command),
            Command::PublishPlaybook { name, version, hash } => {
                self.playbooks.publish(name, *version, *hash)
            }
            Command::ActivatePlaybook { name, version } => self.playbooks.activate(name, *version),
            Command::WithdrawPlaybook { name } => self.playbooks.withdraw(name),
            Command::SetFlag { name, value } => self.settings.set_flag(name, value.as_ref()),
            Command::RaiseFloor { expected, floor } => self.settings.raise_floor(*expected, floor),
            Command::WrapKey { key, node, wrapped } => {
                self.settings.wrap_key(key, *node, wrapped, &self.nodes)
            }
            Command::DropKey { key } => self.settings.drop_key(key),
            Command::Bar { name, operator } => self.barred.bar(name, *operator),
            Command::Unbar { name, operator } => self.barred.lift(name, *operator),
            Command::RequestApproval { .. }
            | Command::Decide { .. }
            | Command::ExpireApproval { .. } => self.on_approval(index, command),
            Command::RegisterBundle { .. }
            | Command::ShadowBundle { .. }
            | Command::ReadyBundle { .. }
            | Command::CanaryBundle { .. }
            | Command::ActivateBundle { .. }
            | Command::RollbackBundle { .. }
            | Command::RetireBundle { .. } => self.on_bundle(index, command),
        }
    }

    fn on_workload(&mut self, command: &Command) -> Answer {
        let (workloads, nodes) = (&mut self.workloads, &self.nodes);
        match command {
            Command::DefineWorkload { workload, shards, home, failover } => {
                let (shards, home, failover) = (shards.clone(), home.clone(), failover.clone());
                let new = Workload { shards, home, failover, owner: None, epoch: 0 };
                workloads.define(*workload, new, nodes)
            }
            Command::PlaceWorkload { workload, home, failover } => {
                workloads.place(*workload, home, failover, nodes)
            }
            Command::RehomeWorkload {
                workload,
                home,
                failover,
                expected_home,
                expected_failover,
                expected_epoch,
            } => {
                workloads.check(*workload, expected_home, expected_failover, *expected_epoch)?;
                workloads.place(*workload, home, failover, nodes)
            }
            Command::AssignWorkload { workload, owner, expected_epoch } => {
                workloads.assign(*workload, *owner, *expected_epoch, nodes, &mut self.epoch)
            }
            Command::RemoveWorkload { workload, expected_epoch } => {
                workloads.remove(*workload, *expected_epoch)
            }
            _ => Ok(Reply::Unchanged),
        }
    }

    fn on_bundle(&mut self, index: u64, command: &Command) -> Answer {
        let (bundles, epoch) = (&mut self.bundles, &mut self.epoch);
        match command {
            Command::RegisterBundle { hash, evidence } => bundles.register(index, *hash, evidence),
            Command::ShadowBundle { version, evidence } => {
                bundles.shadow(index, *version, evidence)
            }
            Command::ReadyBundle { version, node, evidence } => {
                bundles.ready(*version, *node, evidence, &self.nodes)
            }
            Command::CanaryBundle { version, region, evidence } => {
                bundles.canary(index, *version, region, evidence, &self.nodes)
            }
            Command::ActivateBundle { version, expected_epoch, evidence } => {
                bundles.activate(index, *version, *expected_epoch, evidence, epoch)
            }
            Command::RollbackBundle { version, expected_epoch, evidence } => {
                bundles.rollback(index, *version, *expected_epoch, evidence, epoch)
            }
            Command::RetireBundle { version } => bundles.retire(*version),
            _ => Ok(Reply::Unchanged),
        }
    }

    fn on_approval(&mut self, index: u64, command: &Command) -> Answer {
        match command {
            Command::RequestApproval { id, subject, requester, quorum, expires, now } => {
                let new = Approval {
                    subject: subject.clone(),
                    requester: requester.clone(),
                    quorum: *quorum,
                    expires: *expires,
                    approvers: BTreeSet::new(),
                    state: ApprovalState::Open { missing: *quorum },
                    asked: index,
                };
                self.approvals.request(*id, new, *now)
            }
            Command::Decide { id, person, approve, now } => {
                self.approvals.decide(*id, person, *approve, *now)
            }
            Command::ExpireApproval { id, now } => self.approvals.expire(*id, *now),
            _ => Ok(Reply::Unchanged),
        }
    }

    fn remove_region(&mut self, region: &threat::Text) -> Answer {
        let workload = self.workloads.placed_in(region).map(|w| (Noun::Workload, u64::from(w)));
        let bundle = self.bundles.canary_in(region).map(|b| (Noun::Bundle, b));
        if let Some((noun, number)) = workload.or(bundle) {
            let number = number.to_string().into();
            return Err(Refusal::InUse(Noun::Region, region.clone(), noun, number));
        }
        self.nodes.remove_region(region)
    }

    fn leave(&mut self, node: u64) -> Answer {
        if let Some(workload) = self.workloads.owned_by(node) {
            let (node, workload) = (node.to_string().into(), workload.to_string().into());
            return Err(Refusal::InUse(Noun::Node, node, Noun::Workload, workload));
        }
        let reply = self.nodes.leave(node)?;
        self.bundles.node_left(node);
        self.settings.node_left(node);
        Ok(reply)
    }
}

#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
