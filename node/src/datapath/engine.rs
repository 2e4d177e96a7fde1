//! The detection of a node of a cluster: takes jobs one after the other, deals their events to its
//! shards, and lets the keeper say when their verdicts are on disk.

mod memory;

use super::carrying::Taken;
use super::checkpoints::Checkpoints;
use super::keeper::{Dealt, JOB, Job, Judged, Keeper, ledger_name};
use super::limits::{CLAIM_EVERY, JOBS, SOURCES};
use super::message::{Batch, Copies, Durability};
use super::view::ClusterView;
use crate::assembly::{self, Node, Parts};
use actors::detection::threats::{Barrier, ThreatsMessage};
use actors::detection::{Deal, FeaturesMessage};
use actors::mailbox::{CreditedRef, Inbox};
use actors::ports::Clock;
use cluster::fabric::Fabric;
use cluster::replication::Replication;
use detection::features::Surroundings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use threat::{SourceId, SourceNames, Text, ThreatClass, ThreatId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};

/// Events of one source that this node owns, in its order.
#[derive(Debug)]
pub struct Work {
    /// The source.
    pub source: Text,
    /// What its sender wants.
    pub durability: Durability,
    /// The events.
    pub batches: Vec<Batch>,
    /// Tells the sender.
    pub tell: oneshot::Sender<Answer>,
}

/// What a sender hears.
#[derive(Debug)]
pub enum Answer {
    /// It is being judged; this says when it is done, or why it is not as durable as was asked.
    Taken(oneshot::Receiver<Result<(), String>>),
    /// This node may not act for all of the entities now; nothing was done.
    NotOwner,
    /// It cannot be taken.
    Refused(String),
}

/// Takes work.
#[derive(Clone, Debug)]
pub struct Engine {
    work: mpsc::Sender<Work>,
}

/// What an engine is made of.
pub struct Making {
    /// The actors' parts; `sources` is what the engine adds names to.
    pub parts: Parts,
    /// Keeps what is judged.
    pub keeper: Arc<Keeper>,
    /// Where that keeps it.
    pub store: Arc<Store>,
    /// The threats that all nodes share.
    pub threats: Arc<Replication>,
    /// The cluster.
    pub view: Arc<dyn ClusterView>,
    /// The way to other nodes.
    pub fabric: Arc<Fabric>,
    /// What is remembered of entities, on disk.
    pub checkpoints: Arc<Checkpoints>,
    /// How often what changed of them is taken.
    pub checkpoint_every: Duration,
    /// Where that goes.
    pub taken: mpsc::Sender<Taken>,
}

/// Why an engine ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its actors did not start, or gave up.
    #[error("detection ended: {0}")]
    Ended(String),
    /// Its disk failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Engine {
    /// Starts the actors. The future that is given back deals; it ends with an error, or when all
    /// handles to the engine are gone.
    ///
    /// # Errors
    /// [`Error::Ended`] when an actor does not start.
    pub async fn start(
        making: Making,
    ) -> Result<(Self, impl Future<Output = Result<(), Error>> + Send), Error> {
        let (work, jobs) = mpsc::channel(JOBS);
        let ended = |e: ractor::SpawnErr| Error::Ended(e.to_string());
        let node = assembly::start(making.parts.clone()).await.map_err(ended)?;
        let dealing = Dealing {
            clock: Arc::clone(&making.parts.clock),
            names: making.parts.sources.clone(),
            shards: node.shards.clone(),
            threats: node.threats.clone(),
            making,
            sources: BTreeMap::new(),
            ends: BTreeMap::new(),
            surroundings: Surroundings::default(),
            sequence: 0,
            jobs: 0,
            claimed: BTreeMap::new(),
            owned: BTreeMap::new(),
        };
        Ok((Self { work }, dealing.run(node, jobs)))
    }

    /// Offers work; waits while there is much.
    pub async fn offer(&self, source: Text, durability: Durability, batches: Vec<Batch>) -> Answer {
        let gone = || Answer::Refused("this node is about to end".into());
        let (tell, told) = oneshot::channel();
        if self.work.send(Work { source, durability, batches, tell }).await.is_err() {
            return gone();
        }
        told.await.unwrap_or_else(|_| gone())
    }
}

/// What is to be done next.
enum Due {
    Work(Work),
    /// Look which workloads are owned.
    Claim,
    /// Take what changed of entities.
    Checkpoint,
}

/// What is due without being asked for.
struct Timers {
    claim: Interval,
    checkpoint: Interval,
}

impl Timers {
    fn new(checkpoint_every: Duration) -> Self {
        let every = |pause| {
            let mut timer = tokio::time::interval(pause);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer
        };
        Self { claim: every(CLAIM_EVERY), checkpoint: every(checkpoint_every) }
    }

    /// The first of each is due at once.
    async fn next(&mut self) -> Due {
        tokio::select! {
            biased;
            _ = self.checkpoint.tick() => Due::Checkpoint,
            _ = self.claim.tick() => Due::Claim,
        }
    }
}

struct Dealing {
    making: Making,
    shards: Vec<CreditedRef<FeaturesMessage>>,
    threats: Inbox<ThreatsMessage>,
    clock: Arc<dyn Clock>,
    names: SourceNames,
    sources: BTreeMap<Text, SourceId>,
    /// Up to where events were dealt, by workload and source; what is stored may reach farther.
    ends: BTreeMap<(u32, Text), u64>,
    surroundings: Surroundings,
    sequence: u64,
    jobs: u64,
    /// Workloads that are owned, with the epoch: their state is here.
    claimed: BTreeMap<u32, u64>,
    /// The last epoch under which each workload was owned by this process.
    owned: BTreeMap<u32, u64>,
}

impl Dealing {
    async fn run(mut self, mut node: Node, mut jobs: mpsc::Receiver<Work>) -> Result<(), Error> {
        // Before the first event, so that all changes are noted.
        self.take().await?;
        let mut timers = Timers::new(self.making.checkpoint_every);
        loop {
            let due = tokio::select! {
                work = jobs.recv() => match work {
                    Some(work) => Due::Work(work),
                    None => break,
                },
                due = timers.next() => due,
                _ended = &mut node.ended => return Err(gave_up(&node)),
            };
            tokio::select! {
                done = self.due(due) => done?,
                _ended = &mut node.ended => return Err(gave_up(&node)),
            }
        }
        node.stop().await;
        Ok(())
    }

    async fn due(&mut self, due: Due) -> Result<(), Error> {
        match due {
            Due::Work(work) => self.work(work).await,
            Due::Claim => self.claim().await,
            Due::Checkpoint => self.take().await,
        }
    }

    async fn work(&mut self, work: Work) -> Result<(), Error> {
        let Work { source, durability, mut batches, tell } = work;
        let id = match self.sources.get(&source) {
            Some(id) => *id,
            None if self.sources.len() >= SOURCES => {
                let reason = format!("{SOURCES} sources are known here; no room for another");
                let _gone = tell.send(Answer::Refused(reason));
                return Ok(());
            }
            None => {
                let id = self.names.add(source.clone());
                self.sources.insert(source.clone(), id);
                id
            }
        };
        let workloads = match self.workloads(&batches) {
            Some(workloads) => workloads,
            None => {
                let _gone = tell.send(Answer::NotOwner);
                return Ok(());
            }
        };
        // Before the first event of a workload is judged, what was known of its entities is here.
        self.claim().await?;
        let (copies, batch_workloads) =
            self.leave_out(&source, durability, &mut batches, workloads)?;
        let (done, doing) = oneshot::channel();
        // Whoever asked may be gone; the work is done all the same.
        let _gone = tell.send(Answer::Taken(doing));
        if batches.is_empty() {
            self.making.keeper.follow(Judged { copies, durability, tell: done }).await;
            return Ok(());
        }
        let dealt = batches.iter().zip(batch_workloads);
        let dealt = dealt.map(|(b, workloads)| Dealt { start: b.start, end: b.end, workloads });
        let job = Job { source, durability, batches: dealt.collect(), copies, tell: done };
        self.jobs += 1;
        self.making.keeper.expect(self.jobs, job);
        let last = batches.len() - 1;
        for (place, batch) in batches.into_iter().enumerate() {
            if place == last {
                // Before the batch: what comes after it belongs to another record.
                let number = self.jobs.to_le_bytes().to_vec();
                let barrier: Barrier = Arc::new(BTreeMap::from([(JOB.to_owned(), number)]));
                let message = ThreatsMessage::Barrier(self.sequence + 1, barrier);
                // Without a threats actor the node is ending, which is seen elsewhere.
                let _ending = self.threats.send(message).is_err();
            }
            self.deal(id, batch).await;
        }
        Ok(())
    }

    /// The workload of each event, if this node may act for all of them now.
    fn workloads(&self, batches: &[Batch]) -> Option<Vec<Vec<u32>>> {
        let view = &self.making.view;
        let shards = view.shards();
        let (mut acts, mut all) = (BTreeSet::new(), Vec::with_capacity(batches.len()));
        let mut known: BTreeMap<usize, u32> = BTreeMap::new();
        for batch in batches {
            let mut workloads = Vec::with_capacity(batch.events.len());
            for event in &batch.events {
                let shard = event.entity().id().shard(shards);
                let workload = match known.get(&shard) {
                    Some(workload) => *workload,
                    None => {
                        let owner = view.owner(shard).filter(|o| o.node == view.me());
                        let workload = owner?.workload;
                        known.insert(shard, workload);
                        workload
                    }
                };
                if !acts.contains(&workload) {
                    if !view.acts(workload) {
                        return None;
                    }
                    acts.insert(workload);
                }
                workloads.push(workload);
            }
            all.push(workloads);
        }
        Some(all)
    }

    /// Leaves out what was judged before. What is known of it is given back, since a sender that
    /// asks again may have asked because copies of it could not be placed.
    fn leave_out(
        &mut self,
        source: &Text,
        durability: Durability,
        batches: &mut Vec<Batch>,
        workloads: Vec<Vec<u32>>,
    ) -> Result<(Copies, Vec<Vec<u32>>), Error> {
        let distinct: BTreeSet<u32> = workloads.iter().flatten().copied().collect();
        let mut before = BTreeMap::new();
        for workload in distinct {
            let stored = self.making.keeper.end(workload, source)?;
            let dealt = self.ends.get(&(workload, source.clone())).copied().unwrap_or_default();
            before.insert(workload, stored.max(dealt));
        }
        let from = batches.first().map_or(0, |b| b.start);
        let (mut again, mut known) = (BTreeSet::new(), BTreeSet::new());
        let mut left = Vec::with_capacity(batches.len());
        let mut left_workloads = Vec::with_capacity(batches.len());
        for (mut batch, workloads) in std::mem::take(batches).into_iter().zip(workloads) {
            let judged = |(event, workload): &(threat::Event, u32)| {
                before.get(workload).is_some_and(|end| event.position.offset < *end)
            };
            let events = std::mem::take(&mut batch.events).into_iter().zip(workloads);
            let (old, new): (Vec<_>, Vec<_>) = events.partition(judged);
            for (event, workload) in old {
                again.insert(workload);
                if durability > Durability::Local {
                    known.insert((event.entity(), event.time.hour()));
                }
            }
            let (events, workloads): (Vec<_>, Vec<u32>) = new.into_iter().unzip();
            for workload in &workloads {
                self.ends.insert((*workload, source.clone()), batch.end);
            }
            if !events.is_empty() {
                batch.events = events;
                left.push(batch);
                left_workloads.push(workloads);
            }
        }
        *batches = left;
        let mut copies = Copies::default();
        if durability > Durability::Local {
            for workload in again {
                let ledger = self.making.store.view()?.ledger(&ledger_name(workload, source))?;
                copies.ledger.extend(ledger.entries.into_iter().filter(|e| e.end > from));
            }
            for (entity, hour) in known {
                let ids = ThreatClass::ALL.map(|class| ThreatId::of(&entity, class, hour));
                copies.threats.extend(ids.iter().filter_map(|id| self.making.threats.get(*id)));
            }
        }
        Ok((copies, left_workloads))
    }

    async fn deal(&mut self, source: SourceId, batch: Batch) {
        let mut batch = batch.into_batch();
        (batch.source, batch.sequence) = (source, self.sequence);
        let around = Arc::new(self.surroundings.observe(&batch));
        let count = self.shards.len();
        let mut rows: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (row, event) in (0u32..).zip(&batch.events) {
            rows.entry(inner_shard(event.entity().id(), count)).or_default().push(row);
        }
        let bundle = self.making.parts.models.bundle_for(self.sequence, false).await;
        let (batch, parts, read_at) = (Arc::new(batch), rows.len(), self.clock.now());
        for (shard, rows) in rows {
            let (batch, around, bundle) = (Arc::clone(&batch), Arc::clone(&around), bundle.clone());
            let deal = Deal { batch, around, rows, parts, bundle, read_at };
            self.shards[shard].send(FeaturesMessage::Deal(deal)).await;
        }
        self.sequence += 1;
    }
}

/// The shard within this node: by other bits than those that choose the node, which would leave
/// some of its shards without entities.
fn inner_shard(id: threat::EntityId, count: usize) -> usize {
    threat::EntityId(threat::entropy::mix64(id.0)).shard(count)
}

fn gave_up(node: &Node) -> Error {
    let failures = node.directory.list().into_iter().flat_map(|l| {
        let path = l.path;
        l.failures.into_iter().map(move |f| (f.at, format!("{path}: {:?}", f.reason)))
    });
    let first = failures.min_by_key(|(at, _)| *at).map(|(_, what)| what);
    Error::Ended(first.unwrap_or_else(|| "the supervision tree ended".into()))
}
