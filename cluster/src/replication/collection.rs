//! What a node does about closed threats: moves to the floor that is agreed on, and, for who leads,
//! says which one should be next. What is safe about it stands in [`regions::threats::collection`].

use super::limits::{COLLECT_AT_LEAST, COLLECT_AT_MOST};
use super::peers::Around;
use super::{Error, Replication, lock};
use regions::control_log::Command;
use regions::threats::collection::Collected;
use std::collections::BTreeSet;
use std::time::Duration;

impl Replication {
    /// Moves to the floor that the control log has here; whether that is another one. What is
    /// removed by it leaves the disk with the next commit.
    pub(super) fn settle(&self, around: &Around) -> bool {
        let Some(floor) = &around.floor else { return false };
        let mut held = lock(&self.held);
        let members: BTreeSet<u64> = around.peers.keys().copied().collect();
        let before = held.state.collected();
        if !held.state.advance(floor, self.id(), &members) {
            return false;
        }
        // What is said from now on lies above it, whatever the clock here says.
        held.clock.pass(floor.at);
        let Collected { collected, kept, thrown_away, .. } = held.state.collected();
        let (collected, kept) = (collected - before.collected, kept - before.kept);
        if floor.away.contains(&self.id()) {
            let thrown_away = thrown_away - before.thrown_away;
            tracing::warn!(
                "this node was away for longer than closed threats are kept: {thrown_away} threats \
                 that others had are taken from them anew, what is known here alone stays"
            );
        } else {
            tracing::info!("{collected} closed threats are collected, {kept} wait for other nodes");
        }
        true
    }

    /// What to ask of the control log so that closed threats go, if anything. Ask it of who leads,
    /// once it has applied all that was agreed on before.
    pub fn raise_floor(&self) -> Option<Command> {
        let around = self.around();
        self.settle(&around);
        let answering = lock(&self.links).answering();
        let (now, held) = (self.time(), lock(&self.held));
        let members = around.peers.keys().copied().collect();
        let floor = held.state.next_floor(now, self.retention, &members, &answering)?;
        Some(Command::RaiseFloor { expected: held.state.floor(), floor })
    }

    /// Time between two looks for what [`Self::raise_floor`] says.
    pub fn collect_every(&self) -> Duration {
        let part = self.retention / regions::threats::limits::FLOOR_STEPS;
        part.clamp(COLLECT_AT_LEAST, COLLECT_AT_MOST)
    }

    /// Whether what another node says was said above the floor of this one.
    pub(super) fn same_floor(
        theirs: Option<threat::Timestamp>,
        held: &super::Held,
    ) -> Result<(), Error> {
        let own = held.state.floor();
        if theirs == own { Ok(()) } else { Err(Error::OtherFloor) }
    }
}
