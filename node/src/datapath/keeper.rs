//! Makes what was judged durable: threats, examples, and the ledger that says which ranges of which
//! sources have verdicts.
//!
//! The ledger is kept by source and workload. What lies before its end has a verdict: events that
//! come again, since an answer was lost, are known by their offset and counted once.

use super::message::{Copies, Durability};
use super::sharing::Sharing;
use super::view::ClusterView;
use crate::host::output::Output;
use crate::recorder::keep_bundle;
use crate::recorder::{Hours, NEWEST_CHECKPOINT, OUTPUT_CHECKPOINT, Teller, Telling};
use actors::detection::models::BundleKeeper;
use actors::detection::recorder::{Record, Recorder};
use actors::ports::{BoxFuture, Clock, Error, Threads};
use cluster::replication::Replication;
use detection::bundle::Bundle;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Commit, LedgerEntry, Store};
use threat::{Text, Threat, ThreatId};
use tokio::sync::{mpsc, oneshot, watch};

/// Name of the checkpoint of the last job that a record holds.
pub const JOB: &str = "job";

/// What is known of a job before it is judged.
#[derive(Debug)]
pub struct Job {
    /// The source.
    pub source: Text,
    /// What its sender wants.
    pub durability: Durability,
    /// The batches that are dealt.
    pub batches: Vec<Dealt>,
    /// What was judged before, when some of it came again: its copies may be missing.
    pub copies: Copies,
    /// Tells the sender.
    pub tell: oneshot::Sender<Result<(), String>>,
}

/// A batch that was dealt.
#[derive(Debug)]
pub struct Dealt {
    /// The source's offset before it.
    pub start: u64,
    /// The source's offset after it.
    pub end: u64,
    /// The workload of each of its events.
    pub workloads: Vec<u32>,
}

/// A job whose verdicts are on this disk.
#[derive(Debug)]
pub struct Judged {
    /// What other nodes may have to keep.
    pub copies: Copies,
    /// What its sender wants.
    pub durability: Durability,
    /// Tells the sender.
    pub tell: oneshot::Sender<Result<(), String>>,
}

/// What stands behind the threats actor of a node of a cluster.
pub struct Keeper {
    store: Arc<Store>,
    threats: Arc<Replication>,
    state: Mutex<State>,
    judged: mpsc::Sender<Judged>,
    threads: Threads,
    /// The last job whose verdicts are on disk.
    recorded: watch::Sender<u64>,
    /// Events whose verdicts are.
    events: AtomicU64,
}

struct State {
    output: Option<Output>,
    teller: Teller,
    /// Jobs that are dealt, each with those that came after it and have nothing to be judged.
    jobs: BTreeMap<u64, (Job, Vec<Judged>)>,
    shared: Sharing,
    hours: Hours,
}

/// What the ledger of a source's events of one workload is kept under.
pub fn ledger_name(workload: u32, source: &str) -> String {
    format!("{workload}/{source}")
}

/// Joins the entries of one source and workload that follow each other.
fn grown(sums: &mut BTreeMap<u32, LedgerEntry>, source: &str, dealt: &Dealt, threats: &[u32]) {
    for (row, workload) in (0u32..).zip(&dealt.workloads) {
        let entry = sums.entry(*workload).or_insert_with(|| LedgerEntry {
            source: ledger_name(*workload, source),
            start: dealt.start,
            end: dealt.end,
            events: 0,
            threats: 0,
            verdicts: [0; 32],
        });
        entry.end = dealt.end;
        entry.events += 1;
        // Threats are few, and in order.
        entry.threats += u64::from(threats.contains(&row));
    }
}

impl Keeper {
    /// Keeps in `store` and tells findings to `output`; jobs that are on disk go to `judged`.
    pub fn new(
        store: Arc<Store>,
        threats: Arc<Replication>,
        view: Arc<dyn ClusterView>,
        output: Option<Output>,
        judged: mpsc::Sender<Judged>,
        (threads, clock): (Threads, Arc<dyn Clock>),
    ) -> Self {
        let teller = Teller::new(Telling::AsTheyCome);
        let hours = Hours { node: view.me(), region: view.region(), clock: Some(clock) };
        let shared = Sharing::new(view);
        let state = State { output, teller, jobs: BTreeMap::new(), shared, hours };
        let recorded = watch::Sender::new(0);
        let (state, events) = (Mutex::new(state), AtomicU64::new(0));
        Self { store, threats, state, judged, threads, recorded, events }
    }

    /// Events that were judged here since the start.
    pub fn judged(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Goes on with threats that an earlier process told of.
    pub fn resume(&self, known: &[Threat]) {
        let mut state = self.state();
        state.teller.resume(known);
        state.shared.resume(known);
    }

    /// Returns when the verdicts of all jobs up to this one are on disk.
    pub async fn recorded(&self, number: u64) {
        // It is never closed while this is here.
        let _closed = self.recorded.subscribe().wait_for(|done| *done >= number).await.is_err();
    }

    /// Takes note of a job before its batches are dealt.
    pub fn expect(&self, number: u64, job: Job) {
        self.state().jobs.insert(number, (job, Vec::new()));
    }

    /// Takes a job of which nothing is left to be judged: it is done after all those before it.
    pub async fn follow(&self, judged: Judged) {
        let alone = {
            let mut state = self.state();
            match state.jobs.last_entry() {
                Some(mut last) => {
                    last.get_mut().1.push(judged);
                    None
                }
                None => Some(judged),
            }
        };
        self.hand_on(alone).await;
    }

    async fn hand_on(&self, judged: impl IntoIterator<Item = Judged>) {
        for judged in judged {
            // Whoever takes these is gone when the node ends; then nobody is told.
            let _ending = self.judged.send(judged).await.is_err();
        }
    }

    /// Up to where a source's events of a workload have verdicts on this disk.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end(&self, workload: u32, source: &str) -> Result<u64, store::Error> {
        self.store.view()?.ledger_end(&ledger_name(workload, source))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: Record) -> Result<Vec<Judged>, Error> {
        let mut state = self.state();
        let number = record.checkpoints.get(JOB).and_then(|b| b.as_slice().try_into().ok());
        let number = number.map(u64::from_le_bytes);
        let job = number.and_then(|n| state.jobs.remove(&n));
        let failed = |e: store::Error| Error::Storage(e.to_string());
        let ledger = job.as_ref().map_or_else(Vec::new, |(job, _)| ledger(job, &record));
        let ledger = clipped(&self.store, ledger).map_err(failed)?;
        let lines = state.teller.lines(&record);
        let mut checkpoints = Vec::new();
        if let Some(output) = &mut state.output {
            output.append(&lines).map_err(|e| Error::Storage(e.to_string()))?;
            let name = format!("{OUTPUT_CHECKPOINT}{}", output.name());
            checkpoints.push((name, output.length().to_le_bytes().to_vec()));
        }
        let newest = record.newest.map(|t| t.micros().to_le_bytes().to_vec());
        checkpoints.extend(newest.map(|b| (NEWEST_CHECKPOINT.to_owned(), b)));
        let hours = match &job {
            // Others have counted what is accounted for already.
            Some((job, _)) if !ledger.is_empty() => {
                state.hours.of(&record.hours, |_| job.source.to_string())
            }
            _ => Vec::new(),
        };
        let mut threats = record.threats;
        let closed: Vec<ThreatId> = record.closed.iter().map(|t| t.id).collect();
        threats.extend(record.closed);
        let log = job.as_ref().and_then(|(job, _)| Some((&*job.source, job.batches.last()?.end)));
        let shared = match log {
            Some((source, end)) => state.shared.records(&threats, source, end, &self.threats),
            None => Vec::new(),
        };
        state.shared.forget(&closed);
        // A job that came again, all of it, changes nothing.
        if !(ledger.is_empty() && threats.is_empty()) {
            let commit = Commit {
                checkpoints,
                ledger: ledger.clone(),
                threats,
                examples: record.examples,
                hours,
                durable: true,
                ..Commit::default()
            };
            self.store.commit(&commit).map_err(failed)?;
        }
        self.events.fetch_add(record.accounted.iter().map(|a| a.events).sum(), Relaxed);
        if let Some(number) = number {
            self.recorded.send_replace(number);
        }
        let Some((job, followers)) = job else { return Ok(Vec::new()) };
        let mut copies = job.copies;
        copies.ledger.extend(ledger);
        copies.threats.extend(shared);
        let done = Judged { copies, durability: job.durability, tell: job.tell };
        Ok([done].into_iter().chain(followers).collect())
    }
}

/// What is known of a source, by workload: one sum for each.
///
/// # Errors
/// When the store fails.
pub fn known(view: &store::View, source: &str) -> Result<Vec<LedgerEntry>, store::Error> {
    let names = view.ledger_sources()?;
    let of = |name: &String| name.split_once('/').is_some_and(|(_, rest)| rest == source);
    let mut sums = Vec::new();
    for name in names.into_iter().filter(of) {
        let ledger = view.ledger(&name)?;
        let first = ledger.folded.iter().chain(&ledger.entries).next();
        sums.push(LedgerEntry {
            start: first.map_or(0, |e| e.start),
            end: ledger.end(),
            events: ledger.events(),
            threats: ledger.threats(),
            verdicts: [0; 32],
            source: name,
        });
    }
    Ok(sums)
}

/// The parts of entries that the ledger in a store does not have yet. An entry that reaches into
/// what is accounted for was told by a node that began elsewhere.
pub fn clipped(
    store: &Store,
    mut entries: Vec<LedgerEntry>,
) -> Result<Vec<LedgerEntry>, store::Error> {
    let view = store.view()?;
    for entry in &mut entries {
        entry.start = entry.start.max(view.ledger_end(&entry.source)?);
    }
    entries.retain(|e| e.start < e.end);
    Ok(entries)
}

/// What a job adds to the ledger. Its batches are the record's, in order.
fn ledger(job: &Job, record: &Record) -> Vec<LedgerEntry> {
    let mut sums: BTreeMap<u32, LedgerEntry> = BTreeMap::new();
    let mut hash = blake3::Hasher::new();
    for (dealt, accounted) in job.batches.iter().zip(&record.accounted) {
        grown(&mut sums, &job.source, dealt, &accounted.threats);
        hash.update(&accounted.verdicts.to_le_bytes());
    }
    let verdicts = *hash.finalize().as_bytes();
    sums.into_values().map(|entry| LedgerEntry { verdicts, ..entry }).collect()
}

/// The keeper as a port.
#[derive(Clone)]
pub struct Shared(pub Arc<Keeper>);

impl Recorder for Shared {
    fn record(&self, record: Record) -> BoxFuture<'_, Result<(), Error>> {
        let this = Arc::clone(&self.0);
        Box::pin(async move {
            let judged = {
                let this = Arc::clone(&this);
                let threads = this.threads;
                threads
                    .wait(move || this.write(record))
                    .await
                    .map_err(|e| Error::Panicked(e.to_string()))??
            };
            this.hand_on(judged).await;
            Ok(())
        })
    }
}

/// Keeps bundles in the same store, where `explain` finds them.
pub struct Bundles(pub Arc<Store>);

impl BundleKeeper for Bundles {
    fn keep(&self, bundle: Arc<Bundle>) -> BoxFuture<'_, Result<(), Error>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || keep_bundle(&store, &bundle))
                .await
                .map_err(|e| Error::Panicked(e.to_string()))?
        })
    }
}
