//! What has been agreed on, for the journal.

use super::World;
use super::node::Running;
use regions::control_log::{Reply, Request};

impl World<'_> {
    /// A request was applied first, by a node.
    pub(super) fn tell_agreed(
        &mut self,
        run: &Running,
        index: u64,
        request: &Request,
        reply: &Reply,
    ) {
        let mut agreed = std::mem::take(&mut self.agreed);
        let mut told = Vec::new();
        let place_of = |id| self.place_of(id);
        let entry = (index, request, reply);
        agreed.tell(entry, &run.log, &self.plan.regions, place_of, |what| told.push(what));
        self.agreed = agreed;
        told.into_iter().for_each(|what| self.note(None, what));
    }
}
