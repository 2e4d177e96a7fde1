//! Nodes in one process: a wire with delay, loss and cuts, for tests and measurements.

use super::network::Responder;
use super::types::NodeId;
use super::wire::{Answering, Peer, Wire, WireError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use threat::entropy::Rng;
use tokio::time::{sleep, timeout};

#[derive(Debug)]
struct Inner {
    nodes: BTreeMap<NodeId, Responder>,
    /// Pairs between which nothing gets through, in this direction.
    cut: BTreeSet<(NodeId, NodeId)>,
    loss: f64,
    least: Duration,
    delay: Duration,
    rng: Rng,
}

/// All nodes of the process.
#[derive(Clone, Debug)]
pub struct MemoryNet(Arc<Mutex<Inner>>);

impl MemoryNet {
    /// A net without nodes, delay and loss.
    pub fn new(seed: u64) -> Self {
        let (nodes, cut) = (BTreeMap::new(), BTreeSet::new());
        let rng = Rng::fork(seed, "net");
        let (least, delay) = (Duration::ZERO, Duration::ZERO);
        let inner = Inner { nodes, cut, loss: 0.0, least, delay, rng };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that holds it can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wire of a node to all others.
    pub fn wire(&self, from: NodeId) -> Arc<dyn Wire> {
        Arc::new(MemoryWire { net: self.clone(), from })
    }

    /// A node answers from now on.
    pub fn connect(&self, id: NodeId, responder: Responder) {
        self.lock().nodes.insert(id, responder);
    }

    /// A node answers no more.
    pub fn disconnect(&self, id: NodeId) {
        self.lock().nodes.remove(&id);
    }

    /// Cuts a node off from all others, silently, or heals all its cuts.
    pub fn cut_off(&self, id: NodeId, others: &[NodeId], cut: bool) {
        let mut inner = self.lock();
        for &other in others.iter().filter(|o| **o != id) {
            for pair in [(id, other), (other, id)] {
                if cut {
                    inner.cut.insert(pair);
                } else {
                    inner.cut.remove(&pair);
                }
            }
        }
    }

    /// The share of messages that are lost, and the longest time that one takes, each way.
    pub fn weather(&self, loss: f64, delay: Duration) {
        let mut inner = self.lock();
        (inner.loss, inner.delay) = (loss, delay);
    }

    /// The time that each message takes at least, each way, besides the weather.
    pub fn apart(&self, least: Duration) {
        self.lock().least = least;
    }

    /// How long a message takes, unless it is lost.
    fn travel(&self, from: NodeId, to: NodeId) -> Option<Duration> {
        let inner = &mut *self.lock();
        let lost = inner.rng.chance(inner.loss) || inner.cut.contains(&(from, to));
        (!lost).then(|| inner.least + inner.delay.mul_f64(inner.rng.unit()))
    }
}

struct MemoryWire {
    net: MemoryNet,
    from: NodeId,
}

impl MemoryWire {
    async fn carry(&self, to: NodeId, request: Vec<u8>) -> Result<Vec<u8>, WireError> {
        let (net, from) = (self.net.clone(), self.from);
        let responder = net.lock().nodes.get(&to).cloned();
        let Some(responder) = responder else {
            return Err(WireError::Unreachable(format!("node {to} is down")));
        };
        let Some(there) = net.travel(from, to) else { return std::future::pending().await };
        // A task of its own: what has arrived is done even if nobody waits for the answer.
        let answer = tokio::spawn(async move {
            pause(there).await;
            responder.answer(from, &request).await
        });
        let answer = answer.await.map_err(|_| WireError::Unreachable("it panicked".into()))?;
        let Some(back) = net.travel(to, from) else { return std::future::pending().await };
        pause(back).await;
        Ok(answer)
    }
}

/// Timers have a granularity of a millisecond, so no time must be none.
async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

impl Wire for MemoryWire {
    fn send<'a>(&'a self, to: &'a Peer, request: Vec<u8>, within: Duration) -> Answering<'a> {
        Box::pin(async move {
            let carried = timeout(within, self.carry(to.id, request)).await;
            carried.unwrap_or(Err(WireError::Timeout))
        })
    }
}
