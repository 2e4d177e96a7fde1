//! Network and authentication logs of an office that never was, with labelled attacks in them.
//!
//! A [`Scenario`] says what to simulate, [`Traffic`] yields its records in event-time order, and
//! `writers` turn records into the bytes of Zeek, Suricata, syslog and CSV. [`throughput`] makes
//! connections only, by the million; [`vandal`] damages bytes for tests of bad input. Everything is
//! a function of the seed. Not here: files, clocks, packets; internet background noise (unlabelled
//! scans from outside) is left out on purpose, so that everything unlabelled is benign.

mod attacks;
mod benign;
mod calendar;
mod campaign;
mod client;
mod conn;
mod draw;
mod label;
mod login;
mod names;
mod net;
pub mod record;
mod scenario;
pub mod throughput;
pub mod vandal;
mod world;
pub mod writers;

#[cfg(test)]
mod tests;

pub use campaign::{Campaign, CampaignKind, KINDS, ScanShape, TunnelRecord};
pub use label::{Label, TARGETS};
pub use record::{Body, CampaignId, Record};
pub use scenario::{
    CAMPAIGNS_MAX, DURATION_MAX, Error, HOSTS_MAX, HOSTS_MIN, RATE_MAX, Scenario, USERS_MAX,
};
pub use throughput::throughput;

use net::Net;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use threat::Timestamp;

/// Something that acts now and then.
trait Behaviour {
    /// Acts at `now` and says when next; `None` when done. Records may begin a little before `now`
    /// only where a look-up precedes it; see [`SLACK`].
    fn wake(&mut self, now: Timestamp, net: &mut Net) -> Option<Timestamp>;
}

/// Seconds by which a record may precede the waking that made it.
const SLACK: f64 = 2.0;

/// The records of a scenario, in event-time order.
pub struct Traffic {
    net: Net,
    behaviours: Vec<Box<dyn Behaviour + Send>>,
    agenda: BinaryHeap<Reverse<(Timestamp, u32)>>,
    labels: Vec<Label>,
    start: Timestamp,
    end: Timestamp,
}

impl Traffic {
    /// Ready to yield the first record.
    ///
    /// # Errors
    /// When the scenario is not valid.
    pub fn new(scenario: &Scenario) -> Result<Self, Error> {
        scenario.validate()?;
        let net = Net::new(world::World::new(scenario));
        let mut traffic = Self {
            net,
            behaviours: Vec::new(),
            agenda: BinaryHeap::new(),
            labels: Vec::new(),
            start: scenario.start,
            end: scenario.end(),
        };
        for (first, behaviour) in benign::all(scenario, &traffic.net.world) {
            traffic.plan(first, behaviour);
        }
        for (place, campaign) in scenario.campaigns.iter().enumerate() {
            let attack = attacks::plan(scenario, place, campaign, &traffic.net.world);
            traffic.labels.push(attack.label);
            for (first, behaviour) in attack.behaviours {
                traffic.plan(first, behaviour);
            }
        }
        Ok(traffic)
    }

    /// The campaigns with what was yielded of them so far: complete after the last record.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    fn plan(&mut self, first: Timestamp, behaviour: Box<dyn Behaviour + Send>) {
        self.agenda.push(Reverse((first, self.behaviours.len() as u32)));
        self.behaviours.push(behaviour);
    }

    /// Wakes who is due until the next record's time is settled.
    fn settle(&mut self) {
        while let Some(&Reverse((due, who))) = self.agenda.peek() {
            let settled = self.net.pending.next_time().is_some_and(|t| t.plus_secs(SLACK) <= due);
            if settled || due >= self.end.plus_secs(SLACK) {
                return;
            }
            self.agenda.pop();
            // Time never stands still, whatever a behaviour says.
            let soonest = Timestamp::from_micros(due.micros() + 1);
            if let Some(next) = self.behaviours[who as usize].wake(due, &mut self.net) {
                self.agenda.push(Reverse((next.max(soonest), who)));
            }
        }
    }
}

impl Iterator for Traffic {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            self.settle();
            let record = self.net.pending.pop()?;
            if record.time >= self.end {
                // Later ones only get later.
                return None;
            }
            if record.time < self.start {
                continue;
            }
            let label = record.campaign.and_then(|c| self.labels.get_mut(usize::from(c.0)));
            if let Some(label) = label {
                label.count(&record);
            }
            return Some(record);
        }
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic")
            .field("behaviours", &self.behaviours.len())
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}
