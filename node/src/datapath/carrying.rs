//! What an owner remembers of entities, on its way to this node's disk and to the nodes that would
//! go on with it: one in each of the owner's region, the home and the failover region of the
//! workload.
//!
//! A holder says with each answer where the workload stands there, and is sent what it lacks. So
//! a message that is lost costs freshness alone, and a node that is new, or was away, gets all.

use super::checkpoints::{Checkpoints, Mark};
use super::fetching::ask;
use super::keeper::Keeper;
use super::limits::{HOLDERS, KEEP_TIME, PART_STATE_BYTES};
use super::message::{Ask, Checkpoint, Told};
use super::view::{ClusterView, Peer};
use actors::ports::Clock;
use cluster::fabric::Fabric;
use detection::features::state::{GROUPS, Piece};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::EntityState;
use threat::EntityId;
use threat::entropy::mix64;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// What changed since the last time.
#[derive(Debug)]
pub struct Taken {
    /// What each shard says.
    pub shards: Vec<oneshot::Receiver<Vec<Piece>>>,
    /// What changed around them.
    pub around: Vec<Piece>,
    /// The workloads that were owned, with the epoch.
    pub owned: BTreeMap<u32, u64>,
    /// The last job that is in it.
    pub job: u64,
    /// When it was taken.
    pub at: Duration,
}

/// Keeps and sends checkpoints.
pub struct Carrying {
    /// The way to other nodes.
    pub fabric: Arc<Fabric>,
    /// The cluster.
    pub view: Arc<dyn ClusterView>,
    /// Knows what has a verdict.
    pub keeper: Arc<Keeper>,
    /// This node's disk.
    pub checkpoints: Arc<Checkpoints>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// The newest checkpoint of a workload.
#[derive(Clone, Debug)]
struct Ours {
    workload: u32,
    mark: Mark,
    /// What changed since the one before.
    states: Arc<Vec<EntityState>>,
}

/// Where workloads stand at other nodes, by workload and node.
type Standing = BTreeMap<(u32, u64), Mark>;

impl Carrying {
    /// Keeps and sends what is taken until nothing more comes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run(
        self,
        mut taken: tokio::sync::mpsc::Receiver<Taken>,
    ) -> Result<(), store::Error> {
        let mut standing = Standing::new();
        let mut confirmed: BTreeMap<u32, Duration> = BTreeMap::new();
        while let Some(taken) = taken.recv().await {
            let (job, at, owned) = (taken.job, taken.at, taken.owned.clone());
            let changed = self.by_workload(taken).await;
            // Before that, a node that ends would be sent these events again and count them twice.
            self.keeper.recorded(job).await;
            let kept = self.keep(owned, changed).await?;
            confirmed.retain(|workload, _| kept.iter().any(|ours| ours.workload == *workload));
            for (workload, node, mark) in self.send(&kept, &standing).await {
                standing.insert((workload, node), mark);
                if kept.iter().any(|ours| (ours.workload, ours.mark) == (workload, mark)) {
                    confirmed.insert(workload, at);
                }
            }
            standing.retain(|(workload, _), _| kept.iter().any(|o| o.workload == *workload));
            let oldest = confirmed.values().min().filter(|_| confirmed.len() == kept.len());
            self.view.sent(oldest.map(|at| self.clock.now().saturating_sub(*at)));
        }
        Ok(())
    }

    /// What changed, by the workload of its entities.
    async fn by_workload(&self, taken: Taken) -> BTreeMap<u32, Vec<EntityState>> {
        let shards = self.view.shards();
        let of_shard: Vec<Option<u32>> =
            (0..shards).map(|shard| self.view.owner(shard).map(|o| o.workload)).collect();
        let of_group: Vec<BTreeSet<u32>> = (0..GROUPS as u64)
            .map(|group| {
                let first = group << (u64::BITS - GROUPS.ilog2());
                let last = first | (u64::MAX >> GROUPS.ilog2());
                let (first, last) = (EntityId(first).shard(shards), EntityId(last).shard(shards));
                of_shard[first..=last].iter().flatten().copied().collect()
            })
            .collect();
        let mut all: BTreeMap<u32, Vec<EntityState>> = BTreeMap::new();
        let mut add = |workload: u32, piece: Piece| {
            let Some(epoch) = taken.owned.get(&workload).copied() else { return };
            let Piece { kind, key, owner, bytes } = piece;
            let state = EntityState { workload, kind, key, epoch, sequence: 0, owner, bytes };
            all.entry(workload).or_default().push(state);
        };
        for shard in taken.shards {
            // A shard that ended ends the node.
            for piece in shard.await.unwrap_or_default() {
                if let Some(workload) = of_shard[EntityId(piece.owner).shard(shards)] {
                    add(workload, piece);
                }
            }
        }
        for piece in taken.around {
            let groups = (0..GROUPS).filter(|group| piece.owner & 1 << group != 0);
            let workloads: BTreeSet<u32> = groups.flat_map(|g| &of_group[g]).copied().collect();
            workloads.into_iter().for_each(|workload| add(workload, piece.clone()));
        }
        all
    }

    /// Keeps it here. Gives the newest checkpoint of each workload that is still owned.
    async fn keep(
        &self,
        owned: BTreeMap<u32, u64>,
        mut changed: BTreeMap<u32, Vec<EntityState>>,
    ) -> Result<Vec<Ours>, store::Error> {
        let keeping = self.checkpoints.aside(move |checkpoints| {
            let mut kept = Vec::new();
            for (workload, epoch) in owned {
                let mut states = changed.remove(&workload).unwrap_or_default();
                if let Some(mark) = checkpoints.keep(workload, epoch, &mut states)? {
                    kept.push(Ours { workload, mark, states: Arc::new(states) });
                }
            }
            Ok::<_, store::Error>(kept)
        });
        keeping.await.unwrap_or_else(|error| {
            tracing::error!("entities' state is not kept: {error}");
            Ok(Vec::new())
        })
    }

    /// Who would go on with a workload: by a rule that spreads workloads over a region's nodes and
    /// stays with the same one.
    fn holders(&self, workload: u32) -> Vec<Peer> {
        let mut regions = BTreeSet::from([self.view.region()]);
        if let Some((home, failover)) = self.view.regions_of(workload) {
            regions.extend([home, failover]);
        }
        let mut holders = Vec::new();
        let mut peers = self.view.peers();
        peers.sort_by_key(|p| mix64(p.node ^ mix64(u64::from(workload))));
        for region in regions {
            holders.extend(peers.iter().filter(|p| p.region == region).take(HOLDERS).cloned());
        }
        holders
    }

    /// Sends each holder what it lacks, all holders at a time. Gives where workloads stand there.
    async fn send(&self, kept: &[Ours], standing: &Standing) -> Vec<(u32, u64, Mark)> {
        let mut by_peer: BTreeMap<u64, (Peer, Vec<Ours>)> = BTreeMap::new();
        for ours in kept {
            for peer in self.holders(ours.workload) {
                let entry = by_peer.entry(peer.node).or_insert_with(|| (peer, Vec::new()));
                entry.1.push(ours.clone());
            }
        }
        let mut sending = JoinSet::new();
        for (node, (peer, all)) in by_peer {
            let known = all.iter().map(|o| standing.get(&(o.workload, node)).copied()).collect();
            let to = Holder {
                fabric: Arc::clone(&self.fabric),
                checkpoints: Arc::clone(&self.checkpoints),
                peer,
            };
            sending.spawn(to.send(all, known));
        }
        let mut stands = Vec::new();
        while let Some(told) = sending.join_next().await {
            match told {
                Ok(told) => stands.extend(told),
                Err(error) => tracing::error!("a checkpoint is not sent: {error}"),
            }
        }
        stands
    }
}

/// A node that is sent checkpoints, one message at a time.
struct Holder {
    fabric: Arc<Fabric>,
    checkpoints: Arc<Checkpoints>,
    peer: Peer,
}

impl Holder {
    async fn send(self, all: Vec<Ours>, known: Vec<Option<Mark>>) -> Vec<(u32, u64, Mark)> {
        let mut stands = Vec::new();
        for (ours, known) in all.into_iter().zip(known) {
            match self.bring(&ours, known).await {
                Ok(mark) => {
                    self.checkpoints.raise(ours.workload, mark);
                    stands.push((ours.workload, self.peer.node, mark));
                }
                // It is asked again the next time, with what it lacks by then.
                Err(reason) => {
                    let (node, workload) = (self.peer.node, ours.workload);
                    tracing::debug!("node {node} does not take workload {workload}: {reason}");
                    break;
                }
            }
        }
        stands
    }

    /// Brings a workload to where it stands here, in two tries: the first may find out that more is
    /// missing there than was thought.
    async fn bring(&self, ours: &Ours, known: Option<Mark>) -> Result<Mark, String> {
        // Of one that is not known it is asked, by a message in which nothing changed.
        let mut mark = self.parts(ours, known.unwrap_or(ours.mark)).await?;
        if mark < ours.mark {
            mark = self.parts(ours, mark).await?;
        }
        Ok(mark)
    }

    /// Sends what changed since a mark.
    async fn parts(&self, ours: &Ours, since: Mark) -> Result<Mark, String> {
        let (epoch, sequence) = ours.mark;
        let after = if since.0 == epoch { since.1.min(sequence) } else { 0 };
        let states = if since == ours.mark {
            Arc::default()
        } else if after > 0 && after + 1 == sequence && !ours.states.is_empty() {
            Arc::clone(&ours.states)
        } else {
            let workload = ours.workload;
            let reading =
                move |checkpoints: &Checkpoints| checkpoints.after(workload, epoch, after);
            let read = self.checkpoints.aside(reading).await.map_err(|e| e.to_string())?;
            Arc::new(read.map_err(|e| e.to_string())?)
        };
        let mut rest = states.as_slice();
        loop {
            let (some, others) = rest.split_at(fitting(rest));
            rest = others;
            let part = Checkpoint {
                workload: ours.workload,
                epoch,
                after,
                sequence,
                last: rest.is_empty(),
                states: some.to_vec(),
            };
            let message = Ask::Checkpoint(Box::new(part));
            let mark = match ask(&self.fabric, &self.peer, &message, KEEP_TIME).await? {
                Told::Stands(epoch, sequence) => (epoch, sequence),
                other => return Err(format!("it says {other:?}")),
            };
            if rest.is_empty() || mark.0 != epoch {
                return Ok(mark);
            }
        }
    }
}

/// How many of these go into one part; at least one.
pub fn fitting(states: &[EntityState]) -> usize {
    let mut bytes = 0;
    let fits = |state: &&EntityState| {
        bytes += size_of::<EntityState>() + state.bytes.len();
        bytes <= PART_STATE_BYTES
    };
    states.iter().take_while(fits).count().max(1).min(states.len())
}
