//! What is made here: records of this node's detection, and what people say to it.

use super::limits::{TOLD_BYTES, TOLD_RECORDS};
use super::wire::{self, Gossip};
use super::{Error, Replication, lock};
use regions::threats::{self, Record, Said, Taken};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use threat::ThreatId;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

impl Replication {
    /// Joins records that were made here, and returns once they are on this node's disk. Others are
    /// told soon.
    ///
    /// # Errors
    /// [`Error::NotTaken`] after the others are on the disk, [`Error::Stopped`].
    pub async fn fold(&self, records: Vec<Record>) -> Result<(), Error> {
        let (mut no_room, mut refused, mut first) = (0, 0, None);
        {
            let mut held = lock(&self.held);
            for record in records {
                match held.state.take(record) {
                    Ok(Taken::NoRoom) => no_room += 1,
                    Ok(_) => {}
                    Err(error) => {
                        refused += 1;
                        first.get_or_insert(error);
                    }
                }
            }
        }
        self.writer.stored().await?;
        if no_room + refused > 0 {
            return Err(Error::NotTaken { no_room, refused, first });
        }
        Ok(())
    }

    /// As [`Self::fold`], and returns once `need` of these other nodes have the records on their
    /// disks, too; gives their ids.
    ///
    /// # Errors
    /// As [`Self::fold`], and [`Error::NotEnough`] when they do not within that time, or cannot any
    /// more.
    pub async fn fold_replicated(
        self: &Arc<Self>,
        records: Vec<Record>,
        peers: &[u64],
        need: usize,
        within: Duration,
    ) -> Result<Vec<u64>, Error> {
        let until = Instant::now() + within;
        let (mut frames, floor) = (Vec::new(), lock(&self.held).state.floor());
        for part in parts(&records) {
            frames.push(wire::encode(&Gossip::Records { floor, records: part.to_vec() })?);
        }
        let (known, frames) = (self.peers(), Arc::new(frames));
        let mut tasks = JoinSet::new();
        for id in peers.iter().collect::<BTreeSet<_>>() {
            if let Some(peer) = known.get(id) {
                let (own, frames) = (Arc::clone(self), Arc::clone(&frames));
                tasks.spawn(own.keep(*id, peer.address.clone(), frames, within));
            }
        }
        let mut durable = Vec::new();
        let enough = async {
            while durable.len() < need
                && let Some(done) = tasks.join_next().await
            {
                durable.extend(done.ok().and_then(Result::ok));
            }
        };
        let (folded, _) = tokio::join!(self.fold(records), timeout_at(until, enough));
        folded?;
        // The rest goes on: what was sent already does good there.
        tasks.detach_all();
        if durable.len() < need {
            return Err(Error::NotEnough { durable, need, within });
        }
        Ok(durable)
    }

    /// Pushes records to a node, until they are on its disk; gives its id.
    async fn keep(
        self: Arc<Self>,
        id: u64,
        address: String,
        frames: Arc<Vec<Vec<u8>>>,
        within: Duration,
    ) -> Result<u64, Error> {
        for frame in frames.iter() {
            self.push(id, &address, frame.clone(), within).await?;
        }
        Ok(id)
    }

    /// Writes what a person says of a threat; the record as it is then, on this node's disk.
    ///
    /// # Errors
    /// [`Error::Record`], [`Error::Stopped`], [`Error::NotTaken`].
    pub async fn handle(&self, id: ThreatId, said: &Said) -> Result<Record, Error> {
        self.settle(&self.around());
        let now = self.time();
        let record = {
            let mut held = lock(&self.held);
            let stamp = held.clock.tick(now);
            if held.state.handle(id, said, stamp)? == Taken::NoRoom {
                return Err(Error::NotTaken { no_room: 1, refused: 0, first: None });
            }
            held.state.get(id).cloned().ok_or(threats::Error::Unknown { id })?
        };
        self.writer.stored().await?;
        Ok(record)
    }
}

/// Records in messages of their own, each within its limits.
pub(super) fn parts(records: &[Record]) -> Vec<&[Record]> {
    let (mut all, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, record) in records.iter().enumerate() {
        let size = record.encode().map_or(TOLD_BYTES, |encoded| encoded.len());
        if at > from && (bytes + size > TOLD_BYTES || at - from == TOLD_RECORDS) {
            all.push(&records[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += size;
    }
    if from < records.len() {
        all.push(&records[from..]);
    }
    all
}
