//! What a node knows of the links to others.

use super::limits::{ASKED_LATELY, IN_FLIGHT, PROBE_EVERY};
use super::status::PeerStatus;
use regions::threats::collection::Floor;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, as its certificate must say.
    pub name: String,
    /// Where it listens.
    pub address: String,
}

/// The other members, and what is agreed on about closed threats.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// By id.
    pub peers: BTreeMap<u64, Peer>,
    /// Below which floor they are gone.
    pub floor: Option<Floor>,
}

/// What is known of the link to one.
#[derive(Debug, Default)]
pub(super) struct Link {
    answers: bool,
    /// A comparison has to be made: since it did not answer, or never was asked.
    settled: bool,
    comparing: bool,
    /// Something was not told to it after the last comparison began, which may not have seen it.
    untold: bool,
    in_flight: usize,
    tried: Option<Instant>,
    asked: Option<Instant>,
    compared: Option<Instant>,
    equal: bool,
    untold_batches: u64,
    trouble: Option<String>,
}

/// The links to all, by id.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<u64, Link>);

impl Links {
    /// Forgets those that are no members any more, and learns of new ones.
    pub fn know(&mut self, peers: &BTreeMap<u64, Peer>) {
        self.0.retain(|id, _| peers.contains_key(id));
        for id in peers.keys() {
            self.0.entry(*id).or_default();
        }
    }

    /// Whether a batch may be sent to it now; if so it counts as on its way.
    pub fn may_tell(&mut self, id: u64) -> bool {
        let Some(link) = self.0.get_mut(&id) else { return false };
        let may = link.answers && link.in_flight < IN_FLIGHT;
        if may {
            link.in_flight += 1;
        } else {
            link.untold_batches += 1;
            link.untold = true;
        }
        may
    }

    /// A batch was told to it, or got lost.
    pub fn told(&mut self, id: u64, failed: Option<String>) {
        if let Some(link) = self.0.get_mut(&id) {
            link.in_flight = link.in_flight.saturating_sub(1);
            if failed.is_some() {
                link.untold_batches += 1;
                link.untold = true;
            }
        }
        if let Some(trouble) = failed {
            self.failed(id, trouble);
        }
    }

    /// It did not answer.
    pub fn failed(&mut self, id: u64, trouble: String) {
        if let Some(link) = self.0.get_mut(&id) {
            (link.answers, link.settled, link.trouble) = (false, false, Some(trouble));
        }
    }

    /// It asked this node to compare.
    pub fn asked(&mut self, id: u64, now: Instant) {
        if let Some(link) = self.0.get_mut(&id) {
            link.asked = Some(now);
        }
    }

    /// Whether it asked this node to compare a moment ago.
    pub fn asked_lately(&self, id: u64, now: Instant) -> bool {
        let asked = self.0.get(&id).and_then(|link| link.asked);
        asked.is_some_and(|at| now.duration_since(at) < ASKED_LATELY)
    }

    /// Those with which a comparison is due: a link failed or is new, or something was not told and
    /// nothing is on its way any more.
    pub fn due(&self, now: Instant) -> Vec<u64> {
        let due = |link: &Link| {
            let waits = link.tried.is_some_and(|at| now.duration_since(at) < PROBE_EVERY);
            let behind = !link.settled || (link.untold && link.in_flight == 0);
            behind && !link.comparing && !waits
        };
        self.0.iter().filter(|(_, link)| due(link)).map(|(id, _)| *id).collect()
    }

    /// Those that answer and with which nothing is being compared.
    pub fn idle(&self) -> Vec<u64> {
        let idle = |link: &Link| link.answers && !link.comparing;
        self.0.iter().filter(|(_, link)| idle(link)).map(|(id, _)| *id).collect()
    }

    /// Those that answer.
    pub fn answering(&self) -> BTreeSet<u64> {
        self.0.iter().filter(|(_, link)| link.answers).map(|(id, _)| *id).collect()
    }

    /// A comparison begins; false when one is under way.
    pub fn begin(&mut self, id: u64) -> bool {
        let Some(link) = self.0.get_mut(&id) else { return false };
        let begins = !std::mem::replace(&mut link.comparing, true);
        link.untold &= !begins;
        begins
    }

    /// It answers.
    pub fn answered(&mut self, id: u64) {
        if let Some(link) = self.0.get_mut(&id) {
            link.answers = true;
        }
    }

    /// Both compared what they know.
    pub fn compared(&mut self, id: u64, equal: bool, now: Instant) {
        if let Some(link) = self.0.get_mut(&id) {
            (link.compared, link.equal, link.settled) = (Some(now), equal, true);
            link.trouble = None;
        }
    }

    /// A comparison has ended, whatever came of it.
    pub fn end(&mut self, id: u64, now: Instant) {
        if let Some(link) = self.0.get_mut(&id) {
            (link.comparing, link.tried) = (false, Some(now));
        }
    }

    /// For people.
    pub fn status(&self, now: Instant) -> BTreeMap<u64, PeerStatus> {
        let ms = |at: Instant| now.duration_since(at).as_millis() as u64;
        let status = |link: &Link| PeerStatus {
            answers: link.answers,
            compared_ms_ago: link.compared.map(ms),
            equal: link.equal,
            untold_batches: link.untold_batches,
            trouble: link.trouble.clone(),
        };
        self.0.iter().map(|(id, link)| (*id, status(link))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Links to node 2, with which one comparison went through.
    fn links(now: Instant) -> Links {
        let mut links = Links::default();
        let peer = Peer { name: "two".into(), address: "h:1".into() };
        links.know(&[(2, peer)].into());
        assert_eq!(links.due(now), [2]);
        compare(&mut links, now, |_| ());
        assert!(links.due(now + PROBE_EVERY).is_empty());
        links
    }

    fn compare(links: &mut Links, now: Instant, meanwhile: impl FnOnce(&mut Links)) {
        assert!(links.begin(2));
        meanwhile(links);
        links.answered(2);
        links.compared(2, true, now);
        links.end(2, now);
    }

    #[test]
    fn what_was_not_told_during_a_comparison_is_compared_again() {
        let now = Instant::now();
        let mut links = links(now);
        links.failed(2, "it is silent".into());
        let later = now + Duration::from_secs(1);
        assert_eq!(links.due(later), [2]);
        compare(&mut links, later, |links| assert!(!links.may_tell(2), "it does not answer yet"));
        assert!(links.due(later).is_empty(), "not at once");
        assert_eq!(links.due(later + PROBE_EVERY), [2]);
        compare(&mut links, later, |_| ());
        assert!(links.due(later + PROBE_EVERY).is_empty());
    }

    #[test]
    fn a_batch_that_is_lost_during_a_comparison_is_compared_again() {
        let now = Instant::now();
        let mut links = links(now);
        assert!(links.may_tell(2));
        compare(&mut links, now, |links| links.told(2, Some("too late".into())));
        assert_eq!(links.due(now + PROBE_EVERY), [2]);
    }

    #[test]
    fn who_is_behind_is_compared_with_when_nothing_is_on_its_way() {
        let now = Instant::now();
        let mut links = links(now);
        assert_eq!((0..=IN_FLIGHT).filter(|_| links.may_tell(2)).count(), IN_FLIGHT);
        assert!(links.due(now + PROBE_EVERY).is_empty());
        (0..IN_FLIGHT).for_each(|_| links.told(2, None));
        assert_eq!(links.due(now + PROBE_EVERY), [2]);
    }
}
