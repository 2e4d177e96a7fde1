//! Copies of verdicts on other nodes, which the classes `region` and `global` ask for.
//!
//! Copies leave in the order in which verdicts were stored, one message at a time: what gathers
//! while one is on its way goes with the next. Copies that cannot be placed are not kept for
//! later: their sender hears of it and asks again, and then they come again.

use super::keeper::{Judged, clipped};
use super::limits::{JUDGED, KEEP_TIME, KEEPS_UNDER_WAY, KEPT_ENTRIES, KEPT_THREATS};
use super::message::{Ask, Copies, Durability, Told, decode_told, encode};
use super::view::{ClusterView, Peer};
use cluster::fabric::{Fabric, Lane};
use cluster::replication::Replication;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Commit, LedgerEntry, Store};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Places copies on other nodes.
pub struct Placing {
    fabric: Arc<Fabric>,
    view: Arc<dyn ClusterView>,
    threats: Arc<Replication>,
    /// Room for messages that a node has not answered yet.
    under_way: BTreeMap<u64, Arc<Semaphore>>,
    asking: JoinSet<()>,
}

/// Which classes a set of copies reached, or why not.
#[derive(Clone, Debug)]
struct Reached {
    region: Result<(), String>,
    global: Result<(), String>,
}

impl Placing {
    /// Places nothing yet.
    pub fn new(fabric: Arc<Fabric>, view: Arc<dyn ClusterView>, threats: Arc<Replication>) -> Self {
        Self { fabric, view, threats, under_way: BTreeMap::new(), asking: JoinSet::new() }
    }

    /// Places what is judged until nothing more comes.
    pub async fn run(mut self, mut judged: mpsc::Receiver<Judged>) {
        let mut some: Vec<Judged> = Vec::new();
        while judged.recv_many(&mut some, JUDGED).await > 0 {
            while self.asking.try_join_next().is_some() {}
            let (mut copies, mut most) = (Copies::default(), Durability::Local);
            let (mut own, mut waiting) = (Vec::new(), Vec::new());
            for done in some.drain(..) {
                own.extend(done.copies.threats.iter().cloned());
                if done.durability > Durability::Local {
                    copies.ledger.extend(done.copies.ledger);
                    copies.threats.extend(done.copies.threats);
                }
                most = most.max(done.durability);
                waiting.push((done.durability, done.tell));
            }
            let threats = Arc::clone(&self.threats);
            let (shared, reached) = tokio::join!(threats.fold(own), self.place(copies, most));
            let shared = shared.map_err(|error| error.to_string());
            for (durability, tell) in waiting {
                let answer = match durability {
                    Durability::Local => shared.clone(),
                    Durability::Region => shared.clone().and(reached.region.clone()),
                    Durability::Global => shared.clone().and(reached.global.clone()),
                };
                // Whoever asked may be gone.
                let _gone = tell.send(answer);
            }
        }
    }

    async fn place(&mut self, copies: Copies, most: Durability) -> Reached {
        let home = self.view.region();
        let (near, far): (Vec<Peer>, Vec<Peer>) =
            self.view.peers().into_iter().partition(|p| p.region == home);
        if most == Durability::Local {
            return Reached { region: Ok(()), global: Ok(()) };
        }
        // With this node they are a majority of its region.
        let (near_needed, far_needed) = match most {
            Durability::Global => (near.len().div_ceil(2), 1),
            _ => (near.len().div_ceil(2), 0),
        };
        let far = if far_needed > 0 { one_of_each(far) } else { Vec::new() };
        let frames = match frames(copies) {
            Ok(frames) => Arc::new(frames),
            Err(error) => {
                let failed = Err(error.to_string());
                return Reached { region: failed.clone(), global: failed };
            }
        };
        let (tell, mut told) = mpsc::unbounded_channel();
        for peer in near.iter().chain(&far) {
            self.ask(peer.clone(), Arc::clone(&frames), tell.clone());
        }
        drop(tell);
        let (mut kept_near, mut kept_far, mut why) = (0, 0, Vec::new());
        while kept_near < near_needed || kept_far < far_needed {
            match told.recv().await {
                Some((peer, Ok(()))) if peer.region == home => kept_near += 1,
                Some((_, Ok(()))) => kept_far += 1,
                Some((peer, Err(reason))) => why.push(format!("node {}: {reason}", peer.node)),
                None => break,
            }
        }
        let why = if why.is_empty() { "there is none".into() } else { why.join("; ") };
        let region = if kept_near >= near_needed {
            Ok(())
        } else {
            Err(format!("{kept_near} of {near_needed} other nodes of {home} keep it: {why}"))
        };
        let global = match &region {
            Ok(()) if kept_far < far_needed => Err(format!("no other region keeps it: {why}")),
            region => region.clone(),
        };
        Reached { region, global }
    }

    /// Asks a node to keep copies, in a task that goes on when enough others do.
    fn ask(&mut self, peer: Peer, frames: Arc<Vec<Vec<u8>>>, tell: mpsc::UnboundedSender<Placed>) {
        let room = self.under_way.entry(peer.node);
        let room = Arc::clone(room.or_insert_with(|| Arc::new(Semaphore::new(KEEPS_UNDER_WAY))));
        let Ok(permit) = room.try_acquire_owned() else {
            let _gone = tell.send((peer, Err("it does not answer".into())));
            return;
        };
        let fabric = Arc::clone(&self.fabric);
        self.asking.spawn(async move {
            let mut kept = Ok(());
            for frame in frames.iter() {
                kept = ask_to_keep(&fabric, &peer, frame.clone()).await;
                if kept.is_err() {
                    break;
                }
            }
            drop(permit);
            // Enough others may have kept it.
            let _gone = tell.send((peer, kept));
        });
    }
}

async fn ask_to_keep(fabric: &Fabric, peer: &Peer, body: Vec<u8>) -> Result<(), String> {
    let told = fabric.ask(&peer.address, peer.node, Lane::Data, body, KEEP_TIME).await;
    match decode_told(&told.map_err(|e| e.to_string())?) {
        Ok(Told::Kept) => Ok(()),
        Ok(other) => Err(format!("it says {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Copies as messages that fit into frames. Threats go first: a ledger that is there says that what
/// it speaks of is, too.
fn frames(copies: Copies) -> Result<Vec<Vec<u8>>, super::message::Error> {
    let threats = copies.threats.chunks(KEPT_THREATS);
    let threats = threats.map(|some| Copies { threats: some.to_vec(), ..Copies::default() });
    let ledger = copies.ledger.chunks(KEPT_ENTRIES);
    let ledger = ledger.map(|some| Copies { ledger: some.to_vec(), ..Copies::default() });
    threats.chain(ledger).map(|copies| encode(&Ask::Keep(copies), &[])).collect()
}

/// What became of copies at a node.
type Placed = (Peer, Result<(), String>);

/// A node of each region: the one of the lowest id that is not this one's, for all senders the
/// same, so that what is known of a source is not spread thin.
fn one_of_each(peers: Vec<Peer>) -> Vec<Peer> {
    let mut first: BTreeMap<String, Peer> = BTreeMap::new();
    for peer in peers {
        first.entry(peer.region.clone()).or_insert(peer);
    }
    first.into_values().collect()
}

/// Stores another node's entries of the ledger, on disk when it returns.
///
/// # Errors
/// When the store fails.
pub fn keep(store: &Store, ledger: Vec<LedgerEntry>) -> Result<(), store::Error> {
    let ledger = clipped(store, ledger)?;
    if !ledger.is_empty() {
        store.commit(&Commit { ledger, durable: true, ..Commit::default() })?;
    }
    Ok(())
}
