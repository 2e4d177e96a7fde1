//! What is asked on [`Lane::Control`](crate::fabric::Lane::Control), and who asks.

use crate::coordinator::{Beat, Moves, View};
use crate::fabric::{Fabric, Lane};
use crate::replication::{Page, Query, Record, Said, ThreatsStatus};
use regions::control_log::{Reply, Request};
use regions::lease::{self, Renewal};
use regions::orders::Order;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use threat::{ThreatId, codec};
use tokio::time::{Instant, sleep};

/// The format of the messages.
const VERSION: u8 = 3;

/// Pause before a node that knows of no leader is asked again.
const NO_LEADER_PAUSE: Duration = Duration::from_millis(50);

/// What a node is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// How it is.
    Status {
        /// With the digest of its control log, for which all of that is read.
        digest: bool,
    },
    /// A new node wants an id. The leader gives it.
    Id {
        /// Where the node will listen.
        address: String,
    },
    /// A node that has an id listens now, and wants to be taken in, or is back. The leader does it.
    Arrive {
        /// Its id.
        id: u64,
        /// Where it listens.
        address: String,
        /// How often its state was opened.
        incarnation: u64,
        /// Whether it is to vote.
        votes: bool,
    },
    /// Propose a command. Any node passes it on to the leader.
    Propose(Box<Request>),
    /// Let a member vote. The leader does it.
    Promote(String),
    /// Let a member vote no more. The leader does it.
    Demote(String),
    /// Let a member go for good. The leader does it.
    Remove(String),
    /// Make a snapshot of the control log.
    Snapshot,
    /// The flags of the control log.
    Flags {
        /// Whether they must have everything that was answered before: the leader then asks a
        /// majority. Else they are as the node has them.
        linearizable: bool,
    },
    /// Threats, as the node that is asked has them.
    Threats(Box<Query>),
    /// Write what a person says of a threat. Any node does it.
    Handle {
        /// Which threat.
        id: ThreatId,
        /// What is said.
        said: Box<Said>,
    },
    /// A node is there.
    Beat(Box<Beat>),
    /// A node wants to act for longer for what it owns. The leader answers.
    Renew(Vec<Renewal>),
    /// A node has stopped to act for these workloads, under these epochs. For the leader.
    Release(Vec<(u32, u64)>),
    /// Regions, workloads and leases, as the node sees them.
    Regions,
    /// The same; the leader answers.
    LeaderRegions,
    /// What would move if a region had this order, or none. The leader answers.
    WouldMove {
        /// Its name.
        region: String,
        /// What would be ordered.
        order: Option<Order>,
    },
    /// Something about bundles of models and playbooks, which the layer above reads.
    Models(Vec<u8>),
    /// Names that are barred. The leader answers.
    Barred,
}

/// What a node says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// How it is.
    Status(Box<NodeStatus>),
    /// The flags, as of an index of the log.
    Flags(u64, BTreeMap<String, String>),
    /// An id that nobody had.
    Id(u64),
    /// What the control log says.
    Reply(Reply),
    /// It is done, or will be soon.
    Done,
    /// This is for the leader.
    Elsewhere {
        /// Where it is, if known.
        leader: Option<String>,
    },
    /// It was not done, for this reason.
    Refused(String),
    /// Whether it was done is not known.
    Unknown(String),
    /// Threats.
    Threats(Box<Page>),
    /// A threat as it is now.
    Threat(Box<Record>),
    /// What became of renewals, by the log up to an index.
    Renewed(u64, Vec<(Renewal, lease::Answer)>),
    /// Regions, workloads and leases.
    Regions(Box<View>),
    /// What would move.
    Moves(Box<Moves>),
    /// What the layer above says to [`Ask::Models`].
    Models(Vec<u8>),
    /// Names of nodes and of operators that are barred.
    Barred(Vec<String>, Vec<String>),
}

/// How it is with a node, as it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where it listens.
    pub address: String,
    /// How often its state was opened.
    pub incarnation: u64,
    /// `leader`, `follower`, `candidate`, `learner` or `stopped`.
    pub role: String,
    /// The term it knows of.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<u64>,
    /// The last index of its log.
    pub last_log: u64,
    /// The last index it has applied.
    pub applied: u64,
    /// The last index of its snapshot.
    pub snapshot: Option<u64>,
    /// The first light: it answers.
    pub serving: bool,
    /// The second light: what it is told now is kept by a majority.
    pub durable: bool,
    /// Who votes.
    pub voters: BTreeSet<u64>,
    /// BLAKE3 of the control log at `applied`, in hexadecimal, if it was asked for.
    pub digest: Option<String>,
    /// All members, by id.
    pub members: BTreeMap<u64, MemberView>,
    /// Strangers and members at its door since it started.
    pub connections: Connections,
    /// The threats that it knows.
    pub threats: ThreatsStatus,
}

/// A member as the control log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where it listens.
    pub address: String,
    /// Whether it may own workloads.
    pub admitted: bool,
}

/// What became of connections to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Those that were greeted.
    pub greeted: u64,
    /// Those that were turned away, pushed out, found no room, or whose word was not taken.
    pub refused: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No node could be asked.
    #[error("no node answers: {0}")]
    Unreachable(String),
    /// The link failed.
    #[error(transparent)]
    Link(#[from] crate::fabric::Error),
    /// Bytes that are no message.
    #[error("not a message: {0}")]
    Codec(#[from] codec::Error),
    /// Nobody leads.
    #[error("no leader within {0:?}: a majority of the voters has to be there")]
    NoLeader(Duration),
}

pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, codec::Error> {
    codec::encode(VERSION, message)
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, codec::Error> {
    codec::decode(VERSION, bytes)
}

/// Asks the node at an address.
///
/// # Errors
/// [`Error::Link`], [`Error::Codec`].
pub async fn ask(
    fabric: &Fabric,
    address: &str,
    ask: &Ask,
    within: Duration,
) -> Result<Told, Error> {
    ask_node(fabric, address, 0, ask, within).await
}

/// Asks a node at an address, if it is this one.
pub(crate) async fn ask_node(
    fabric: &Fabric,
    address: &str,
    node: u64,
    ask: &Ask,
    within: Duration,
) -> Result<Told, Error> {
    let answer = fabric.ask(address, node, Lane::Control, encode(ask)?, within).await?;
    Ok(decode(&answer)?)
}

/// How long one node is waited for at least, while there is time for others: a handshake over the
/// widest link.
const ONE: Duration = Duration::from_secs(1);

/// Asks the leader, whom any of these addresses may know.
///
/// # Errors
/// [`Error::Unreachable`] when none of them answers, [`Error::NoLeader`].
pub async fn ask_leader(
    fabric: &Fabric,
    addresses: &[String],
    asked: &Ask,
    within: Duration,
) -> Result<Told, Error> {
    let until = Instant::now() + within;
    let mut heard = false;
    let mut failed = String::from("no address was given");
    let over = |heard, failed| {
        if heard { Error::NoLeader(within) } else { Error::Unreachable(failed) }
    };
    loop {
        let mut to: Vec<String> = addresses.to_vec();
        if to.is_empty() {
            return Err(over(heard, failed));
        }
        while let Some(address) = to.pop() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(over(heard, failed));
            }
            // A node that is cut off must not take the time of those that are not.
            let share = left.min(ONE.max(left / (to.len() as u32 + 1)));
            match ask(fabric, &address, asked, share).await {
                Ok(Told::Elsewhere { leader }) => {
                    heard = true;
                    // One hop: who is named there may have lost the lead, then all are asked anew.
                    if let Some(leader) = leader.filter(|l| *l != address) {
                        match ask(fabric, &leader, asked, left).await {
                            Ok(Told::Elsewhere { .. }) => {}
                            Ok(told) => return Ok(told),
                            Err(error) => failed = format!("{leader}: {error}"),
                        }
                    }
                }
                Ok(told) => return Ok(told),
                Err(error) => failed = format!("{address}: {error}"),
            }
        }
        sleep(NO_LEADER_PAUSE).await;
    }
}
