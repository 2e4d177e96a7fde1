//! The end of a run: what every node says, and once all have ended, what lies on their disks.

use super::Error;
use super::clients::KEY;
use super::cluster::Cluster;
use super::seen::Shared;
use crate::ingest::kept;
use crate::journal::What;
use crate::plan::{Micros, Plan};
use cluster::consensus::{History, Logged};
use cluster::control::{Ask, Told, ask};
use cluster::fabric::Fabric;
use cluster::replication::{Query, Rank};
use regions::control_log::{Client, Command, ControlLog, Reply};
use regions::threats::Handling;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use threat::entropy::mix64;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Memory of a node that is too much, in MiB.
const MEMORY: u64 = 1_024;

/// Notes what all nodes that run say: their state, what they know of threats.
///
/// # Errors
/// [`Error::Gone`].
pub fn ask_all(cluster: &Cluster, shared: &Arc<Shared>, end: Micros) -> Result<(), Error> {
    let fabric = cluster.fabric()?;
    for (place, node) in cluster.nodes.iter().enumerate().filter(|(_, node)| node.is_there()) {
        let (fabric, shared) = (Arc::clone(&fabric), Arc::clone(shared));
        let (address, name) = (cluster.addresses[place].clone(), node.name.clone());
        cluster.asker.ask(async move {
            let told = ask_one(&fabric, &address, &shared, (place, end)).await;
            if let Err(reason) = told {
                let what = format!("{name} did not answer at the end: {reason}");
                shared.record.note_at(end, place, What::Doubt(what));
            }
        })?;
    }
    Ok(())
}

async fn ask_one(
    fabric: &Fabric,
    address: &str,
    shared: &Shared,
    (place, end): (usize, Micros),
) -> Result<(), String> {
    let note = |what| shared.record.note_at(end, place, what);
    let told = ask(fabric, address, &Ask::Status { digest: true }, PATIENCE).await;
    let Told::Status(status) = told.map_err(|e| e.to_string())? else {
        return Err("it told no status".into());
    };
    let digest = |text: &str| u64::from_str_radix(text.get(..16).unwrap_or(text), 16).ok();
    if let Some(digest) = status.digest.as_deref().and_then(digest) {
        note(What::State { index: status.applied, digest });
    }
    let threats = &status.threats;
    let floor = threats.floor.map(threat::Timestamp::micros);
    if let Some(digest) = digest(&threats.digest) {
        note(What::Knows { digest, floor, threats: threats.records });
    }
    let mut query = Query::default();
    loop {
        let told = ask(fabric, address, &Ask::Threats(Box::new(query.clone())), PATIENCE).await;
        let Told::Threats(page) = told.map_err(|e| e.to_string())? else {
            return Err("it told no threats".into());
        };
        for record in &page.records {
            if let Some(stamp) = record.handling().and_then(Handling::last) {
                note(What::Word { threat: record.id, stamp });
            }
        }
        query.after = page.records.last().map(Rank::of);
        if page.records.is_empty() || page.matching <= page.records.len() as u64 {
            return Ok(());
        }
    }
}

/// Ends all nodes in order, and notes what their disks and logs hold.
///
/// # Errors
/// [`Error`], when a disk cannot be looked at.
pub fn read_all(cluster: &mut Cluster, shared: &Shared, plan: &Plan) -> Result<(), Error> {
    let end = plan.end();
    let note = |who: Option<usize>, what| shared.record.note_at(end, who, what);
    for node in &cluster.nodes {
        node.signal(Signal::CONT);
        node.signal(Signal::TERM);
    }
    let mut histories = Vec::new();
    for (place, node) in cluster.nodes.iter_mut().enumerate() {
        if node.is_there() && !node.ends() {
            let what = "it did not end within 15 s of being told to".into();
            note(Some(place), What::Broken { invariant: "X1", what });
        }
        if let Some(line) = node.said().lines().find(|line| line.contains("panicked at")) {
            note(Some(place), What::Broken { invariant: "X1", what: line.trim().to_owned() });
        }
        let most = shared.seen().nodes[place].memory.div_ceil(1 << 20);
        note(Some(place), What::Queue { name: "resident memory, in MiB", most, limit: MEMORY });
        let folder = node.disk.folder.clone();
        let read = node.space.run(move || read(&folder)).get()?;
        match read {
            Ok((history, kept)) => {
                histories.push((place, history));
                kept.into_iter().for_each(|what| note(Some(place), what));
            }
            Err(error) => {
                let what = format!("what is on its disk cannot be read: {error}");
                note(Some(place), What::Broken { invariant: "X3", what });
            }
        }
    }
    tell_histories(&histories, note, shared);
    Ok(())
}

/// What lies in a node's folder.
fn read(folder: &Path) -> Result<(History, Vec<What>), String> {
    // A node that never came back after the loss of its disk has nothing.
    if !folder.join("node.json").exists() {
        return Ok((History::default(), Vec::new()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let history = runtime.map_err(|e| e.to_string())?.block_on(History::read(folder));
    let path = folder.join("events.redb");
    let mut all = Vec::new();
    if path.exists() {
        let read = Store::open(&path).and_then(|store| kept(&store));
        all = read.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok((history.map_err(|e| e.to_string())?, all))
}

/// Tells the log of every node, and what it comes to.
fn tell_histories(
    histories: &[(usize, History)],
    note: impl Fn(Option<usize>, What),
    shared: &Shared,
) {
    let mut whole: BTreeMap<u64, &Logged> = BTreeMap::new();
    for (_, history) in histories {
        let agreed = history.entries.iter().filter(|e| e.index <= history.applied);
        whole.extend(agreed.map(|entry| (entry.index, entry)));
    }
    let first = whole.keys().next().copied().unwrap_or_default();
    let gap = whole.keys().zip(first..).find(|(is, should)| **is != *should);
    if whole.is_empty() || first > 1 || gap.is_some() {
        let what = "the log was cut before it could be read: the run is too long for its rate";
        return note(None, What::Doubt(what.into()));
    }
    let mut chains = BTreeMap::new();
    let mut chain = 0;
    for (index, entry) in &whole {
        chain = mix64(chain ^ hash(entry));
        chains.insert(*index, chain);
    }
    for (place, history) in histories {
        let begins = history.entries.first().map_or(0, |entry| entry.index);
        let before = begins.checked_sub(1).and_then(|index| chains.get(&index).copied());
        let mut own = before.unwrap_or_default();
        if let Some(chain) = before {
            note(Some(*place), What::Installed { index: begins - 1, chain });
        }
        for entry in history.entries.iter().filter(|e| e.index <= history.applied) {
            own = mix64(own ^ hash(entry));
            note(Some(*place), What::Applied { index: entry.index, chain: own });
        }
    }
    tell_state(&whole, note, shared);
}

/// A number that follows from all of an entry.
fn hash(entry: &Logged) -> u64 {
    // A request is data: writing it does not fail.
    let text = serde_json::to_vec(&entry.requests).unwrap_or_default();
    text.chunks(8).fold(mix64(entry.index ^ entry.term << 32), |hash, bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        mix64(hash ^ u64::from_le_bytes(word))
    })
}

/// Applies the log anew: writes, epochs, and the state at each index that a node told of.
fn tell_state(whole: &BTreeMap<u64, &Logged>, note: impl Fn(Option<usize>, What), shared: &Shared) {
    let wanted: BTreeSet<u64> = shared.record.look(|entries| {
        let state = |what: &What| match what {
            What::State { index, .. } => Some(*index),
            _ => None,
        };
        entries.iter().filter_map(|entry| state(&entry.what)).collect()
    });
    let mut log = ControlLog::default();
    let mut known: BTreeSet<(Client, u64)> = BTreeSet::new();
    for (index, entry) in whole {
        for request in &entry.requests {
            let reply = log.apply(*index, request);
            if !known.insert((request.client, request.sequence)) {
                continue;
            }
            if let Reply::Epoch(epoch) = reply {
                note(None, What::Epoch { epoch });
            }
            if let (Command::SetFlag { name, value: Some(value) }, None) =
                (&request.command, reply.refusal())
                && let Some(key) = name.strip_prefix(KEY).and_then(|k| k.parse().ok())
                && let Ok(value) = value.parse()
            {
                note(None, What::Set { index: *index, key, value });
            }
        }
        let first = |digest: [u8; 32]| {
            let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
            u64::from_be_bytes(*first)
        };
        if wanted.contains(index)
            && let Ok(digest) = log.digest()
        {
            note(None, What::State { index: *index, digest: first(digest) });
        }
    }
}
