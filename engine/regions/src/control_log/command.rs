//! What can be asked of the log. A new replicated command is a new variant of [`Command`], at the
//! end: variants are stored by their number.

use super::approvals::ApprovalId;
use crate::threats::collection::Floor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use threat::{Text, Timestamp};

/// BLAKE3 of a content that lies elsewhere.
pub type Hash = [u8; 32];

/// Who asks. Its replies are remembered, so that a retry is not done twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Client {
    /// An applied index that it had seen when it started. When clients are forgotten, all that are
    /// as old are refused if they are not known: one that was forgotten can never be taken for new.
    pub opened: u64,
    /// Drawn at random, so that two that start at one index differ.
    pub nonce: u64,
}

/// A command with what makes a retry safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub client: Client,
    /// Grows with each new command of the client; a retry repeats it.
    pub sequence: u64,
    /// What is asked.
    pub command: Command,
}

/// What is asked of the log. `evidence` is text for people, within its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Makes a region known.
    AddRegion {
        /// Its name.
        region: Text,
    },
    /// Forgets a region without nodes and workloads.
    RemoveRegion {
        /// Its name.
        region: Text,
    },
    /// A node asks to be one of the cluster, or is back after a restart.
    JoinNode {
        /// Its id, never used before, or its own.
        node: u64,
        /// Its name, unique.
        name: Text,
        /// Its region, which is known.
        region: Text,
        /// Where it listens.
        address: Text,
        /// How often its state was opened.
        incarnation: u64,
    },
    /// A node that joined may own workloads from now on.
    AdmitNode {
        /// Its id.
        node: u64,
    },
    /// A node leaves for good. It must own nothing.
    LeaveNode {
        /// Its id.
        node: u64,
    },
    /// Makes a workload of shards that no other has.
    DefineWorkload {
        /// Its number.
        workload: u32,
        /// Its shards, at least one.
        shards: BTreeSet<u32>,
        /// Where it is owned.
        home: Text,
        /// Where it goes when its home fails.
        failover: Text,
    },
    /// Changes the regions of a workload; its owner stays until the next assignment.
    PlaceWorkload {
        /// Its number.
        workload: u32,
        /// Where it is owned.
        home: Text,
        /// Where it goes when its home fails.
        failover: Text,
    },
    /// Gives a workload to an admitted node of one of its regions, or to nobody, under a new epoch.
    AssignWorkload {
        /// Its number.
        workload: u32,
        /// Who owns it from now on.
        owner: Option<u64>,
        /// Its epoch as the caller knows it; refused when it is another.
        expected_epoch: u64,
    },
    /// Removes a workload that nobody owns.
    RemoveWorkload {
        /// Its number.
        workload: u32,
        /// Its epoch as the caller knows it.
        expected_epoch: u64,
    },
    /// Makes a bundle known; it gets a version.
    RegisterBundle {
        /// Of its bytes.
        hash: Hash,
        /// How it was trained and how well it does.
        evidence: Text,
    },
    /// Nodes score with it from now on, beside the active one and without effect.
    ShadowBundle {
        /// The bundle.
        version: u64,
        /// Why.
        evidence: Text,
    },
    /// A node has it, verified and tested.
    ReadyBundle {
        /// The bundle.
        version: u64,
        /// The node.
        node: u64,
        /// What its test gave.
        evidence: Text,
    },
    /// One region uses it. A node of that region has to be ready.
    CanaryBundle {
        /// The bundle.
        version: u64,
        /// The region.
        region: Text,
        /// How it does in shadow.
        evidence: Text,
    },
    /// All regions use it, under a new epoch.
    ActivateBundle {
        /// The bundle, which is in its canary region.
        version: u64,
        /// The epoch of the last activation as the caller knows it; 0 before the first.
        expected_epoch: u64,
        /// How it does in its region.
        evidence: Text,
    },
    /// Takes a bundle back: the active one for the former active one, or for none if it was the
    /// first, under a new epoch; one in shadow or in its canary region for nothing.
    RollbackBundle {
        /// The bundle.
        version: u64,
        /// The epoch of the last activation as the caller knows it.
        expected_epoch: u64,
        /// What is wrong with it.
        evidence: Text,
    },
    /// Forgets a bundle that is not in use and cannot be gone back to.
    RetireBundle {
        /// The bundle.
        version: u64,
    },
    /// Makes a version of a playbook known.
    PublishPlaybook {
        /// Its name.
        name: Text,
        /// Greater than all before it.
        version: u64,
        /// Of its content.
        hash: Hash,
    },
    /// Makes one of its versions the one that runs.
    ActivatePlaybook {
        /// Its name.
        name: Text,
        /// One that was published.
        version: u64,
    },
    /// Forgets a playbook.
    WithdrawPlaybook {
        /// Its name.
        name: Text,
    },
    /// Sets a flag, or clears it.
    SetFlag {
        /// Its name.
        name: Text,
        /// Its value.
        value: Option<Text>,
    },
    /// Stores a key as wrapped for a node, in the place of an earlier one.
    WrapKey {
        /// Its name.
        key: Text,
        /// For whom.
        node: u64,
        /// Only that node can read it.
        wrapped: Vec<u8>,
    },
    /// Forgets a key, for all nodes.
    DropKey {
        /// Its name.
        key: Text,
    },
    /// Asks people for their approval.
    RequestApproval {
        /// Drawn by who asks.
        id: ApprovalId,
        /// What it is for.
        subject: Text,
        /// Who asks; cannot approve.
        requester: Text,
        /// How many have to approve.
        quorum: u8,
        /// From when on it is too late.
        expires: Timestamp,
        /// The time of the proposing node.
        now: Timestamp,
    },
    /// A person decides.
    Decide {
        /// What is decided.
        id: ApprovalId,
        /// Who decides.
        person: Text,
        /// Yes, or no, which ends it.
        approve: bool,
        /// The time of the proposing node.
        now: Timestamp,
    },
    /// Notes that an approval's time is over, if it is.
    ExpireApproval {
        /// Which.
        id: ApprovalId,
        /// The time of the proposing node.
        now: Timestamp,
    },
    /// Changes the regions of a workload if they and its epoch are what the caller knows; its owner
    /// stays until the next assignment.
    RehomeWorkload {
        /// Its number.
        workload: u32,
        /// Where it is owned.
        home: Text,
        /// Where it goes when its home fails.
        failover: Text,
        /// Its home as the caller knows it.
        expected_home: Text,
        /// Its failover region as the caller knows it.
        expected_failover: Text,
        /// Its epoch as the caller knows it.
        expected_epoch: u64,
    },
    /// Bars a name: its certificates count for nothing from now on, and no node joins under it.
    Bar {
        /// The name, of a node that is present or not, or of an operator.
        name: Text,
        /// Whether it is an operator's.
        operator: bool,
    },
    /// Lifts that.
    Unbar {
        /// The name.
        name: Text,
        /// Whether it is an operator's.
        operator: bool,
    },
    /// Raises the floor below which closed threats are gone ([`Floor`]).
    RaiseFloor {
        /// Where it is as the caller knows it; refused when it is elsewhere.
        expected: Option<Timestamp>,
        /// The new one, which is higher.
        floor: Floor,
    },
}

impl Command {
    /// Whether nodes act on it by themselves: on who is there, who owns what, which models and
    /// playbooks hold. Flags, keys and approvals are read by whoever needs them, and there may be
    /// thousands of them in a second, of which each would make every node look at all it follows.
    pub const fn is_followed(&self) -> bool {
        !matches!(
            self,
            Self::SetFlag { .. }
                | Self::WrapKey { .. }
                | Self::DropKey { .. }
                | Self::RequestApproval { .. }
                | Self::Decide { .. }
                | Self::ExpireApproval { .. }
        )
    }
}
