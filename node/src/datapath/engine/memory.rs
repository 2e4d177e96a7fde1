//! What detection remembers of entities: taken while a workload is owned, and gone on with when one
//! begins to be.
//!
//! What is taken holds exactly the events that were dealt before. It is kept and sent only when all
//! of these have their verdicts on disk, so that a restart, which leaves out what has a verdict,
//! counts nothing twice. Events after the last checkpoint have verdicts, too, but no windows any
//! more: a takeover forgets that it saw them.

use super::{Dealing, Error, inner_shard};
use crate::datapath::carrying::Taken;
use crate::datapath::checkpoints::Checkpoints;
use crate::datapath::fetching::fetch;
use crate::datapath::limits::{FETCH_TIME, RESTORED};
use actors::detection::FeaturesMessage;
use detection::features::state::{Kind, Piece};
use std::collections::{BTreeMap, BTreeSet};
use store::EntityState;
use threat::EntityId;
use tokio::sync::oneshot;
use tokio::time::timeout;

impl Dealing {
    /// Takes what changed since the last time, unless that is still being sent. The first time
    /// begins the noting of changes.
    pub(super) async fn take(&mut self) -> Result<(), Error> {
        // What waits meanwhile is bounded by the tables that it is in.
        let Ok(room) = self.making.taken.clone().try_reserve_owned() else { return Ok(()) };
        let mut shards = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (tell, told) = oneshot::channel();
            shard.send(FeaturesMessage::Take(tell)).await;
            shards.push(told);
        }
        let around = self.surroundings.take_changed();
        let (owned, job, at) = (self.owned_still(), self.jobs, self.clock.now());
        room.send(Taken { shards, around, owned, job, at });
        Ok(())
    }

    /// What this process owned last and was not given to another: also while a lease has lapsed for
    /// a moment, since what is taken then would be lost.
    fn owned_still(&self) -> BTreeMap<u32, u64> {
        let view = &self.making.view;
        let owners = (0..view.shards()).filter_map(|shard| view.owner(shard));
        let mine: BTreeSet<u32> =
            owners.filter(|o| o.node == view.me()).map(|o| o.workload).collect();
        let still = self.owned.iter().filter(|(workload, _)| mine.contains(workload));
        still.map(|(workload, epoch)| (*workload, *epoch)).collect()
    }

    /// Looks which workloads are owned now, and goes on with what was known of the entities of
    /// those that were not before.
    pub(super) async fn claim(&mut self) -> Result<(), Error> {
        let acting = self.making.view.acting();
        if acting == self.claimed {
            return Ok(());
        }
        // Nobody else had one in between that is owned under the epoch of before.
        let is_new = |(workload, epoch): &(&u32, &u64)| self.owned.get(*workload) != Some(*epoch);
        let new: BTreeMap<u32, u64> = acting.iter().filter(is_new).map(|(w, e)| (*w, *e)).collect();
        if !new.is_empty() {
            let making = &self.making;
            let fetching = fetch(&making.fabric, &making.view, &making.checkpoints, &new);
            match timeout(FETCH_TIME, fetching).await {
                Ok(fetched) => fetched?,
                Err(_) => tracing::warn!("not all checkpoints came in time from other nodes"),
            }
        }
        for (workload, epoch) in new {
            let since = self.owned.get(&workload).copied();
            let claiming =
                move |checkpoints: &Checkpoints| checkpoints.claim(workload, epoch, since);
            let states = self.making.checkpoints.aside(claiming).await;
            let states = states.map_err(|e| Error::Ended(e.to_string()))??;
            self.restore(states).await;
            self.owned.insert(workload, epoch);
        }
        self.claimed = acting;
        Ok(())
    }

    /// Hands state to the shards of its entities, and keeps what is around them.
    async fn restore(&mut self, states: Vec<EntityState>) {
        let count = self.shards.len();
        let (mut shards, mut refused) = (vec![Vec::new(); count], 0);
        for EntityState { kind, key, owner, bytes, .. } in states {
            let piece = Piece { kind, key, owner, bytes };
            if Kind::of(kind).is_some_and(Kind::is_around) {
                refused += u64::from(self.surroundings.restore(&piece).is_err());
                continue;
            }
            let shard = inner_shard(EntityId(owner), count);
            shards[shard].push(piece);
            if shards[shard].len() >= RESTORED {
                let pieces = std::mem::take(&mut shards[shard]);
                self.shards[shard].send(FeaturesMessage::Restore(pieces)).await;
            }
        }
        for (shard, pieces) in shards.into_iter().enumerate().filter(|(_, p)| !p.is_empty()) {
            self.shards[shard].send(FeaturesMessage::Restore(pieces)).await;
        }
        if refused > 0 {
            tracing::warn!("{refused} accounts and hosts begin anew: their state is not readable");
        }
    }
}
