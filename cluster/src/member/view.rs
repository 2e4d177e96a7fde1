//! A node's part as the rest of its process sees it, which does not keep it from ending.

use super::Inner;
use crate::consensus::{Error, Role};
use regions::control_log::{Command, ControlLog, Reply};
use std::sync::Weak;
use tokio::sync::watch;

/// What is applied at a node, for as long as it is there.
#[derive(Clone)]
pub struct View(pub(super) Weak<Inner>);

impl View {
    /// Reads it; nothing once the node has ended.
    pub fn read<R>(&self, look: impl FnOnce(&ControlLog) -> R) -> Option<R> {
        Some(self.0.upgrade()?.consensus.read(look).1)
    }

    /// Tells of each change that nodes act on by themselves, as on members, owners and models;
    /// not of flags, keys and approvals.
    pub fn changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.0.upgrade()?.consensus.followed())
    }

    /// Whether this node leads.
    pub fn leads(&self) -> bool {
        self.0.upgrade().is_some_and(|inner| inner.consensus.status().role == Role::Leader)
    }

    /// The term in which this node leads, if it does.
    pub fn leads_in(&self) -> Option<u64> {
        let status = self.0.upgrade()?.consensus.status();
        (status.role == Role::Leader).then_some(status.term)
    }

    /// Where the leader listens, if one is known.
    pub fn leader(&self) -> Option<String> {
        let inner = self.0.upgrade()?;
        let status = inner.consensus.status();
        let id = status.leader?;
        let known = |log: &ControlLog| Some(log.nodes().present().get(&id)?.address.to_string());
        inner.consensus.read(known).1.or_else(|| status.members.get(&id).cloned())
    }

    /// Proposes a command, wherever the leader is, and gives its reply.
    ///
    /// # Errors
    /// As [`Member::propose`](super::Member::propose); [`Error::Stopped`] once the node has ended.
    pub async fn propose(&self, command: Command) -> Result<Reply, Error> {
        match self.0.upgrade() {
            Some(inner) => inner.command(command).await,
            None => Err(Error::Stopped),
        }
    }
}
