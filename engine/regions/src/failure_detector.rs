//! Which peers are silent for longer than they usually are: the phi accrual failure detector
//! (Hayashibara, Défago, Yared, Katayama: "The phi accrual failure detector", SRDS 2004), with what
//! a cluster in production needs beside it: lost heartbeats are part of the usual, a link that
//! flaps does not flap the state, and an observer that was itself stopped suspects nobody.
//!
//! What one observer sees removes nobody: its peers have to agree.

mod limits;
mod peer;
mod window;

pub use limits::*;

use peer::Peer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a peer is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It beats as it always did.
    Alive,
    /// It is late. Nothing new is given to it; nothing is taken from it.
    Suspect,
    /// It is silent for too long, or has not been steady for long enough since.
    Dead,
}

/// When a peer is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How often a peer beats.
    pub period: Duration,
    /// So much silence beyond the usual costs nothing: a few heartbeats lost in a row are no news,
    /// and the normal distribution of the paper has no tail for them.
    pub pause: Duration,
    /// Deviation of the intervals, at least: a perfectly regular link would make a millisecond of
    /// lateness a proof of death.
    pub min_deviation: Duration,
    /// From this phi on it is suspect: one wrong suspicion in 10^phi heartbeats of a usual link.
    pub suspect: f64,
    /// From this phi on it is dead.
    pub dead: f64,
    /// After so much silence it is dead whatever its past: intervals that grow slowly must not
    /// teach the detector to wait for ever.
    pub silence: Duration,
}

impl Default for Settings {
    /// For heartbeats every 500 ms: suspect after about 2.0 s and dead after about 2.3 s on a good
    /// link, a little later on one that loses a tenth.
    fn default() -> Self {
        Self {
            period: Duration::from_millis(500),
            pause: Duration::from_secs(1),
            min_deviation: Duration::from_millis(150),
            suspect: 3.0,
            dead: 8.0,
            silence: Duration::from_secs(5),
        }
    }
}

/// A peer is taken for something else from now on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub peer: u64,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// The suspicion at that time.
    pub phi: f64,
}

/// What an operator sees of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// What it is taken for.
    pub state: State,
    /// The suspicion now.
    pub phi: f64,
    /// Mean of the intervals between its heartbeats.
    pub mean: Duration,
    /// Their deviation.
    pub deviation: Duration,
    /// How often it fell from alive within the time that is remembered.
    pub falls: u32,
    /// Heartbeats in a row that it has to give before it counts as alive; 0 when it is.
    pub owes: u32,
}

/// Why a peer is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are as many as may be.
    #[error("{PEERS} peers are watched already, which is the limit")]
    Full,
}

/// What one observer thinks of its peers.
#[derive(Clone, Debug)]
pub struct FailureDetector {
    settings: Settings,
    peers: BTreeMap<u64, Peer>,
    /// When the observer last ran.
    ran: Option<Duration>,
    /// For how long it has run: time in which it was stopped is not in it. Silence is measured by
    /// this, since nobody can be heard by one that does not listen.
    awake: Duration,
    pauses: u64,
    strangers: u64,
}

impl FailureDetector {
    /// One that watches nobody yet.
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            peers: BTreeMap::new(),
            ran: None,
            awake: Duration::ZERO,
            pauses: 0,
            strangers: 0,
        }
    }

    /// Watches a peer from now on; it has [`SETTLE`] until its first heartbeat is due.
    ///
    /// # Errors
    /// [`Error::Full`] when [`PEERS`] are watched.
    pub fn watch(&mut self, now: Duration, peer: u64) -> Result<(), Error> {
        self.run(now);
        if !self.peers.contains_key(&peer) {
            if self.peers.len() >= PEERS {
                return Err(Error::Full);
            }
            self.peers.insert(peer, Peer::new(self.awake));
        }
        Ok(())
    }

    /// Watches it no more.
    pub fn forget(&mut self, peer: u64) {
        self.peers.remove(&peer);
    }

    /// A heartbeat arrived. One of a stranger is counted and has no effect.
    pub fn heartbeat(&mut self, now: Duration, peer: u64, changes: &mut Vec<Change>) {
        self.run(now);
        let (awake, settings) = (self.awake, &self.settings);
        let Some(known) = self.peers.get_mut(&peer) else {
            self.strangers += 1;
            return;
        };
        let from = known.state;
        // One that is alive stays so with a heartbeat: nobody is told of its phi.
        let phi = if from == State::Alive { 0.0 } else { known.phi(awake, settings) };
        known.heartbeat(awake, settings);
        told(peer, from, known.state, phi, changes);
    }

    /// Time passes. To be called at least every [`TICK`]: from how seldom it is called the observer
    /// knows that it was stopped.
    pub fn tick(&mut self, now: Duration, changes: &mut Vec<Change>) {
        self.run(now);
        for (peer, known) in &mut self.peers {
            if known.is_in_time(self.awake, &self.settings) {
                continue;
            }
            let (from, phi) = (known.state, known.phi(self.awake, &self.settings));
            known.tick(self.awake, phi, &self.settings);
            told(*peer, from, known.state, phi, changes);
        }
    }

    /// The suspicion of a peer: minus the decimal logarithm of the probability that a heartbeat
    /// comes as late as it is by now.
    pub fn phi(&self, now: Duration, peer: u64) -> Option<f64> {
        self.peers.get(&peer).map(|p| p.phi(self.awake_at(now), &self.settings))
    }

    /// What a peer is taken for.
    pub fn state(&self, peer: u64) -> Option<State> {
        self.peers.get(&peer).map(|p| p.state)
    }

    /// The peers that are taken for dead.
    pub fn dead(&self) -> impl Iterator<Item = u64> + '_ {
        self.peers.iter().filter(|(_, p)| p.state == State::Dead).map(|(id, _)| *id)
    }

    /// The peers that are watched.
    pub fn peers(&self) -> impl Iterator<Item = u64> + '_ {
        self.peers.keys().copied()
    }

    /// All peers, for people.
    pub fn view(&self, now: Duration) -> BTreeMap<u64, PeerView> {
        let awake = self.awake_at(now);
        self.peers.iter().map(|(id, p)| (*id, p.view(awake, &self.settings))).collect()
    }

    /// How often the observer found that it had been stopped.
    pub const fn pauses(&self) -> u64 {
        self.pauses
    }

    /// Heartbeats of those that are not watched.
    pub const fn strangers(&self) -> u64 {
        self.strangers
    }

    /// The observer's own time at `now`, without what it slept.
    fn awake_at(&self, now: Duration) -> Duration {
        let gap = self.ran.map_or(Duration::ZERO, |ran| now.saturating_sub(ran));
        self.awake + if gap > OBSERVER_GAP { Duration::ZERO } else { gap }
    }

    /// The observer runs at `now`. If it was stopped before, all peers get time to be heard again:
    /// their heartbeats wait in buffers, or their connections have to be made anew.
    fn run(&mut self, now: Duration) {
        let stopped = self.ran.is_some_and(|ran| now.saturating_sub(ran) > OBSERVER_GAP);
        self.awake = self.awake_at(now);
        self.ran = self.ran.max(Some(now));
        if stopped {
            self.pauses += 1;
            self.peers.values_mut().for_each(|p| p.excuse(self.awake));
        }
    }
}

fn told(peer: u64, from: State, to: State, phi: f64, changes: &mut Vec<Change>) {
    if from != to {
        changes.push(Change { peer, from, to, phi });
    }
}

#[cfg(test)]
mod measured_tests;
#[cfg(test)]
mod tests;
