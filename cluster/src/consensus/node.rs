//! One node's part in consensus.

use super::error::Error;
use super::limits::{
    APPEND_ENTRIES, CHECKPOINT_AT_LEAST, CHECKPOINT_EVERY, CHECKPOINT_PART, ENTRIES_KEPT,
    REQUEST_BYTES, SNAPSHOT_EVERY, SNAPSHOT_PIECE, WAITING,
};
use super::network::{Network, Responder};
use super::profile::Profile;
use super::proposer::{self, Proposal, not_leader};
use super::standing;
use super::storage::{Closing, StateMachine, Storage};
use super::types::{NodeId, Raft};
use super::wire::Wire;
use openraft::error::{
    ChangeMembershipError, CheckIsLeaderError, ClientWriteError, InitializeError, RaftError,
};
use openraft::{BasicNode, ChangeMembers, Config, SnapshotPolicy};
use regions::control_log::{Client, ControlLog, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How a node takes part.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Its id: never one that was used before, not even by this machine if its files were lost.
    pub id: NodeId,
    /// The timeouts of the cluster.
    pub profile: Profile,
    /// Entries after which a snapshot is made anew.
    pub snapshot_every: u64,
    /// Entries kept although a snapshot has them.
    pub entries_kept: u64,
}

impl Options {
    /// The usual ones.
    pub const fn new(id: NodeId, profile: Profile) -> Self {
        Self { id, profile, snapshot_every: SNAPSHOT_EVERY, entries_kept: ENTRIES_KEPT }
    }

    pub(super) fn config(&self) -> Result<Config, Error> {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let config = Config {
            cluster_name: "watchfire".into(),
            heartbeat_interval: millis(self.profile.heartbeat),
            election_timeout_min: millis(self.profile.election_min),
            election_timeout_max: millis(self.profile.election_max),
            install_snapshot_timeout: millis(self.profile.install_snapshot),
            max_payload_entries: APPEND_ENTRIES,
            // Voters take turns instead.
            enable_elect: false,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            snapshot_max_chunk_size: SNAPSHOT_PIECE,
            max_in_snapshot_log_to_keep: self.entries_kept,
            // Beyond what is kept anyway only a snapshot helps.
            replication_lag_threshold: self.snapshot_every + self.entries_kept,
            ..Config::default()
        };
        config.validate().map_err(|e| Error::Profile(e.to_string()))
    }
}

/// What a node does in consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes what the leader has; has no vote.
    Learner,
    /// Votes.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// Has stopped.
    Stopped,
}

/// How things are with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it does.
    pub role: Role,
    /// The term it knows of.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last index of its log.
    pub last_log: u64,
    /// The last index that is applied.
    pub applied: u64,
    /// The last index that the snapshot has, if there is one.
    pub snapshot: Option<u64>,
    /// The last index that is no longer in the log, if there is one.
    pub purged: Option<u64>,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// All members by id, with their address; learners too.
    pub members: BTreeMap<NodeId, String>,
    /// How long ago a majority was last heard from, in milliseconds; of a leader only.
    pub majority_heard_ms: Option<u64>,
}

/// Takes part in consensus until [`Self::shutdown`].
pub struct Consensus {
    raft: Raft,
    state: StateMachine,
    asked: mpsc::Sender<Proposal>,
    proposer: JoinHandle<()>,
    checkpoints: JoinHandle<()>,
    standing: JoinHandle<()>,
    closing: Closing,
}

impl Consensus {
    /// Starts with what `storage` holds. A new node waits until it is added to a cluster, or founds
    /// one ([`Self::found`]).
    ///
    /// # Errors
    /// [`Error::Profile`] when the timeouts make no sense, [`Error::OtherNode`] when the storage is
    /// another node's, [`Error::Store`] and [`Error::Stopped`] when it fails.
    pub async fn start(
        options: Options,
        storage: Storage,
        wire: Arc<dyn Wire>,
    ) -> Result<Self, Error> {
        let config = Arc::new(options.config()?);
        let Storage { log, state, closed } = storage;
        let heartbeat = options.profile.heartbeat;
        let network = Network { wire, heartbeat, stored: log.stored() };
        let owner = log.owner(options.id)?;
        if owner != options.id {
            return Err(Error::OtherNode { owner, id: options.id });
        }
        let raft = Raft::new(options.id, config, network, log, state.clone())
            .await
            .map_err(|_| Error::Stopped)?;
        let (asked, queue) = mpsc::channel(WAITING);
        let proposer = tokio::spawn(proposer::run(raft.clone(), options.profile, queue));
        let standing = tokio::spawn(standing::run(raft.clone(), options.id, options.profile));
        let checkpoints = tokio::spawn(checkpoint_on_and_on(state.clone()));
        Ok(Self { raft, state, asked, proposer, checkpoints, standing, closing: closed })
    }

    /// Founds a cluster of these voters, by id and address. To be called on one of them, once; on a
    /// cluster that is there already it does nothing.
    ///
    /// # Errors
    /// [`Error::Members`] when this node is not among them.
    pub async fn found(&self, voters: BTreeMap<NodeId, String>) -> Result<(), Error> {
        let nodes: BTreeMap<_, _> =
            voters.into_iter().map(|(id, addr)| (id, BasicNode { addr })).collect();
        match self.raft.initialize(nodes).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(e)) => Err(Error::Members(e.to_string())),
            Err(RaftError::Fatal(_)) => Err(Error::Stopped),
        }
    }

    /// A new client; `nonce` is drawn at random. Its requests are numbered from 1.
    pub fn client(&self, nonce: u64) -> Client {
        Client { opened: self.applied(), nonce }
    }

    /// Proposes a request and gives the reply once it is applied. After [`Error::Timeout`] or
    /// [`Error::Stopped`] it may have been done: ask again with the same request, on any node.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::Timeout`], [`Error::Stopped`], [`Error::TooLarge`]. That the
    /// control log refuses it is no error but a reply.
    pub async fn propose(&self, request: Request, within: Duration) -> Result<Reply, Error> {
        self.proposal(request, within).await
    }

    /// As [`Self::propose`], for a task of its own.
    pub fn proposal(
        &self,
        request: Request,
        within: Duration,
    ) -> impl Future<Output = Result<Reply, Error>> + Send + use<> {
        let asked = self.asked.clone();
        async move {
            let encoded = threat::codec::encode(0, &request).map_err(store::Error::from)?;
            let bytes = encoded.len();
            if bytes > REQUEST_BYTES {
                return Err(Error::TooLarge { found: bytes, limit: REQUEST_BYTES });
            }
            let (tell, told) = oneshot::channel();
            let asking = async {
                let proposal = Proposal { request, bytes, tell };
                asked.send(proposal).await.map_err(|_| Error::Stopped)?;
                told.await.map_err(|_| Error::Stopped)?
            };
            timeout(within, asking).await.unwrap_or(Err(Error::Timeout))
        }
    }

    /// Reads what is applied on this node, which may be behind, with the index it is applied up to.
    /// `look` should be quick: nothing is applied meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&ControlLog) -> R) -> (u64, R) {
        let applied = self.state.read();
        (applied.last.map_or(0, |l| l.index), look(&applied.log))
    }

    /// As [`Self::read`], but sees everything that was answered before the call: asks a majority
    /// first. On the leader only.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::NoMajority`], [`Error::Timeout`], [`Error::Stopped`].
    pub async fn read_linearizable<R>(
        &self,
        within: Duration,
        look: impl FnOnce(&ControlLog) -> R,
    ) -> Result<(u64, R), Error> {
        match timeout(within, self.raft.ensure_linearizable()).await {
            Err(_) => Err(Error::Timeout),
            Ok(Ok(_)) => Ok(self.read(look)),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to)))) => {
                Err(not_leader(&to))
            }
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) => {
                Err(Error::NoMajority)
            }
            Ok(Err(RaftError::Fatal(_))) => Err(Error::Stopped),
        }
    }

    /// The term that this node leads, as Raft itself knows it now; what [`Self::status`] shows may
    /// be a little older. Others may have elected another leader without its knowledge.
    pub async fn term_led(&self) -> Option<u64> {
        let vote = self.raft.with_raft_state(|state| *state.vote_ref()).await.ok()?;
        let metrics = self.raft.metrics();
        let id = metrics.borrow().id;
        let leader = vote.leader_id();
        (vote.is_committed() && leader.voted_for() == Some(id)).then(|| leader.get_term())
    }

    /// The index up to which this node has applied.
    pub fn applied(&self) -> u64 {
        self.state.read().last.map_or(0, |l| l.index)
    }

    /// Tells of each change of the applied state, by its index; changes that come quickly may be
    /// told as one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state.index()
    }

    /// As [`Self::changes`], but only of commands that nodes act on by themselves
    /// ([`regions::control_log::Command::is_followed`]).
    pub fn followed(&self) -> watch::Receiver<u64> {
        self.state.followed()
    }

    /// Answers what other nodes send.
    pub fn responder(&self) -> Responder {
        Responder::new(self.raft.clone(), self.state.watch())
    }

    /// How things are.
    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let m = metrics.borrow();
        let role = match m.state {
            openraft::ServerState::Learner => Role::Learner,
            openraft::ServerState::Follower => Role::Follower,
            openraft::ServerState::Candidate => Role::Candidate,
            openraft::ServerState::Leader => Role::Leader,
            openraft::ServerState::Shutdown => Role::Stopped,
        };
        let members = m.membership_config.nodes().map(|(id, n)| (*id, n.addr.clone()));
        Status {
            role: if m.running_state.is_ok() { role } else { Role::Stopped },
            term: m.current_term,
            leader: m.current_leader,
            last_log: m.last_log_index.unwrap_or_default(),
            applied: m.last_applied.map_or(0, |l| l.index),
            snapshot: m.snapshot.map(|l| l.index),
            purged: m.purged.map(|l| l.index),
            voters: m.membership_config.voter_ids().collect(),
            members: members.collect(),
            majority_heard_ms: m.millis_since_quorum_ack,
        }
    }

    /// Adds a node that has no vote, and returns when it has caught up. On the leader only.
    ///
    /// # Errors
    /// [`Error::NotLeader`], [`Error::Members`], [`Error::Stopped`].
    pub async fn add_learner(&self, id: NodeId, address: String) -> Result<(), Error> {
        let node = BasicNode { addr: address };
        self.raft.add_learner(id, node, true).await.map(|_| ()).map_err(members_error)
    }

    /// Makes these the voters; all of them are members already. Who was a voter before stays as a
    /// learner. On the leader only.
    ///
    /// # Errors
    /// As [`Self::add_learner`].
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), Error> {
        self.raft.change_membership(voters, true).await.map(|_| ()).map_err(members_error)
    }

    /// Removes learners from the members. On the leader only.
    ///
    /// # Errors
    /// As [`Self::add_learner`].
    pub async fn remove_learners(&self, nodes: BTreeSet<NodeId>) -> Result<(), Error> {
        let change = ChangeMembers::RemoveNodes(nodes);
        self.raft.change_membership(change, true).await.map(|_| ()).map_err(members_error)
    }

    /// Makes a snapshot soon.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn snapshot(&self) -> Result<(), Error> {
        self.raft.trigger().snapshot().await.map_err(|_| Error::Stopped)
    }

    /// Stands for election now, for a planned change of the leader once that one has stopped.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn elect(&self) -> Result<(), Error> {
        self.raft.trigger().elect().await.map_err(|_| Error::Stopped)
    }

    /// Ends this node's part at once and stores nothing, as a crash would: for simulations.
    pub async fn abandon(&self) {
        self.checkpoints.abort();
        self.standing.abort();
        let _ = self.raft.shutdown().await;
    }

    /// Ends this node's part, stores what is applied and returns when the files are closed, which
    /// is not before every [`Responder`] is dropped.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the last checkpoint could not be stored; a restart then applies
    /// more of the log again.
    pub async fn shutdown(self) -> Result<(), Error> {
        let Self { raft, state, asked, proposer, checkpoints, standing, closing } = self;
        drop(asked);
        let _ = raft.shutdown().await;
        // They end with what they wait for; a panic in them was told by then.
        checkpoints.abort();
        standing.abort();
        let _ = (proposer.await, checkpoints.await, standing.await);
        let stored = state.checkpoint().await;
        drop((raft, state));
        closing.wait().await;
        stored.map_err(|_| Error::Stopped)
    }
}

impl std::fmt::Debug for Consensus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Consensus").field(&self.status()).finish()
    }
}

async fn checkpoint_on_and_on(state: StateMachine) {
    let mut pause = CHECKPOINT_EVERY;
    loop {
        sleep(pause).await;
        let since = Instant::now();
        if state.checkpoint().await.is_err() {
            return;
        }
        pause = (since.elapsed() * CHECKPOINT_PART).clamp(CHECKPOINT_EVERY, CHECKPOINT_AT_LEAST);
    }
}

fn members_error(error: RaftError<NodeId, ClientWriteError<NodeId, BasicNode>>) -> Error {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => not_leader(&to),
        RaftError::APIError(ClientWriteError::ChangeMembershipError(e)) => match e {
            ChangeMembershipError::InProgress(_) => {
                Error::Members("another change is under way".into())
            }
            other => Error::Members(other.to_string()),
        },
        RaftError::Fatal(_) => Error::Stopped,
    }
}
