//! What has been agreed on, for the journal: told once, by whoever applied it first.

use super::World;
use super::node::Running;
use crate::journal::What;
use regions::control_log::{Command, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};

/// What a client's flags are called.
pub const KEY: &str = "key-";

/// What has been agreed on, told once: by whoever applied it first.
#[derive(Default)]
pub struct Agreed {
    /// The chain after each entry, from index 1 on.
    pub chains: Vec<u64>,
    /// Bundle and epoch in use, by region.
    pub uses: Vec<(u64, u64)>,
    /// Owner and epoch, by workload.
    pub owners: BTreeMap<u32, (Option<u64>, u64)>,
    /// Writes that were done, and what each key was written with last.
    writes: BTreeSet<(regions::control_log::Client, u64)>,
    values: BTreeMap<u32, u64>,
    /// Who acted for each workload last, under which epoch.
    pub acted: BTreeMap<u32, (u64, usize)>,
    /// Requests that were given an epoch.
    pub epochs: BTreeSet<(regions::control_log::Client, u64)>,
}

impl Agreed {
    /// Whether a key had another value before it got this one again.
    fn overwritten(&self, key: u32, value: Option<&threat::Text>) -> bool {
        let value = value.and_then(|v| v.parse().ok());
        self.values.get(&key).copied() != value
    }
}

impl World<'_> {
    /// Whether this node is the first that applied an entry.
    pub(super) fn agree(&mut self, index: u64, chain: u64) -> bool {
        let known = self.agreed.chains.len() as u64;
        if index > known {
            self.agreed.chains.push(chain);
            return true;
        }
        false
    }

    /// The chain up to an entry that somebody applied.
    pub(super) fn chain_at(&self, index: u64) -> u64 {
        let at = index.checked_sub(1).and_then(|i| self.agreed.chains.get(i as usize));
        at.copied().unwrap_or_default()
    }

    pub(super) fn tell_agreed(
        &mut self,
        run: &Running,
        index: u64,
        request: &Request,
        reply: &Reply,
    ) {
        if let (Command::SetFlag { name, value }, None) = (&request.command, reply.refusal())
            && let Some(key) = name.strip_prefix(KEY).and_then(|k| k.parse().ok())
        {
            // A retry of what was done before is no write.
            let done = self.agreed.writes.insert((request.client, request.sequence));
            let again = run.log.settings().flags().get(name) == value.as_ref();
            if done || (again && self.agreed.overwritten(key, value.as_ref())) {
                let value = value.as_ref().and_then(|v| v.parse().ok()).unwrap_or_default();
                self.agreed.values.insert(key, value);
                self.note(None, What::Set { index, key, value });
            }
        }
        if !request.command.is_followed() {
            return;
        }
        if let Reply::Epoch(epoch) = reply {
            let key = (request.client, request.sequence);
            if self.agreed.epochs.insert(key) {
                self.note(None, What::Epoch { epoch: *epoch });
            }
        }
        for region in 0..self.plan.regions.len() {
            let bundles = run.log.bundles();
            let used = bundles.used_in(&self.plan.regions[region]).unwrap_or_default();
            let uses = (used, bundles.epoch());
            self.agreed.uses.resize(self.plan.regions.len(), (0, 0));
            if self.agreed.uses[region] != uses {
                self.agreed.uses[region] = uses;
                self.note(None, What::Uses { region, version: uses.0, epoch: uses.1 });
            }
        }
        if let Command::AssignWorkload { workload, .. } = &request.command
            && let Some(known) = run.log.workloads().all().get(workload)
        {
            let now = (known.owner, known.epoch);
            if self.agreed.owners.insert(*workload, now) != Some(now) {
                let owner = known.owner.and_then(|id| self.place_of(id));
                self.note(None, What::Assigned { workload: *workload, owner, epoch: now.1 });
            }
        }
    }
}
