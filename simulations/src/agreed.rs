//! What the control log has agreed on, for the journal: each thing is told once, by whoever
//! applied it first.

use crate::journal::What;
use regions::control_log::{Client, Command, ControlLog, Reply, Request};
use std::collections::{BTreeMap, BTreeSet};
use threat::Text;

/// What a client's flags are called.
pub const KEY: &str = "key-";

/// What has been agreed on so far.
#[derive(Debug, Default)]
pub struct Agreed {
    /// The chain after each entry, from index 1 on.
    chains: Vec<u64>,
    /// Bundle and epoch in use, by region.
    uses: Vec<(u64, u64)>,
    /// Owner and epoch, by workload.
    pub owners: BTreeMap<u32, (Option<u64>, u64)>,
    /// Writes that were done, and what each key was written with last.
    writes: BTreeSet<(Client, u64)>,
    values: BTreeMap<u32, u64>,
    /// Who acted for each workload last, under which epoch.
    pub acted: BTreeMap<u32, (u64, usize)>,
    /// Requests that were given an epoch.
    epochs: BTreeSet<(Client, u64)>,
}

impl Agreed {
    /// Whether a node is the first that applied an entry.
    pub fn is_first(&mut self, index: u64, chain: u64) -> bool {
        let known = self.chains.len() as u64;
        if index > known {
            self.chains.push(chain);
            return true;
        }
        false
    }

    /// The chain up to an entry that somebody applied.
    pub fn chain_at(&self, index: u64) -> u64 {
        let at = index.checked_sub(1).and_then(|i| self.chains.get(i as usize));
        at.copied().unwrap_or_default()
    }

    /// Whether a key had another value before it got this one again.
    fn overwritten(&self, key: u32, value: Option<&Text>) -> bool {
        let value = value.and_then(|v| v.parse().ok());
        self.values.get(&key).copied() != value
    }

    /// A request was applied first. `log` is the state after it, `regions` are the plan's,
    /// `place_of` finds a node of the plan by its id.
    pub fn tell(
        &mut self,
        (index, request, reply): (u64, &Request, &Reply),
        log: &ControlLog,
        regions: &[String],
        place_of: impl Fn(u64) -> Option<usize>,
        mut note: impl FnMut(What),
    ) {
        if let (Command::SetFlag { name, value }, None) = (&request.command, reply.refusal())
            && let Some(key) = name.strip_prefix(KEY).and_then(|k| k.parse().ok())
        {
            // A retry of what was done before is no write.
            let done = self.writes.insert((request.client, request.sequence));
            let again = log.settings().flags().get(name) == value.as_ref();
            if done || (again && self.overwritten(key, value.as_ref())) {
                let value = value.as_ref().and_then(|v| v.parse().ok()).unwrap_or_default();
                self.values.insert(key, value);
                note(What::Set { index, key, value });
            }
        }
        if !request.command.is_followed() {
            return;
        }
        if let Reply::Epoch(epoch) = reply
            && self.epochs.insert((request.client, request.sequence))
        {
            note(What::Epoch { epoch: *epoch });
        }
        self.uses.resize(regions.len(), (0, 0));
        for (region, name) in regions.iter().enumerate() {
            let bundles = log.bundles();
            let uses = (bundles.used_in(name).unwrap_or_default(), bundles.epoch());
            if self.uses[region] != uses {
                self.uses[region] = uses;
                note(What::Uses { region, version: uses.0, epoch: uses.1 });
            }
        }
        if let Command::AssignWorkload { workload, .. } = &request.command
            && let Some(known) = log.workloads().all().get(workload)
        {
            let now = (known.owner, known.epoch);
            if self.owners.insert(*workload, now) != Some(now) {
                let owner = known.owner.and_then(place_of);
                note(What::Assigned { workload: *workload, owner, epoch: now.1 });
            }
        }
    }
}
