//! Puts requests into log entries: whatever waits goes into the next entry. While entries are on
//! their way new requests gather, so that nothing has to linger for company.

use super::error::Error;
use super::limits::{ENTRY_BYTES, ENTRY_EVERY, ENTRY_REQUESTS};
use super::profile::Profile;
use super::types::{Batch, Raft, Replies, Types};
use openraft::error::{ClientWriteError, ForwardToLeader};
use openraft::raft::ClientWriteResponse;
use openraft::{BasicNode, RaftTypeConfig};
use regions::control_log::{Reply, Request};
use std::collections::VecDeque;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// A request that waits for its reply.
pub(super) struct Proposal {
    pub request: Request,
    pub bytes: usize,
    pub tell: oneshot::Sender<Result<Reply, Error>>,
}

type Tells = Vec<oneshot::Sender<Result<Reply, Error>>>;

/// Proposes until nobody can ask any more, or Raft has stopped.
pub(super) async fn run(raft: Raft, profile: Profile, mut asked: mpsc::Receiver<Proposal>) {
    let mut waiting = VecDeque::new();
    let mut flying = JoinSet::new();
    loop {
        while flying.len() >= in_flight(&raft, profile) {
            flying.join_next().await;
        }
        if waiting.is_empty() {
            let Some(first) = asked.recv().await else { break };
            waiting.push_back(first);
        }
        while waiting.len() < ENTRY_REQUESTS
            && let Ok(next) = asked.try_recv()
        {
            waiting.push_back(next);
        }
        let (batch, tells) = take(&mut waiting);
        if tells.is_empty() {
            continue;
        }
        match raft.client_write_ff(batch).await {
            Ok(receiver) => {
                flying.spawn(answer(receiver, tells));
            }
            Err(_) => tells.into_iter().for_each(|t| drop(t.send(Err(Error::Stopped)))),
        }
    }
    // Those on their way are still answered.
    while flying.join_next().await.is_some() {}
}

/// Entries on their way at once. With a second one the next is on the way while the replies to the
/// first travel; alone, a node would only split what its disk takes in one sync. Over wide links
/// there are more: what is in the log when an append is answered goes with the next one, and what
/// is not has to wait for another round trip.
fn in_flight(raft: &Raft, profile: Profile) -> usize {
    let voters = raft.metrics().borrow().membership_config.voter_ids().count();
    let far = profile.heartbeat.as_millis() / ENTRY_EVERY.as_millis();
    if voters > 1 { far as usize } else { 1 }
}

/// The next entry, without those that nobody waits for any more: they can be asked again.
fn take(waiting: &mut VecDeque<Proposal>) -> (Batch, Tells) {
    let (mut batch, mut tells, mut bytes) = (Vec::new(), Vec::new(), 0);
    while batch.len() < ENTRY_REQUESTS
        && let Some(next) = waiting.pop_front()
    {
        if next.tell.is_closed() {
            continue;
        }
        if !batch.is_empty() && bytes + next.bytes > ENTRY_BYTES {
            waiting.push_front(next);
            break;
        }
        bytes += next.bytes;
        batch.push(next.request);
        tells.push(next.tell);
    }
    (Batch(batch), tells)
}

type Receiver =
    <<Types as RaftTypeConfig>::Responder as openraft::raft::responder::Responder<Types>>::Receiver;

async fn answer(receiver: Receiver, tells: Tells) {
    match receiver.await {
        Ok(Ok(ClientWriteResponse { data, .. })) => tell_all(tells, data),
        Ok(Err(ClientWriteError::ForwardToLeader(to))) => {
            tells.into_iter().for_each(|t| drop(t.send(Err(not_leader(&to)))));
        }
        Ok(Err(ClientWriteError::ChangeMembershipError(_))) | Err(_) => {
            tells.into_iter().for_each(|t| drop(t.send(Err(Error::Stopped))));
        }
    }
}

fn tell_all(tells: Tells, replies: Replies) {
    for (tell, reply) in tells.into_iter().zip(replies) {
        // Who asked may have given up.
        let _ = tell.send(Ok(reply));
    }
}

/// Who leads instead.
pub(super) fn not_leader(to: &ForwardToLeader<u64, BasicNode>) -> Error {
    let address = to.leader_node.as_ref().map(|n| n.addr.clone());
    Error::NotLeader { leader: to.leader_id, address }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regions::control_log::{Client, Command};

    fn proposal(
        sequence: u64,
        bytes: usize,
    ) -> (Proposal, oneshot::Receiver<Result<Reply, Error>>) {
        let command = Command::DropKey { key: "k".into() };
        let request = Request { client: Client::default(), sequence, command };
        let (tell, told) = oneshot::channel();
        (Proposal { request, bytes, tell }, told)
    }

    #[test]
    fn an_entry_is_bounded_by_count_and_bytes_and_keeps_the_order() {
        let (mut waiting, told): (VecDeque<_>, Vec<_>) =
            (0..ENTRY_REQUESTS as u64 + 3).map(|n| proposal(n, 1)).unzip();
        let (batch, tells) = take(&mut waiting);
        assert_eq!(
            (batch.0.len(), tells.len(), waiting.len()),
            (ENTRY_REQUESTS, ENTRY_REQUESTS, 3)
        );
        assert!(batch.0.windows(2).all(|w| w[0].sequence < w[1].sequence));
        drop(told);
        assert_eq!(take(&mut waiting).0.0.len(), 0, "nobody waits for these any more");
        let sizes = [ENTRY_BYTES + 9, ENTRY_BYTES - 1, 1, 1];
        let (mut waiting, _told): (VecDeque<_>, Vec<_>) =
            sizes.into_iter().zip(0..).map(|(bytes, n)| proposal(n, bytes)).unzip();
        let counts: Vec<usize> = (0..3).map(|_| take(&mut waiting).0.0.len()).collect();
        assert_eq!(counts, [1, 2, 1], "one that is too large goes alone");
    }
}
