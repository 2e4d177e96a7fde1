//! Messages without entries, which tell a follower what is committed and that its leader is there.
//!
//! openraft 0.9 has one message to a follower on its way at a time, and tells each commit in a
//! message of its own. The next entry would wait for the answer to that: two round trips for each
//! of two commands that follow each other. So such a message travels by itself, and its answer is
//! given at once when it is known: it asks whether the follower's log has an entry which, under
//! this very vote, the follower has said to have. Raft never takes that back.
//!
//! What the answer also says is that the follower is there. openraft 0.9 only shows that, as the
//! time since a majority was heard; it may be shown up to [`TRUST_BEATS`] heartbeats too young.

use super::limits::BEATS_FLYING;
use super::types::{NodeId, Types};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use openraft::{LogId, Vote};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Heartbeats for which an answer is taken as a sign that the follower is still there: one is the
/// time between two messages to a follower to which nothing else is said.
pub(super) const TRUST_BEATS: u32 = 2;

/// What a follower has said, and the messages to it that travel by themselves.
pub(super) struct Beats {
    /// The vote under which it has said so.
    vote: Option<Vote<NodeId>>,
    /// The last entry that it has said to have.
    matching: Option<LogId<NodeId>>,
    heard: Heard,
    trust: Duration,
    flying: JoinSet<()>,
}

/// When what was last answered well was asked; nothing after another answer, until one that was
/// waited for is good.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<State>>);

#[derive(Clone, Copy, Default)]
struct State {
    asked: Option<Instant>,
    refused: bool,
}

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Instant, good: bool) {
        let mut state = self.state();
        if good {
            state.asked = state.asked.max(Some(asked));
        } else {
            state.refused = true;
        }
    }
}

impl Beats {
    pub(super) fn new(heartbeat: Duration) -> Self {
        let (vote, matching, heard) = (None, None, Heard::default());
        Self { vote, matching, heard, trust: heartbeat * TRUST_BEATS, flying: JoinSet::new() }
    }

    /// Whether the answer to a message that is sent now is known.
    pub(super) fn knows(&mut self, rpc: &AppendEntriesRequest<Types>, now: Instant) -> bool {
        while self.flying.try_join_next().is_some() {}
        let State { asked, refused } = *self.heard.state();
        rpc.entries.is_empty()
            && self.vote == Some(rpc.vote)
            && rpc.prev_log_id <= self.matching
            && !refused
            && asked.is_some_and(|asked| now.duration_since(asked) <= self.trust)
            && self.flying.len() < BEATS_FLYING
    }

    /// Lets a message travel by itself; `sent` says whether it was answered well.
    pub(super) fn fly(&mut self, now: Instant, sent: impl Future<Output = bool> + Send + 'static) {
        let heard = self.heard.clone();
        self.flying.spawn(async move { heard.note(now, sent.await) });
    }

    /// Takes note of the answer to a message with `last` as its last entry that was waited for.
    pub(super) fn answered(
        &mut self,
        vote: Vote<NodeId>,
        last: Option<LogId<NodeId>>,
        asked: Instant,
        response: Option<&AppendEntriesResponse<NodeId>>,
    ) {
        if self.vote != Some(vote) {
            (self.vote, self.matching) = (Some(vote), None);
        }
        let matching = match response {
            Some(AppendEntriesResponse::Success) => last,
            Some(AppendEntriesResponse::PartialSuccess(matching)) => *matching,
            _ => return self.heard.note(asked, false),
        };
        self.matching = self.matching.max(matching);
        *self.heard.state() = State { asked: Some(asked), refused: false };
    }
}
