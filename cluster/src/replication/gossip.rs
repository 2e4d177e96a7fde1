//! What a node tells others by itself: what changed, and what a comparison finds.

use super::limits::{
    ASK_TIME, BATCHES, REPAIR_BYTES_A_SECOND, ROUNDS, STEPS, TELL_EVERY, TOLD_BYTES, TOLD_RECORDS,
};
use super::peers::Peer;
use super::wire::{self, Gossip, Heard};
use super::{Error, Replication, lock};
use crate::fabric::Lane;
use regions::anti_entropy::{self, Message};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use threat::Timestamp;
use threat::entropy::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// What one comparison led to.
#[derive(Debug, Default)]
struct Round {
    /// Both knew the same when it began.
    equal: bool,
    /// A limit left something out.
    cut: bool,
    /// The other one repairs both.
    left_to_other: bool,
    /// Records that were new to either.
    repaired: u64,
    /// Bytes both ways.
    bytes: usize,
    /// Something that this one has may not be at the other one.
    left_out: bool,
}

/// What one message of a comparison led to.
#[derive(Debug)]
pub(super) struct Step {
    /// What to say next.
    pub messages: Vec<Message>,
    /// Records that were new or added something.
    pub repaired: u64,
    /// Whether a limit left something out.
    pub cut: bool,
    /// Whether something that the other one has could not be taken.
    pub lacks: bool,
}

/// Tells and compares until the task is ended. `seed` draws the nodes to compare with, and when.
pub(super) async fn run(own: Arc<Replication>, seed: u64) {
    let mut rng = Rng::fork(seed, "gossip");
    let mut tasks = JoinSet::new();
    let mut tick = interval(TELL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Instant::now() + pause(&mut rng, own.compare_every);
    loop {
        tick.tick().await;
        while tasks.try_join_next().is_some() {}
        let around = own.around();
        // A disk that fails ends the node by itself.
        if own.settle(&around) && own.writer.stored().await.is_err() {
            return;
        }
        let peers = around.peers;
        lock(&own.links).know(&peers);
        lock(&own.times).keep(|id| peers.contains_key(&id));
        own.tell(&peers, &mut tasks);
        let now = Instant::now();
        let mut with = lock(&own.links).due(now);
        if now >= next {
            next = now + pause(&mut rng, own.compare_every);
            let idle = lock(&own.links).idle();
            if !idle.is_empty() {
                with.push(idle[rng.below(idle.len())]);
            }
        }
        for id in with {
            if let Some(peer) = peers.get(&id)
                && lock(&own.links).begin(id)
            {
                tasks.spawn(Arc::clone(&own).compare(id, peer.address.clone()));
            }
        }
    }
}

/// Time until the next comparison with a node drawn at random.
fn pause(rng: &mut Rng, (least, greatest): (Duration, Duration)) -> Duration {
    least + (greatest - least).mul_f64(rng.unit())
}

impl Replication {
    /// Tells what changed to all that answer and are not behind.
    fn tell(self: &Arc<Self>, peers: &BTreeMap<u64, Peer>, tasks: &mut JoinSet<()>) {
        for _ in 0..BATCHES {
            let (floor, records) = {
                let state = &mut lock(&self.held).state;
                (state.floor(), state.take_changed(TOLD_RECORDS, TOLD_BYTES))
            };
            if records.is_empty() {
                return;
            }
            // Records within their limits have bytes.
            let Ok(body) = wire::encode(&Gossip::Records { floor, records }) else { return };
            for (&id, peer) in peers {
                if lock(&self.links).may_tell(id) {
                    let (own, body) = (Arc::clone(self), body.clone());
                    let address = peer.address.clone();
                    tasks.spawn(async move {
                        let told = own.push(id, &address, body, ASK_TIME).await;
                        let failed = told.err().filter(|e| !matches!(e, Error::Answer));
                        lock(&own.links).told(id, failed.map(|e| e.to_string()));
                    });
                }
            }
        }
    }

    /// Compares with a node and repairs both, until nothing is left that a limit cut off.
    async fn compare(self: Arc<Self>, id: u64, address: String) {
        let mut looked = false;
        for _ in 0..ROUNDS {
            let round = match self.round(id, &address).await {
                Ok(round) => round,
                Err(error) => {
                    lock(&self.links).failed(id, error.to_string());
                    break;
                }
            };
            if round.left_to_other {
                break;
            }
            lock(&self.links).compared(id, round.equal, Instant::now());
            // Where nothing could be repaired, more of it would not help.
            if round.repaired == 0 || (looked && !round.cut) {
                break;
            }
            // Once more after the last repair, to see whether they are equal.
            looked = !round.cut;
            let time = round.bytes as f64 / REPAIR_BYTES_A_SECOND as f64;
            sleep(Duration::from_secs_f64(time)).await;
        }
        lock(&self.links).end(id, Instant::now());
    }

    async fn round(&self, id: u64, address: &str) -> Result<Round, Error> {
        let now = self.time();
        let (first, mark, floor) = {
            let state = &lock(&self.held).state;
            (anti_entropy::begin(state), state.mark(now), state.floor())
        };
        let mut queue = VecDeque::from([first]);
        let (mut round, mut repairs, mut theirs) = (Round::default(), None, now);
        for step in 0..STEPS {
            let Some(message) = queue.pop_front() else { break };
            let body = wire::encode(&Gossip::Compare { floor, message })?;
            round.bytes += body.len();
            let answer = self.ask_bytes(id, address, body, ASK_TIME).await?;
            round.bytes += answer.len();
            let (messages, repaired, cut) = match wire::decode(&answer)? {
                Heard::Compared { messages, repaired, cut, lacks, now } => {
                    round.left_out |= cut || lacks || messages.len() > STEPS;
                    theirs = theirs.min(now);
                    lock(&self.times).heard(id, now, self.started.elapsed());
                    (messages, repaired, cut)
                }
                Heard::Refused(reason) => return Err(Error::Refused(reason)),
                Heard::OtherFloor => return Err(Error::OtherFloor),
                Heard::Stored { .. } => return Err(Error::Answer),
            };
            if step == 0 {
                lock(&self.links).answered(id);
                round.equal = messages.is_empty();
                // Both begin when a link heals: the one with the lesser id repairs.
                let lately = lock(&self.links).asked_lately(id, Instant::now());
                if !round.equal && id < self.id() && lately {
                    round.left_to_other = true;
                    return Ok(round);
                }
            }
            if repairs.is_none() && !messages.is_empty() {
                // Never closed.
                repairs = self.repairs.acquire().await.ok();
            }
            round.repaired += repaired;
            round.cut |= cut;
            for message in messages.into_iter().take(STEPS) {
                let Step { messages, repaired, cut, .. } = self.step(floor, message).await?;
                queue.extend(messages);
                round.repaired += repaired;
                round.cut |= cut;
                round.left_out |= cut;
            }
        }
        if queue.is_empty() && !round.left_out {
            lock(&self.held).state.told(id, mark, theirs);
        }
        Ok(round)
    }

    /// Takes one message of a comparison; what to say next, once all that is known here is on the
    /// disk: who hears that both know the same relies on it.
    pub(super) async fn step(
        &self,
        floor: Option<Timestamp>,
        message: Message,
    ) -> Result<Step, Error> {
        let now = self.time();
        let answer = {
            let mut held = lock(&self.held);
            Self::same_floor(floor, &held)?;
            let super::Held { state, clock, .. } = &mut *held;
            anti_entropy::answer(state, clock, now, message)
        };
        let repaired = answer.repaired as u64;
        self.counters.refused.fetch_add(answer.refused.len() as u64, Ordering::Relaxed);
        self.counters.taken.fetch_add(repaired, Ordering::Relaxed);
        if let Some(error) = answer.refused.first() {
            tracing::warn!("{} records of another node are refused: {error}", answer.refused.len());
        }
        self.writer.stored().await?;
        Ok(Step { messages: answer.messages, repaired, cut: answer.cut, lacks: answer.lacks })
    }

    /// Pushes records to a node, until they are on its disk.
    pub(super) async fn push(
        &self,
        id: u64,
        address: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<(), Error> {
        match wire::decode(&self.ask_bytes(id, address, body, within).await?)? {
            Heard::Stored { no_room: 0, refused: 0 } => Ok(()),
            Heard::Refused(reason) => Err(Error::Refused(reason)),
            Heard::OtherFloor => Err(Error::OtherFloor),
            Heard::Stored { .. } | Heard::Compared { .. } => Err(Error::Answer),
        }
    }

    /// Asks a node and gives the bytes of its answer.
    async fn ask_bytes(
        &self,
        id: u64,
        address: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, Error> {
        self.counters.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(self.fabric.ask(address, id, Lane::Gossip, body, within).await?)
    }
}
