//! openraft's messages over a [`Wire`].

use super::beats::Beats;
use super::storage::{Promise, Stored, Watch};
use super::types::{NodeId, Raft, Types};
use super::wire::{Peer, Wire, WireError};
use openraft::BasicNode;
use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, SnapshotMismatch,
    Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use threat::codec;
use tokio::time::Instant;

/// The format of the messages.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
enum Call {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<NodeId>),
    Snapshot(InstallSnapshotRequest<Types>),
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Append(AppendEntriesResponse<NodeId>),
    Vote(VoteResponse<NodeId>),
    Snapshot(InstallSnapshotResponse<NodeId>),
    /// The pieces of the snapshot do not fit together: begin anew.
    Mismatch(SnapshotMismatch),
    /// The node is about to end.
    Stopped,
}

/// What can go wrong between two nodes, apart from the wire.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the message: {0}")]
    Codec(#[from] codec::Error),
    #[error("the node is about to end")]
    Stopped,
    #[error("the answer is not one to this question")]
    Other,
}

/// Answers the requests that other nodes send over their [`Wire`].
#[derive(Clone)]
pub struct Responder {
    raft: Raft,
    watch: Option<Arc<dyn Watch>>,
}

impl Responder {
    pub(super) const fn new(raft: Raft, watch: Option<Arc<dyn Watch>>) -> Self {
        Self { raft, watch }
    }

    fn promises(&self, promise: Promise) {
        if let Some(watch) = &self.watch {
            watch.promises(promise);
        }
    }

    async fn append(&self, rpc: AppendEntriesRequest<Types>) -> Answer {
        let term = rpc.vote.leader_id.term;
        let last = rpc.entries.last().map(|e| e.log_id).or(rpc.prev_log_id);
        let Ok(answer) = self.raft.append_entries(rpc).await else { return Answer::Stopped };
        if let (AppendEntriesResponse::Success, Some(last)) = (&answer, last) {
            self.promises(Promise::Log { term, index: last.index });
        }
        Answer::Append(answer)
    }

    async fn vote(&self, rpc: VoteRequest<NodeId>) -> Answer {
        let leader = rpc.vote.leader_id;
        let Ok(answer) = self.raft.vote(rpc).await else { return Answer::Stopped };
        if answer.vote_granted {
            let (term, candidate) = (leader.term, leader.node_id);
            self.promises(Promise::Vote { term, candidate });
        }
        Answer::Vote(answer)
    }

    /// The answer to a request of node `from`. Hostile or damaged bytes get an empty one, and so
    /// does what speaks in the name of another: candidates and leaders speak for themselves.
    pub async fn answer(&self, from: NodeId, request: &[u8]) -> Vec<u8> {
        let Ok(call) = codec::decode::<Call>(VERSION, request) else { return Vec::new() };
        let vote = match &call {
            Call::Append(rpc) => &rpc.vote,
            Call::Vote(rpc) => &rpc.vote,
            Call::Snapshot(rpc) => &rpc.vote,
        };
        if vote.leader_id.node_id != from {
            return Vec::new();
        }
        let answer = match call {
            Call::Append(rpc) => self.append(rpc).await,
            Call::Vote(rpc) => self.vote(rpc).await,
            Call::Snapshot(rpc) => match self.raft.install_snapshot(rpc).await {
                Ok(response) => Answer::Snapshot(response),
                Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(m))) => {
                    Answer::Mismatch(m)
                }
                Err(RaftError::Fatal(_)) => Answer::Stopped,
            },
        };
        codec::encode(VERSION, &answer).unwrap_or_default()
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

/// Makes a [`Link`] for each other node.
pub(super) struct Network {
    pub wire: Arc<dyn Wire>,
    pub heartbeat: Duration,
    /// How far this node's log is on its disk: no more is told to be committed.
    pub stored: Stored,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, node: &BasicNode) -> Link {
        let peer = Peer { id: target, address: node.addr.clone() };
        let way = Way { wire: Arc::clone(&self.wire), peer };
        let (heartbeat, stored) = (self.heartbeat, self.stored.clone());
        Link { way, heartbeat, stored, beats: Beats::new(heartbeat) }
    }
}

/// What is said to one other node.
pub(super) struct Link {
    way: Way,
    heartbeat: Duration,
    stored: Stored,
    beats: Beats,
}

/// The way to one other node.
#[derive(Clone)]
struct Way {
    wire: Arc<dyn Wire>,
    peer: Peer,
}

type Failed<E = RaftError<NodeId>> = RPCError<NodeId, BasicNode, E>;

fn network<E: std::error::Error>(error: &(impl std::error::Error + 'static)) -> Failed<E> {
    RPCError::Network(NetworkError::new(error))
}

impl Way {
    async fn call<E: std::error::Error>(
        &self,
        call: Call,
        option: &RPCOption,
    ) -> Result<Answer, Failed<E>> {
        let request = codec::encode(VERSION, &call).map_err(|e| network(&Error::from(e)))?;
        let sent = self.wire.send(&self.peer, request, option.hard_ttl()).await;
        let answer = sent.map_err(|e| match e {
            WireError::Timeout => network(&e),
            WireError::Unreachable(_) => RPCError::Unreachable(Unreachable::new(&e)),
        })?;
        match codec::decode(VERSION, &answer).map_err(|e| network(&Error::from(e)))? {
            Answer::Stopped => Err(RPCError::Unreachable(Unreachable::new(&Error::Stopped))),
            answer => Ok(answer),
        }
    }

    async fn append(
        &self,
        rpc: AppendEntriesRequest<Types>,
        option: &RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Failed> {
        match self.call(Call::Append(rpc), option).await? {
            Answer::Append(response) => Ok(response),
            _ => Err(network(&Error::Other)),
        }
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Failed> {
        let now = Instant::now();
        let committed = rpc.leader_commit;
        rpc.leader_commit = self.stored.least(committed);
        if self.beats.knows(&rpc, now) {
            let (way, stored, patience) = (self.way.clone(), self.stored.clone(), self.heartbeat);
            self.beats.fly(now, async move {
                rpc.leader_commit = stored.least_within(committed, patience).await;
                let sent = way.append(rpc, &option).await;
                matches!(sent, Ok(AppendEntriesResponse::Success))
            });
            return Ok(AppendEntriesResponse::Success);
        }
        let (vote, last) = (rpc.vote, rpc.entries.last().map(|e| e.log_id).or(rpc.prev_log_id));
        let sent = self.way.append(rpc, &option).await;
        self.beats.answered(vote, last, now, sent.as_ref().ok());
        sent
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, Failed<RaftError<NodeId, InstallSnapshotError>>>
    {
        match self.way.call(Call::Snapshot(rpc), &option).await? {
            Answer::Snapshot(response) => Ok(response),
            Answer::Mismatch(m) => {
                let error = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(m));
                Err(RPCError::RemoteError(RemoteError::new(self.way.peer.id, error)))
            }
            _ => Err(network(&Error::Other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Failed> {
        match self.way.call(Call::Vote(rpc), &option).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(network(&Error::Other)),
        }
    }

    /// Two heartbeats: a node that is back is found before others miss it.
    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.heartbeat * 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::types::{Entry, LogId, Vote};
    use crate::consensus::wire::Answering;
    use openraft::{CommittedLeaderId, EntryPayload};
    use std::sync::Mutex;
    use tokio::time::sleep;

    /// Takes note of how far each message says that the log is committed.
    #[derive(Default)]
    struct Follower(Mutex<Vec<Option<u64>>>);

    impl Wire for Follower {
        fn send<'a>(&'a self, _: &'a Peer, request: Vec<u8>, _: Duration) -> Answering<'a> {
            let Ok(Call::Append(rpc)) = codec::decode(VERSION, &request) else { panic!() };
            self.0.lock().unwrap().push(rpc.leader_commit.map(|id| id.index));
            let answer = Answer::Append(AppendEntriesResponse::Success);
            Box::pin(async move { Ok(codec::encode(VERSION, &answer).unwrap()) })
        }
    }

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(3, 1), index)
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_told_to_be_committed_than_the_leader_has_stored() {
        let (follower, stored) = (Arc::new(Follower::default()), Stored::new(Some(id(3))));
        let heartbeat = Duration::from_millis(50);
        let mut network = Network { wire: follower.clone(), heartbeat, stored: stored.clone() };
        let mut link = network.new_client(2, &BasicNode::new("n2")).await;
        let rpc = |prev, entries: &[u64], committed| {
            let entry = |n: &u64| Entry { log_id: id(*n), payload: EntryPayload::Blank };
            AppendEntriesRequest {
                vote: Vote::new_committed(3, 1),
                prev_log_id: Some(id(prev)),
                entries: entries.iter().map(entry).collect(),
                leader_commit: Some(id(committed)),
            }
        };
        let told = || follower.0.lock().unwrap().iter().flatten().copied().collect::<Vec<_>>();
        let option = || RPCOption::new(heartbeat);
        let wait = |ms| sleep(Duration::from_millis(ms));
        link.append_entries(rpc(3, &[4, 5], 5), option()).await.unwrap();
        assert_eq!(told(), [3]);
        // What only tells of a commit waits for the disk, and nobody waits for it.
        link.append_entries(rpc(5, &[], 5), option()).await.unwrap();
        wait(10).await;
        assert_eq!(told(), [3]);
        stored.grow(Some(id(5)));
        wait(5).await;
        assert_eq!(told(), [3, 5]);
        // A slow disk does not hold up the rhythm.
        link.append_entries(rpc(5, &[], 6), option()).await.unwrap();
        wait(55).await;
        assert_eq!(told(), [3, 5, 5]);
    }
}
