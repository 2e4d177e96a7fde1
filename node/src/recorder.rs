//! Makes records durable in the store and sends findings out, in that order: what was told is
//! stored, and after a kill the output is cut back to what the store knows of, so that nothing is
//! told twice.

mod hours;
mod telling;

pub use hours::Hours;
pub use telling::{Kept, Teller, Telling};

use crate::host::output::Output;
use actors::detection::models::BundleKeeper;
use actors::detection::recorder::{Record, Recorder};
use actors::ports::{BoxFuture, Error};
use detection::bundle::Bundle;
use detection::folding::over;
use detection::labels::is_taught;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Commit, LedgerEntry, Store};
use telling::HOURS;
use threat::{Counted, HourCounts, SourceId, Threat, Timestamp};

/// Name of the checkpoint that holds the length of the output.
pub const OUTPUT_CHECKPOINT: &str = "output/";

/// Prefix of the checkpoints of sources.
pub const SOURCE_CHECKPOINT: &str = "source/";

/// Name of the checkpoint that holds the greatest event time: what ended long before it is closed.
pub const NEWEST_CHECKPOINT: &str = "newest";

/// Bundles kept in a state folder; older ones make room. A finding is explained by the bundle that
/// judged it, so this is how many trainings back `explain` reaches.
pub const BUNDLES_KEPT: usize = 64;

/// What the metadata of a bundle says that came from the cluster.
const OF_CLUSTER: &str = "cluster";

/// Threats of followed logs that a restart takes up again: those of the hours that may still grow.
const RESUMED_THREATS: usize = 10_000;

/// What stands behind the ports.
pub struct StoreRecorder {
    store: Option<Arc<Store>>,
    /// Distinguishes the ledgers of runs over the same files; empty for followed logs.
    run: String,
    sources: Vec<String>,
    telling: Telling,
    state: Arc<Mutex<State>>,
}

struct State {
    output: Option<Output>,
    /// Where the ledger of each segment of a source ends.
    ends: BTreeMap<(usize, u64), u64>,
    teller: Teller,
    /// What a finite run saw by hour so far.
    hours: BTreeMap<(SourceId, i64, Counted), u64>,
}

impl StoreRecorder {
    /// Records into `store` (nowhere without one) and tells findings to `output`.
    pub fn new(
        store: Option<Arc<Store>>,
        output: Option<Output>,
        run: String,
        sources: Vec<String>,
        telling: Telling,
    ) -> Self {
        let (ends, hours) = (BTreeMap::new(), BTreeMap::new());
        let state = State { output, ends, teller: Teller::new(telling), hours };
        Self { store, run, sources, telling, state: Arc::new(Mutex::new(state)) }
    }

    /// Goes on with threats that an earlier process told of.
    pub fn resume(&self, known: &[Threat]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.teller.resume(known);
    }

    /// What was kept for a report, taken out.
    pub fn take_kept(&self) -> Kept {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.teller.take_kept()
    }

    fn ledger(&self, record: &Record, state: &mut State) -> Result<Vec<LedgerEntry>, Error> {
        let mut sums: BTreeMap<(usize, u64), (LedgerEntry, blake3::Hasher)> = BTreeMap::new();
        for batch in &record.accounted {
            let key = (batch.source.0 as usize, batch.segment);
            let (sum, hash) = match sums.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let source = self.ledger_name(key);
                    let start = match state.ends.get(&key) {
                        Some(end) => *end,
                        None => self.stored_end(&source)?,
                    };
                    let sum = LedgerEntry {
                        source,
                        start,
                        end: start,
                        events: 0,
                        threats: 0,
                        verdicts: [0; 32],
                    };
                    entry.insert((sum, blake3::Hasher::new()))
                }
            };
            sum.end = batch.end_offset;
            sum.events += batch.events;
            sum.threats += batch.threats.len() as u64;
            hash.update(&batch.verdicts.to_le_bytes());
        }
        let mut entries = Vec::with_capacity(sums.len());
        for (key, (mut sum, hash)) in sums {
            state.ends.insert(key, sum.end);
            sum.verdicts = *hash.finalize().as_bytes();
            entries.push(sum);
        }
        Ok(entries)
    }

    /// What a record adds to the hours, and what is told of them. A finite run tells its whole
    /// counts at its end, so that a file that is read again counts once.
    fn hours(&self, record: &Record, state: &mut State) -> (Vec<HourCounts>, Vec<HourCounts>) {
        let name = |id: SourceId| self.sources.get(id.0 as usize).map_or("?".into(), Clone::clone);
        let of = |counts| Hours::default().of(counts, name);
        if self.telling == Telling::AsTheyCome {
            return (of(&record.hours), Vec::new());
        }
        for (key, count) in &record.hours {
            if state.hours.len() < HOURS || state.hours.contains_key(key) {
                *state.hours.entry(*key).or_default() += count;
            }
        }
        (Vec::new(), if record.last { of(&state.hours) } else { Vec::new() })
    }

    /// What a segment's ledger is kept under: a followed log has one for each of its files.
    fn ledger_name(&self, (source, segment): (usize, u64)) -> String {
        let name = self.sources.get(source).map_or("?", String::as_str);
        match self.telling {
            Telling::AtTheEnd => format!("{}{name}", self.run),
            Telling::AsTheyCome => format!("{name}@{segment}"),
        }
    }

    /// Where an earlier process got to in a segment.
    fn stored_end(&self, ledger: &str) -> Result<u64, Error> {
        let failed = |e: store::Error| Error::Storage(e.to_string());
        let Some(store) = &self.store else { return Ok(0) };
        Ok(store.view().map_err(failed)?.ledger(ledger).map_err(failed)?.end())
    }

    fn write(&self, record: Record) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = state.teller.lines(&record);
        let ledger = self.ledger(&record, &mut state)?;
        let (hours, told_hours) = self.hours(&record, &mut state);
        if let Some(output) = &mut state.output {
            match output.append(&lines) {
                // Findings of a finite run are told last: whoever stopped reading them (`head`)
                // has what was wanted.
                Err(e)
                    if e.kind() == std::io::ErrorKind::BrokenPipe
                        && self.telling == Telling::AtTheEnd => {}
                other => other.map_err(|e| Error::Storage(e.to_string()))?,
            }
        }
        let Some(store) = &self.store else { return Ok(()) };
        let mut checkpoints: Vec<(String, Vec<u8>)> = Vec::new();
        if self.telling == Telling::AsTheyCome {
            let name = |n: String| format!("{SOURCE_CHECKPOINT}{n}");
            checkpoints.extend(record.checkpoints.into_iter().map(|(n, b)| (name(n), b)));
            let newest = record.newest.map(|t| t.micros().to_le_bytes().to_vec());
            checkpoints.extend(newest.map(|b| (NEWEST_CHECKPOINT.to_owned(), b)));
            if let Some(output) = &state.output {
                let name = format!("{OUTPUT_CHECKPOINT}{}", output.name());
                checkpoints.push((name, output.length().to_le_bytes().to_vec()));
            }
        }
        let mut threats = record.threats;
        threats.extend(record.closed);
        let commit = Commit {
            checkpoints,
            ledger,
            threats,
            examples: record.examples,
            hours,
            told_hours,
            durable: record.last || self.telling == Telling::AsTheyCome,
            ..Commit::default()
        };
        store.commit(&commit).map_err(|e| Error::Storage(e.to_string()))?;
        Ok(())
    }
}

/// The recorder behind the ports, shared by both of them.
#[derive(Clone)]
pub struct Shared(pub Arc<StoreRecorder>);

impl Recorder for Shared {
    fn record(&self, record: Record) -> BoxFuture<'_, Result<(), Error>> {
        let this = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || this.write(record))
                .await
                .map_err(|e| Error::Panicked(e.to_string()))?
        })
    }
}

/// Keeps nothing: in the place of a recorder that is still to come.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl Recorder for Nowhere {
    fn record(&self, _: Record) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl BundleKeeper for Shared {
    fn keep(&self, bundle: Arc<Bundle>) -> BoxFuture<'_, Result<(), Error>> {
        let this = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(store) = this.store.clone() else { return Ok(()) };
            tokio::task::spawn_blocking(move || keep_bundle(&store, &bundle))
                .await
                .map_err(|e| Error::Panicked(e.to_string()))?
        })
    }
}

/// Stores a bundle under the next free number; one that is there already is not stored again.
///
/// # Errors
/// When the store fails, or the bundle cannot be encoded.
pub fn keep_bundle(store: &Store, bundle: &Bundle) -> Result<(), Error> {
    let bytes = bundle.encode().map_err(|e| Error::Corrupt(e.to_string()))?;
    put(store, describe(bundle), &bytes).map_err(|e| Error::Storage(e.to_string()))
}

/// Stores a bundle that is of the cluster: `explain` finds it, and a node that starts again does
/// not take it for what it learnt.
///
/// # Errors
/// When the store fails.
pub fn keep_cluster_bundle(
    store: &Store,
    bundle: &Bundle,
    bytes: &[u8],
) -> Result<(), store::Error> {
    let mut metadata = describe(bundle);
    metadata[OF_CLUSTER] = true.into();
    put(store, metadata, bytes)
}

fn put(store: &Store, metadata: serde_json::Value, bytes: &[u8]) -> Result<(), store::Error> {
    let known = store.view()?.bundles()?;
    let metadata = metadata.to_string();
    if known.iter().any(|b| b.metadata == metadata) {
        return Ok(());
    }
    let version = known.iter().map(|b| b.version).max().unwrap_or(0) + 1;
    let created = Timestamp::default();
    store.put_bundle(store::Bundle { version, hash: [0; 32], metadata, created }, bytes)?;
    let old = known.len().saturating_sub(BUNDLES_KEPT - 1);
    for bundle in known.iter().take(old) {
        store.remove_bundle(bundle.version)?;
    }
    Ok(())
}

/// What a bundle says of itself; the same bundle always says the same.
pub fn describe(bundle: &Bundle) -> serde_json::Value {
    let classes: BTreeMap<&str, serde_json::Value> = bundle
        .classes
        .iter()
        .map(|(class, m)| {
            let kinds: Vec<&str> = m.models.iter().map(|(kind, ..)| kind.name()).collect();
            let window = [m.window.0.micros(), m.window.1.micros()];
            (class.name(), serde_json::json!({"rows": m.rows, "models": kinds, "window": window}))
        })
        .collect();
    serde_json::json!({
        "id": format!("{:016x}", bundle.id()),
        "version": bundle.version,
        "seed": bundle.seed,
        "origin": bundle.created_from,
        "labelled": is_taught(bundle),
        "classes": classes,
    })
}

/// The stored bundle of that id.
///
/// # Errors
/// When the store fails or the bundle does not pass its checks.
pub fn find_bundle(store: &Store, id: u64) -> Result<Option<Bundle>, Error> {
    let failed = |e: store::Error| Error::Storage(e.to_string());
    let view = store.view().map_err(failed)?;
    let wanted = format!("{id:016x}");
    for entry in view.bundles().map_err(failed)? {
        let metadata: serde_json::Value = serde_json::from_str(&entry.metadata).unwrap_or_default();
        if metadata["id"] == wanted.as_str()
            && let Some(bytes) = view.blob(entry.hash).map_err(failed)?
        {
            let bundle = Bundle::decode(&bytes).map_err(|e| Error::Corrupt(e.to_string()))?;
            return Ok(Some(bundle));
        }
    }
    Ok(None)
}

/// The bundle that was trained last here; what labels made of one is made anew from it.
///
/// # Errors
/// When the store fails.
pub fn latest_bundle(store: &Store) -> Result<Option<Bundle>, store::Error> {
    let view = store.view()?;
    for entry in view.bundles()?.iter().rev() {
        let metadata: serde_json::Value = serde_json::from_str(&entry.metadata).unwrap_or_default();
        if metadata[OF_CLUSTER] == true {
            continue;
        }
        let Some(bytes) = view.blob(entry.hash)? else { continue };
        // A bundle of another format is learnt anew.
        match Bundle::decode(&bytes) {
            Ok(bundle) if is_taught(&bundle) => {}
            bundle => return Ok(bundle.ok()),
        }
    }
    Ok(None)
}

/// The threats of an earlier process that are not over, to go on with.
///
/// # Errors
/// When the store fails.
pub fn known_threats(store: &Store) -> Result<Vec<Threat>, store::Error> {
    let view = store.view()?;
    let newest = view.checkpoint(NEWEST_CHECKPOINT)?.and_then(|b| b.try_into().ok());
    let newest = newest.map(|b| Timestamp::from_micros(i64::from_le_bytes(b)));
    let query = store::Query {
        order: store::Order::Latest,
        limit: RESUMED_THREATS,
        ..store::Query::default()
    };
    let mut known = view.threats(&query)?;
    // Those that are over were closed, and told of, when the newest event was recorded.
    known.retain(|t| newest.is_none_or(|n| !over(t, n)));
    Ok(known)
}
