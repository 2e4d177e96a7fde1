//! Who may speak: what a certificate and a greeting say, beside the control log.
//!
//! An id is of one name in one region for good, so that a log which knows the id knows whose it is,
//! however old it is. An id that the log does not have may be of a node that was taken in since:
//! only consensus, by which the log learns of it, and joining are open to it.

use super::Inner;
use crate::control::Ask;
use crate::fabric::{Caller, Judge, Lane, Who};
use regions::control_log::ControlLog;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two lines about refusals: peers dial again each second.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What somebody whose word is taken is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A person or a program.
    Operator,
    /// A node that the control log has, under this id.
    Member,
    /// A node that the control log does not have, or not under this id.
    Stranger,
}

/// What somebody is, or why its word is not taken.
pub(super) fn standing(log: &ControlLog, caller: &Caller) -> Result<Standing, String> {
    let (id, identity) = (caller.node, &caller.identity);
    let barred = |what: &str, name: &str| {
        Err(format!("{identity} is barred; `watchfire cluster unbar {name}{what}` lifts it"))
    };
    match &identity.who {
        Who::Operator { name } if log.barred().operators().contains(&**name) => {
            barred(" --operator", name)
        }
        Who::Operator { .. } => Ok(Standing::Operator),
        Who::Node { name, .. } if log.barred().nodes().contains(&**name) => barred("", name),
        Who::Node { name, region } => match log.nodes().present().get(&id) {
            Some(node) if *node.name == **name && *node.region == **region => Ok(Standing::Member),
            Some(node) => Err(format!(
                "{identity} says that it is node {id}, which is {} in {}",
                node.name, node.region
            )),
            // 0 says that it has none yet.
            None if id != 0 && log.nodes().has_left(id) => Err(format!(
                "{identity} was node {id}, which was removed for good: without the folder of its \
                 state it joins anew"
            )),
            None => Ok(Standing::Stranger),
        },
    }
}

/// Whether who is not known may ask it: how it comes to be known.
pub(super) const fn is_for_strangers(ask: &Ask) -> bool {
    matches!(ask, Ask::Status { .. } | Ask::Id { .. } | Ask::Arrive { .. })
}

/// What was refused, told once in a while.
#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    told: Option<Instant>,
}

/// Judges by what is applied at a node.
pub(super) struct ByTheLog {
    inner: Weak<Inner>,
    refusals: Mutex<Refusals>,
}

impl ByTheLog {
    pub(super) fn of(inner: &Arc<Inner>) -> Box<Self> {
        Box::new(Self { inner: Arc::downgrade(inner), refusals: Mutex::default() })
    }

    fn note(&self, me: &str, reason: &str) {
        // Nothing panics while it is held.
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.count += 1;
        if refusals.told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            refusals.told = Some(Instant::now());
            let others = refusals.count - 1;
            tracing::warn!("{me} refuses: {reason} ({others} refusals before this one)");
        }
    }
}

impl Judge for ByTheLog {
    fn refuses(&self, other: &Caller) -> Option<String> {
        // A node that has ended answers and asks nothing.
        let inner = self.inner.upgrade()?;
        let (_, reason) = inner.consensus.read(|log| refusal(log, &inner.me.name, other));
        self.note(&inner.me.name, reason.as_deref()?);
        reason
    }
}

/// Why a node of this name takes no word of another on its lane, if so.
fn refusal(log: &ControlLog, me: &str, other: &Caller) -> Option<String> {
    // By consensus it would learn that it is barred no more.
    if other.lane != Lane::Raft && log.barred().nodes().contains(me) {
        return Some(format!("{me} is barred, and is of no use to anybody"));
    }
    match standing(log, other) {
        Ok(Standing::Stranger) if !matches!(other.lane, Lane::Control | Lane::Raft) => {
            Some(format!("{} is not known as node {} here", other.identity, other.node))
        }
        Ok(_) => None,
        Err(reason) => Some(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::Identity;
    use regions::control_log::{Client, Command, Request};

    const LANES: [Lane; 5] = [Lane::Control, Lane::Raft, Lane::Gossip, Lane::Data, Lane::Bulk];

    /// `eu-1` is node 1 in `eu`; node 2 was removed.
    fn log() -> ControlLog {
        let mut log = ControlLog::default();
        let join = |node: u64, name: &str| Command::JoinNode {
            node,
            name: name.into(),
            region: "eu".into(),
            address: "h:1".into(),
            incarnation: 1,
        };
        let region = Command::AddRegion { region: "eu".into() };
        let all = [region, join(1, "eu-1"), join(2, "eu-2"), Command::LeaveNode { node: 2 }];
        for (sequence, command) in (1..).zip(all) {
            let reply =
                log.apply(sequence, &Request { client: Client::default(), sequence, command });
            assert_eq!(reply.refusal(), None);
        }
        log
    }

    /// The lanes on which a node is refused.
    fn refused(log: &ControlLog, region: &str, name: &str, node: u64) -> Vec<Lane> {
        let identity = Identity::node("acme", region, name).unwrap();
        let caller = |lane| Caller { identity: identity.clone(), node, lane };
        LANES.into_iter().filter(|lane| refusal(log, "me", &caller(*lane)).is_some()).collect()
    }

    #[test]
    fn an_id_is_taken_from_whom_it_is_of_alone() {
        let log = log();
        assert_eq!(refused(&log, "eu", "eu-1", 1), []);
        assert_eq!(refused(&log, "eu", "eu-9", 1), LANES);
        assert_eq!(refused(&log, "us", "eu-1", 1), LANES);
        // One that was removed is gone, whoever says it.
        assert_eq!(refused(&log, "eu", "eu-2", 2), LANES);
    }

    #[test]
    fn who_is_not_known_yet_may_join_and_tell_what_was_agreed_on() {
        // The log of a new node has nothing; an old one may lack a node, or know its name from a
        // former life.
        let far = [Lane::Gossip, Lane::Data, Lane::Bulk];
        for log in [ControlLog::default(), log()] {
            assert_eq!(refused(&log, "eu", "eu-3", 3), far);
            assert_eq!(refused(&log, "eu", "eu-3", 0), far);
        }
        assert_eq!(refused(&log(), "eu", "eu-1", 4), far);
    }
}
