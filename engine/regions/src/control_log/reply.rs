//! What the log answers.

use super::approvals::ApprovalState;
use super::bundles::Stage;
use super::command::Client;
use serde::{Deserialize, Serialize};
use threat::Text;

/// The answer to a request, equal on every node. A retry gets the one of the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// All of it was so already.
    Unchanged,
    /// Done under this epoch; effects in the world carry it.
    Epoch(u64),
    /// The version that a new bundle got.
    Version(u64),
    /// Where an approval stands now.
    Approval(ApprovalState),
    /// Nothing was changed, for this reason.
    Refused(Refusal),
}

impl Reply {
    /// The reason if it was refused.
    pub const fn refusal(&self) -> Option<&Refusal> {
        if let Self::Refused(r) = self { Some(r) } else { None }
    }
}

/// What a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noun {
    /// A region, or regions.
    Region,
    /// A node.
    Node,
    /// The address of a node.
    Address,
    /// A workload.
    Workload,
    /// A shard.
    Shard,
    /// A bundle.
    Bundle,
    /// The evidence of a step.
    Evidence,
    /// A playbook.
    Playbook,
    /// A version of a playbook.
    PlaybookVersion,
    /// A flag.
    Flag,
    /// A key.
    Key,
    /// An approval.
    Approval,
    /// A person.
    Person,
    /// What an approval is for.
    Subject,
    /// A quorum.
    Quorum,
}

impl std::fmt::Display for Noun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Region => "region",
            Self::Node => "node",
            Self::Address => "address",
            Self::Workload => "workload",
            Self::Shard => "shard",
            Self::Bundle => "bundle",
            Self::Evidence => "evidence",
            Self::Playbook => "playbook",
            Self::PlaybookVersion => "playbook version",
            Self::Flag => "flag",
            Self::Key => "key",
            Self::Approval => "approval",
            Self::Person => "person",
            Self::Subject => "subject",
            Self::Quorum => "quorum",
        })
    }
}

/// Why a command was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Not known here.
    #[error("there is no {0} {1}")]
    Unknown(Noun, Text),
    /// Known already, with other content.
    #[error("{0} {1} exists already, and is not the same")]
    Exists(Noun, Text),
    /// Empty where something has to be.
    #[error("the {0} is empty")]
    Empty(Noun),
    /// Larger than its limit: bytes of a text, or the number itself.
    #[error("{0}: {1} is over the limit of {2}")]
    TooLarge(Noun, u64, u64),
    /// There are as many as may be.
    #[error("there are {1} of {0} already, which is the limit")]
    Full(Noun, u64),
    /// Somebody changed it in between; look at it anew.
    #[error("epoch {expected} was expected, it is {current}")]
    StaleEpoch {
        /// What the command expected.
        expected: u64,
        /// What it is.
        current: u64,
    },
    /// An older life of the node speaks.
    #[error("incarnation {given} of the node is not newer than {known}")]
    StaleIncarnation {
        /// What the command said.
        given: u64,
        /// What is known.
        known: u64,
    },
    /// The id was of a node that left; a node that comes back takes a new one.
    #[error("node id {0} was used before")]
    NodeLeft(u64),
    /// The node is not admitted yet.
    #[error("node {0} is not admitted")]
    NotAdmitted(u64),
    /// Something refers to it still.
    #[error("{0} {1} is in use by {2} {3}")]
    InUse(Noun, Text, Noun, Text),
    /// The node is in neither region of the workload.
    #[error("node {0} is in neither region of the workload")]
    OutsideRegions(u64),
    /// The shard belongs to another workload.
    #[error("shard {shard} belongs to workload {workload}")]
    ShardTaken {
        /// The shard.
        shard: u32,
        /// Whose it is.
        workload: u32,
    },
    /// The bundle is not where this step starts.
    #[error("bundle {version} is {stage:?}, which this step cannot start from")]
    Stage {
        /// The bundle.
        version: u64,
        /// Where it is.
        stage: Stage,
    },
    /// Another bundle is tried in a region already.
    #[error("bundle {0} is in its canary region already")]
    CanaryBusy(u64),
    /// No node of the region has it ready.
    #[error("no node of region {region} is ready with bundle {version}")]
    NotReady {
        /// The bundle.
        version: u64,
        /// The region.
        region: Text,
    },
    /// The version must be greater than all before it.
    #[error("version {given} is not greater than {newest}")]
    OldVersion {
        /// What the command said.
        given: u64,
        /// The newest known.
        newest: u64,
    },
    /// The approval is decided.
    #[error("the approval is {0:?}")]
    Decided(ApprovalState),
    /// Who asks may not approve.
    #[error("who asked for it cannot approve it")]
    OwnRequest,
    /// It would end before it starts.
    #[error("it expires before it starts")]
    AlreadyExpired,
    /// Too old: its reply is forgotten, so it may have been done. It was not done now.
    #[error("request {sequence} is too old: whether it was done is no longer known")]
    Forgotten {
        /// The request's sequence.
        sequence: u64,
    },
    /// The client is older than others that were forgotten. Open a new one.
    #[error("client {0:?} is not known any more: open a new one")]
    ForgottenClient(Client),
    /// The client says that it was opened later than now.
    #[error("client {0:?} is from the future")]
    FutureClient(Client),
    /// Somebody placed the workload elsewhere in between; look at it anew.
    #[error("it is at home in {home} by now, with {failover} as failover region")]
    Placed {
        /// Its home.
        home: Text,
        /// Its failover region.
        failover: Text,
    },
    /// The name of the node is barred.
    #[error("{0} is barred; `watchfire cluster unbar {0}` lifts it")]
    Barred(Text),
    /// It is what the cluster keeps for itself.
    #[error("{0} {1} is set by the cluster itself")]
    Own(Noun, Text),
    /// Somebody changed it in between; look at it anew.
    #[error("{0} {1} was changed in between")]
    Overtaken(Noun, Text),
}

/// What a part of the log answers.
pub(super) type Answer = Result<Reply, Refusal>;

/// Refuses an empty name or one that is over the limit.
pub(super) fn check_name(noun: Noun, name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::Empty(noun));
    }
    check_size(noun, name.len(), super::limits::NAME_BYTES)
}

/// Refuses what is over its limit.
pub(super) const fn check_size(noun: Noun, found: usize, limit: usize) -> Result<(), Refusal> {
    if found > limit { Err(Refusal::TooLarge(noun, found as u64, limit as u64)) } else { Ok(()) }
}

/// Refuses one more than the limit.
pub(super) const fn check_room(noun: Noun, there: usize, limit: usize) -> Result<(), Refusal> {
    if there >= limit { Err(Refusal::Full(noun, limit as u64)) } else { Ok(()) }
}

/// Names what is not there.
pub(super) fn unknown(noun: Noun, name: impl ToString) -> Refusal {
    Refusal::Unknown(noun, short(name))
}

/// A name for a refusal, which is remembered: no longer than a name may be.
pub(super) fn short(name: impl ToString) -> Text {
    let name = name.to_string();
    let mut end = name.len().min(super::limits::NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    Text::from(&name[..end])
}
