//! Bytes of a source, from whoever sends them to verdicts: decoded here, judged where the owners of
//! the events' entities are, acknowledged when all of them have verdicts.
//!
//! Nothing of a source is kept here between two requests: where it stands travels with the answer,
//! so that its sender can go on at any other node.

use super::engine::{Answer, Engine};
use super::limits::{
    AGAIN, APPEND_BYTES, APPEND_TIME, PARTS_IN_FLIGHT, RECORD_BYTES, SHOWN, SOURCE_BYTES,
};
use super::message::{self, Appended, Batch, Durability, Told, decode_told, encode_part};
use super::split::{Portion, Route, messages, split};
use super::view::{ClusterView, Owner};
use cluster::fabric::{Fabric, Lane};
use intake::{Checkpoint, Decoder, Options};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use threat::{EventBatch, SourceId, Text};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Takes bytes of sources.
pub struct Ingest {
    /// This node's detection.
    pub engine: Engine,
    /// The way to other nodes.
    pub fabric: Arc<Fabric>,
    /// The cluster.
    pub view: Arc<dyn ClusterView>,
    /// Room for messages that an owner has not answered yet.
    pub under_way: Mutex<BTreeMap<u64, Arc<Semaphore>>>,
}

/// What is asked with bytes.
pub struct Append {
    /// The source.
    pub source: Text,
    /// What its acknowledgement promises.
    pub durability: Durability,
    /// How to read it.
    pub options: Options,
    /// Where it stands.
    pub at: Option<Box<Checkpoint>>,
    /// No more bytes come.
    pub last: bool,
}

impl Ingest {
    /// Decodes bytes, has their events judged, and says how far everything has a verdict.
    pub async fn append(self: &Arc<Self>, append: Append, bytes: &[u8]) -> Told {
        let Append { source, durability, mut options, at, last } = append;
        if source.is_empty() || source.len() > SOURCE_BYTES {
            return Told::Refused(format!("a source's name has 1 to {SOURCE_BYTES} bytes"));
        }
        if bytes.len() > APPEND_BYTES {
            return Told::Refused(format!("at most {APPEND_BYTES} bytes are taken at once"));
        }
        options.max_record_bytes = options.max_record_bytes.min(RECORD_BYTES);
        options.batch_events = options.batch_events.min(threat::limits::BATCH_EVENTS);
        let mut decoder = match &at {
            Some(at) => Decoder::resume(options, at),
            None => Decoder::new(SourceId::default(), options),
        };
        decoder.push(bytes);
        if last {
            decoder.finish();
        }
        let mut batches: Vec<(EventBatch, u64)> = Vec::new();
        let mut start = at.as_ref().map_or(0, |at| at.offset);
        while let Some(batch) = decoder.next_batch(last) {
            let end = batch.end_offset;
            batches.push((batch, start));
            start = end;
        }
        let judging = Judging::new(self, &source, durability);
        let waits = match timeout(APPEND_TIME, judging.all(&batches)).await {
            Ok(()) => None,
            Err(_) => Some(judging.reasons()),
        };
        Told::Appended(Box::new(appended(&decoder, at.map(|at| *at), judging.judged(), waits)))
    }

    /// The room for messages to a node.
    fn room(&self, node: u64) -> Arc<Semaphore> {
        let mut rooms = lock(&self.under_way);
        let room = rooms.entry(node).or_insert_with(|| Arc::new(Semaphore::new(PARTS_IN_FLIGHT)));
        Arc::clone(room)
    }

    /// Has this node judge events.
    pub async fn judge_here(
        &self,
        source: Text,
        durability: Durability,
        batches: Vec<Batch>,
    ) -> Told {
        match self.engine.offer(source, durability, batches).await {
            Answer::Taken(done) => match done.await {
                Ok(Ok(())) => Told::Judged,
                Ok(Err(reason)) => Told::Waits(reason),
                Err(_) => Told::Waits("this node is about to end".into()),
            },
            Answer::NotOwner => Told::NotOwner,
            Answer::Refused(reason) => Told::Refused(reason),
        }
    }

    /// Has an owner judge a message's events.
    async fn judge(
        &self,
        owner: &Owner,
        source: Text,
        durability: Durability,
        message: Message,
    ) -> Result<(), String> {
        let told = match message {
            Message::Here(batches) => self.judge_here(source, durability, batches).await,
            Message::There(body) => {
                let room = self.room(owner.node);
                // It is never closed.
                let _room = room.acquire().await.map_err(|e| e.to_string())?;
                let (address, node) = (&owner.address, owner.node);
                let told = self.fabric.ask(address, node, Lane::Data, body, APPEND_TIME).await;
                let told = told.map_err(|e| e.to_string())?;
                decode_told(&told).map_err(|e| e.to_string())?
            }
        };
        match told {
            Told::Judged => Ok(()),
            Told::Waits(reason) | Told::Refused(reason) => Err(reason),
            Told::NotOwner => Err("it may not act for these entities now".into()),
            other => Err(format!("it says {other:?}")),
        }
    }
}

fn appended(
    decoder: &Decoder,
    before: Option<Checkpoint>,
    judged_by: BTreeMap<u64, u64>,
    waits: Option<String>,
) -> Appended {
    if waits.is_some() {
        let counts = before.as_ref().map(|at| at.counts).unwrap_or_default();
        let (quarantined, judged_by) = (Vec::new(), Vec::new());
        return Appended { at: before, counts, quarantined, judged_by, waits };
    }
    let at = decoder.checkpoint().clone();
    let kept = decoder.quarantine().kept.iter().take(SHOWN);
    let told = kept.map(|q| (q.position.line, q.reason.to_string(), q.excerpt.to_string()));
    Appended {
        counts: at.counts,
        at: Some(at),
        quarantined: told.collect(),
        judged_by: judged_by.into_iter().collect(),
        waits,
    }
}

/// Events for an owner.
enum Message {
    /// It is this node.
    Here(Vec<Batch>),
    /// The bytes of the request to another.
    There(Vec<u8>),
}

/// The events of one request on their way to their owners.
struct Judging<'a> {
    ingest: &'a Arc<Ingest>,
    source: &'a Text,
    durability: Durability,
    judged: Mutex<BTreeMap<u64, u64>>,
    reasons: Mutex<BTreeMap<String, String>>,
}

impl<'a> Judging<'a> {
    fn new(ingest: &'a Arc<Ingest>, source: &'a Text, durability: Durability) -> Self {
        let (judged, reasons) = (Mutex::default(), Mutex::default());
        Self { ingest, source, durability, judged, reasons }
    }

    /// Goes on until all events have verdicts that are as durable as was asked.
    async fn all(&self, batches: &[(EventBatch, u64)]) {
        let shards = self.ingest.view.shards();
        let mut pending: Vec<bool> = vec![true; shards];
        loop {
            let owners: Vec<Option<Owner>> =
                (0..shards).map(|shard| self.ingest.view.owner(shard)).collect();
            let route = |shard: usize| match &owners[shard] {
                _ if !pending[shard] => Route::Done,
                Some(owner) => Route::To(owner.node),
                None => Route::Nobody,
            };
            let routes: Vec<Route> = (0..shards).map(route).collect();
            let failed = match self.portions(batches, &routes) {
                Ok(portions) => self.portions_judged(portions, &owners).await,
                Err(shard) => {
                    let reason = "nobody owns some of the entities at this moment".to_owned();
                    self.because(format!("shard {shard}"), reason);
                    None
                }
            };
            if let Some(failed) = failed {
                if failed.is_empty() {
                    return;
                }
                for (shard, owner) in owners.iter().enumerate() {
                    pending[shard] &= owner.as_ref().is_some_and(|o| failed.contains(&o.node));
                }
            }
            sleep(AGAIN).await;
        }
    }

    fn portions<'b>(
        &self,
        batches: &'b [(EventBatch, u64)],
        routes: &[Route],
    ) -> Result<BTreeMap<u64, Vec<Portion<'b>>>, usize> {
        let mut portions: BTreeMap<u64, Vec<Portion<'b>>> = BTreeMap::new();
        for (batch, start) in batches {
            for (node, portion) in split(batch, *start, routes)? {
                portions.entry(node).or_default().push(portion);
            }
        }
        Ok(portions)
    }

    /// The nodes whose portion is not judged.
    async fn portions_judged(
        &self,
        portions: BTreeMap<u64, Vec<Portion<'_>>>,
        owners: &[Option<Owner>],
    ) -> Option<BTreeSet<u64>> {
        let (mut asking, mut failed) = (JoinSet::new(), BTreeSet::new());
        for (node, portions) in portions {
            let Some(owner) = owners.iter().flatten().find(|o| o.node == node).cloned() else {
                continue;
            };
            let (ingest, source) = (Arc::clone(self.ingest), self.source.clone());
            let durability = self.durability;
            let messages = match self.messages(node, portions) {
                Ok(messages) => messages,
                Err(error) => {
                    self.because(format!("node {node}"), error.to_string());
                    failed.insert(node);
                    continue;
                }
            };
            asking.spawn(async move {
                let mut events = 0;
                // One after the other: a source's events are judged in its order.
                for (count, message) in messages {
                    let judged = ingest.judge(&owner, source.clone(), durability, message);
                    if let Err(reason) = judged.await {
                        return (node, Err(reason));
                    }
                    events += count as u64;
                }
                (node, Ok(events))
            });
        }
        while let Some(answer) = asking.join_next().await {
            match answer {
                Ok((node, Ok(events))) => {
                    *lock(&self.judged).entry(node).or_default() += events;
                }
                Ok((node, Err(reason))) => {
                    self.because(format!("node {node}"), reason);
                    failed.insert(node);
                }
                // Without its answer nothing is judged: all of it is asked again.
                Err(_) => return None,
            }
        }
        Some(failed)
    }

    /// Messages to an owner, and how many events each has.
    fn messages(
        &self,
        node: u64,
        portions: Vec<Portion<'_>>,
    ) -> Result<Vec<(usize, Message)>, message::Error> {
        let here = node == self.ingest.view.me();
        let message = |portions: Vec<Portion<'_>>| {
            let count = portions.iter().map(Portion::len).sum();
            let message = if here {
                Message::Here(portions.iter().map(Portion::to_batch).collect())
            } else {
                Message::There(encode_part(self.source, self.durability, &portions)?)
            };
            Ok((count, message))
        };
        messages(portions).into_iter().map(message).collect()
    }

    fn because(&self, who: String, reason: String) {
        lock(&self.reasons).insert(who, reason);
    }

    fn reasons(&self) -> String {
        let reasons = lock(&self.reasons);
        if reasons.is_empty() {
            return "the owners of its entities have not answered yet".into();
        }
        let all = reasons.iter().map(|(who, why)| format!("{who}: {why}"));
        all.collect::<Vec<_>>().join("; ")
    }

    fn judged(self) -> BTreeMap<u64, u64> {
        std::mem::take(&mut *lock(&self.judged))
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
