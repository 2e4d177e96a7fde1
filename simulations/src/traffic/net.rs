//! The network that everybody shares: what the sensor would log, waiting for its time, and the
//! organisation's resolver. It knows no behaviour.

use super::record::{Auth, AuthEvent, Body, CampaignId, Record};
use super::world::World;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use threat::{Text, Timestamp};

/// Records that wait for their time. Bounded by what behaviours emit in one waking: a page or a
/// session each, a few hundred records at most.
#[derive(Debug, Default)]
pub(super) struct Pending {
    order: BinaryHeap<Reverse<(Timestamp, u64, u32)>>,
    slots: Vec<Option<Record>>,
    free: Vec<u32>,
    made: u64,
}

impl Pending {
    fn push(&mut self, record: Record) {
        let time = record.time;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(record);
        self.order.push(Reverse((time, self.made, slot)));
        self.made += 1;
    }

    pub(super) fn next_time(&self) -> Option<Timestamp> {
        self.order.peek().map(|r| r.0.0)
    }

    pub(super) fn pop(&mut self) -> Option<Record> {
        let Reverse((_, _, slot)) = self.order.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }
}

/// What all behaviours share.
#[derive(Debug)]
pub(super) struct Net {
    pub world: World,
    pub pending: Pending,
    /// Until when the organisation's resolver keeps each site's address.
    pub resolved: Vec<Timestamp>,
}

impl Net {
    pub(super) fn new(world: World) -> Self {
        let resolved = vec![Timestamp::from_micros(i64::MIN); world.sites.len()];
        Self { world, pending: Pending::default(), resolved }
    }

    pub(super) fn emit(&mut self, time: Timestamp, campaign: Option<CampaignId>, body: Body) {
        self.pending.push(Record { time, campaign, body });
    }

    /// A line of a machine's authentication log.
    pub(super) fn auth(
        &mut self,
        time: Timestamp,
        campaign: Option<CampaignId>,
        (host, pid): (&Text, u32),
        user: &Text,
        event: AuthEvent,
    ) {
        let auth = Auth { host: host.clone(), pid, user: user.clone(), event };
        self.emit(time, campaign, Body::Auth(Box::new(auth)));
    }
}
