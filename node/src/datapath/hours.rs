//! What nodes counted by hour of event time: told to each other, and read to make forecasts.
//!
//! Each minute a node asks some others, in turn, which hours of which nodes they have, with their
//! sums, and takes those of which it has less. So all counts reach every node over whoever is
//! reachable, and stay known when the node that counted is gone for good.

use super::fetching::ask;
use super::limits::{HEADS, HOURS_TIME, ROWS, TEACHERS};
use super::message::{Ask, Told};
use super::view::{ClusterView, Peer};
use actors::ports::{BoxFuture, Error, Threads};
use actors::response::forecaster::Hours;
use cluster::fabric::Fabric;
use forecast::History;
use forecast::forecasters::Kept;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use store::{Commit, Store};
use threat::codec;

/// Name of the checkpoint of a node's forecasters.
const FORECASTERS: &str = "forecasters";

/// The format of it; of another one nothing is kept, and forecasts begin anew.
const VERSION: u8 = 1;

/// The hours in a node's store.
pub struct Counted {
    store: Arc<Store>,
    fabric: Arc<Fabric>,
    view: Arc<dyn ClusterView>,
    threads: Threads,
    /// Which node is asked next.
    turn: AtomicUsize,
}

/// The history of all hours from one on.
///
/// # Errors
/// When the store fails.
pub fn history(store: &Store, from: i64) -> Result<History, store::Error> {
    let mut history = History::default();
    store.view()?.each_hour(from, |counts| history.add(&counts))?;
    Ok(history)
}

impl Counted {
    /// Those of this store; others are learnt from the cluster around it.
    pub fn of(
        store: &Arc<Store>,
        fabric: &Arc<Fabric>,
        view: &Arc<dyn ClusterView>,
        threads: Threads,
    ) -> Self {
        let (store, fabric, view) = (Arc::clone(store), Arc::clone(fabric), Arc::clone(view));
        Self { store, fabric, view, threads, turn: AtomicUsize::new(0) }
    }

    /// Takes from a node what it has more of.
    async fn learn_from(&self, peer: &Peer) -> Result<(), String> {
        let mut after = None;
        loop {
            let told = ask(&self.fabric, peer, &Ask::HourHeads { after }, HOURS_TIME).await?;
            let Told::HourHeads(heads) = told else { return Err(format!("it says {told:?}")) };
            after = heads.last().map(|(hour, node, _)| (*hour, *node));
            let last = heads.len() < HEADS;
            let mut missing = self.on_disk(move |store| missing(store, &heads)).await?;
            while !missing.is_empty() {
                let some: Vec<_> = missing.drain(..missing.len().min(ROWS)).collect();
                let told = ask(&self.fabric, peer, &Ask::Hours(some.clone()), HOURS_TIME).await?;
                let Told::Hours(hours) = told else { return Err(format!("it says {told:?}")) };
                // A page may hold fewer than were asked for.
                let got: Vec<_> = hours.iter().map(|h| (h.hour, h.node)).collect();
                if got.is_empty() {
                    break;
                }
                missing.extend(some.into_iter().filter(|key| !got.contains(key)));
                let commit = Commit { told_hours: hours, ..Commit::default() };
                self.on_disk(move |store| store.commit(&commit).map(drop)).await?;
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, String> {
        let store = Arc::clone(&self.store);
        let done = self.threads.wait(move || work(&store)).await;
        done.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }
}

/// Of the hours that another node has those of which less is known here.
fn missing(store: &Store, heads: &[(i64, u64, u64)]) -> Result<Vec<(i64, u64)>, store::Error> {
    let keys: Vec<(i64, u64)> = heads.iter().map(|(hour, node, _)| (*hour, *node)).collect();
    let known: BTreeMap<(i64, u64), u64> = match keys.first() {
        Some(first) => {
            let known = store.view()?.hour_heads(Some(*first), true, keys.len() + HEADS)?;
            known.into_iter().map(|(hour, node, sum)| ((hour, node), sum)).collect()
        }
        None => BTreeMap::new(),
    };
    let less = |(hour, node, sum): &&(i64, u64, u64)| known.get(&(*hour, *node)) < Some(sum);
    Ok(heads.iter().filter(less).map(|(hour, node, _)| (*hour, *node)).collect())
}

impl Hours for Counted {
    fn learn(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let peers = self.view.peers();
            let turn = self.turn.fetch_add(TEACHERS, Relaxed);
            for peer in
                peers.iter().cycle().skip(turn % peers.len().max(1)).take(TEACHERS.min(peers.len()))
            {
                if let Err(error) = self.learn_from(peer).await {
                    tracing::debug!(node = peer.node, "its hours are not learnt: {error}");
                }
            }
        })
    }

    fn read(&self, from: i64) -> BoxFuture<'_, Result<History, Error>> {
        Box::pin(async move {
            self.on_disk(move |store| history(store, from)).await.map_err(Error::Storage)
        })
    }

    fn keep(&self, kept: Kept) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let bytes = codec::encode(VERSION, &kept).map_err(|e| Error::Corrupt(e.to_string()))?;
            let checkpoints = vec![(FORECASTERS.to_owned(), bytes)];
            let commit = Commit { checkpoints, ..Commit::default() };
            self.on_disk(move |store| store.commit(&commit).map(drop)).await.map_err(Error::Storage)
        })
    }

    fn kept(&self) -> BoxFuture<'_, Result<Kept, Error>> {
        Box::pin(async move {
            let read = self.on_disk(|store| store.view()?.checkpoint(FORECASTERS)).await;
            let bytes = read.map_err(Error::Storage)?;
            let kept = bytes.and_then(|bytes| codec::decode(VERSION, &bytes).ok());
            Ok(kept.unwrap_or_default())
        })
    }
}
