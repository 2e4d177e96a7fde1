//! When a voter that hears nothing of a leader stands for election: one after the other.
//!
//! openraft 0.9 looks at a random timeout once in one and a half heartbeats. Two voters often stand
//! at once then, and after a leader that was writing one of them often lacks its last entry: who
//! stands first with the shorter log cannot win, waits for twice the longest timeout, and its vote
//! may be in the way of the other one's. Of 30 leaders killed at 80 ms, eight were replaced after
//! six to nine seconds instead of three.
//!
//! Here voters take turns, by id, within the same bounds. openraft orders votes by term and then
//! by id, so the vote of who stands later in the same term is the greater one: whoever had the
//! shorter log hinders nobody, and has the same term granted to it by nobody. (Raft needs a random
//! timeout since its votes of one term are not ordered: Ongaro and Ousterhout, "In search of an
//! understandable consensus algorithm", 2014, section 5.2.)

use super::profile::Profile;
use super::types::{NodeId, Raft};
use openraft::{BasicNode, RaftState, ServerState};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A voter that stands again and again waits twice as long each time, up to so many times: to stand
/// anew ends what is under way, and on a slow disk a vote may take longer to be stored than the
/// shortest timeout.
const LONGEST: u32 = 2;

/// What decides when a voter stands.
#[derive(Clone, Copy, Debug)]
struct View {
    leads: bool,
    /// Its place among the voters that may stand, and how many there are; none when it has no vote.
    turn: Option<(u32, u32)>,
    /// Whether there was a leader under its vote.
    led: bool,
    /// When that leader was last heard, or the vote was cast; nothing since it started.
    heard: Option<Instant>,
}

impl View {
    fn of(state: &RaftState<NodeId, BasicNode, Instant>, id: NodeId) -> Self {
        let (membership, vote) = (state.membership_state.effective(), state.vote_ref());
        let led = vote.is_committed();
        // Who led and is not heard is not waited for.
        let gone = vote.leader_id().voted_for().filter(|leader| led && *leader != id);
        let standing = || membership.voter_ids().filter(|voter| Some(*voter) != gone);
        let before = standing().filter(|voter| *voter < id).count();
        let votes = standing().any(|voter| voter == id);
        // Members are few.
        let turn = votes.then(|| (before as u32, membership.voter_ids().count() as u32));
        let leads = state.server_state == ServerState::Leader;
        Self { leads, turn, led, heard: state.vote_last_modified() }
    }

    /// When it stands, if nothing changes until then. `tries` have failed since it heard a leader.
    fn stands_at(&self, started: Instant, profile: &Profile, tries: u32) -> Option<Instant> {
        let (turn, voters) = self.turn.filter(|_| !self.leads)?;
        let since = self.heard.unwrap_or(started);
        let patience = 1 << tries.saturating_sub(1).min(LONGEST);
        if voters == 1 && tries == 0 {
            // There is nobody to wait for.
            return Some(started);
        }
        let led = self.led && self.heard.is_some();
        let lease = if led { profile.election_max } else { Duration::ZERO };
        let apart = (profile.election_max - profile.election_min) / voters;
        Some(since + lease + (profile.election_min + apart * turn) * patience)
    }
}

/// Lets this node stand whenever it is due, until Raft ends.
pub(super) async fn run(raft: Raft, id: NodeId, profile: Profile) {
    let started = Instant::now();
    let mut tries = 0;
    while let Ok(view) = raft.with_raft_state(move |state| View::of(state, id)).await {
        if view.led && view.heard.is_some() {
            tries = 0;
        }
        let now = Instant::now();
        let next = match view.stands_at(started, &profile, tries) {
            // Who leads, or has no vote, is not due before this time after that has changed.
            None => now + profile.election_min,
            Some(at) if at > now => at,
            Some(_) => match raft.trigger().elect().await {
                Ok(()) => {
                    tries += 1;
                    continue;
                }
                Err(_) => return,
            },
        };
        sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn voters_take_turns_within_the_bounds() {
        let started = Instant::now();
        let last = started + Duration::from_secs(5);
        let heard = Some(last);
        for profile in [Profile::LAN, Profile::WAN_80, Profile::WAN_150] {
            let at = |turn, led, heard| {
                let view = View { leads: false, turn: Some((turn, 3)), led, heard };
                view.stands_at(started, &profile, 0).unwrap()
            };
            let (first, second) = (at(0, true, heard), at(1, true, heard));
            assert_eq!(first - last, profile.election_max + profile.election_min);
            // A vote and its answer fit in between: a heartbeat is at least two round trips.
            assert!(second - first >= profile.heartbeat.mul_f64(0.9), "{:?}", second - first);
            assert!(at(2, true, heard) - last <= profile.election_max * 2);
            // Nobody led: no lease to wait for. Nothing was heard: from the start on.
            assert_eq!(at(0, false, heard) - last, profile.election_min);
            assert_eq!(at(0, true, None) - started, profile.election_min);
        }
        let view = View { leads: true, turn: Some((0, 3)), led: true, heard };
        assert_eq!(view.stands_at(started, &Profile::LAN, 0), None);
        assert_eq!(
            View { leads: false, turn: None, ..view }.stands_at(started, &Profile::LAN, 0),
            None
        );
        let alone = View { leads: false, turn: Some((0, 1)), led: true, heard: None };
        let at = |tries| alone.stands_at(started, &Profile::LAN, tries).unwrap() - started;
        assert_eq!(at(0), Duration::ZERO);
        // What is under way is given more and more time.
        let min = Profile::LAN.election_min;
        assert_eq!([at(1), at(2), at(3), at(9)], [min, min * 2, min * 4, min * 4]);
    }
}
