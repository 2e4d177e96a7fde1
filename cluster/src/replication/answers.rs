//! What a node answers on the lane of gossip.

use super::gossip::Step;
use super::wire::{self, Gossip, Heard};
use super::{Error, Held, Replication, lock};
use crate::fabric::{Caller, Who};
use regions::threats::{Record, Taken};
use std::sync::atomic::Ordering;
use threat::Timestamp;
use tokio::time::Instant;

impl Replication {
    /// The answer to what another node says. Nothing of who is no member is taken.
    pub async fn answer(&self, caller: &Caller, request: &[u8]) -> Vec<u8> {
        let heard = if self.is_member(caller) {
            self.hear(caller, request).await
        } else {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            Heard::Refused(format!("{} is not known as a member here", caller.identity))
        };
        let bytes = wire::encode(&heard).unwrap_or_default();
        self.counters.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        bytes
    }

    async fn hear(&self, caller: &Caller, request: &[u8]) -> Heard {
        match wire::decode(request) {
            Ok(Gossip::Records { floor, records }) => self.take(floor, records).await,
            Ok(Gossip::Compare { floor, message }) => {
                lock(&self.links).asked(caller.node, Instant::now());
                let now = (self.wall)();
                match self.step(floor, message).await {
                    Ok(Step { messages, repaired, cut, lacks }) => {
                        Heard::Compared { messages, repaired, cut, lacks, now }
                    }
                    Err(Error::OtherFloor) => self.other_floor(),
                    Err(error) => Heard::Refused(error.to_string()),
                }
            }
            Err(error) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                Heard::Refused(format!("not a message: {error}"))
            }
        }
    }

    fn other_floor(&self) -> Heard {
        self.counters.other_floor.fetch_add(1, Ordering::Relaxed);
        Heard::OtherFloor
    }

    fn is_member(&self, caller: &Caller) -> bool {
        let Who::Node { name, .. } = &caller.identity.who else { return false };
        self.peers().get(&caller.node).is_some_and(|peer| peer.name == *name)
    }

    async fn take(&self, floor: Option<Timestamp>, records: Vec<Record>) -> Heard {
        let now = self.time();
        let (mut no_room, mut refused, mut taken, mut first) = (0, 0, 0, None);
        {
            let mut held = lock(&self.held);
            if Self::same_floor(floor, &held).is_err() {
                return self.other_floor();
            }
            let Held { state, clock } = &mut *held;
            for record in records {
                match state.receive(record, clock, now) {
                    Ok(Taken::NoRoom) => no_room += 1,
                    Ok(Taken::Known | Taken::Below) => {}
                    Ok(Taken::New | Taken::Grown) => taken += 1,
                    Err(error) => {
                        refused += 1;
                        first.get_or_insert(error);
                    }
                }
            }
        }
        if let Some(error) = first {
            tracing::warn!("{refused} records of another node are refused: {error}");
        }
        self.counters.taken.fetch_add(taken, Ordering::Relaxed);
        self.counters.refused.fetch_add(refused, Ordering::Relaxed);
        match self.writer.stored().await {
            Ok(()) => Heard::Stored { no_room, refused },
            Err(error) => Heard::Refused(error.to_string()),
        }
    }
}
