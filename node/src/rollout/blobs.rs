//! Blobs, by their hash: served to other nodes in pieces, and pulled from them.

use super::limits::{ASKED, HAS_TIME, PIECE_BYTES, PIECE_TIME, SERVING};
use super::message::{Ask, Told, decode, encode};
use cluster::fabric::{Fabric, Lane};
use regions::control_log::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The blobs of a node.
pub struct Blobs {
    store: Arc<Store>,
    room: Semaphore,
    /// What was served last: all pieces of a blob are asked for one after the other, by several
    /// nodes at once, and reading it from disk each time would hash all of it.
    last: Mutex<Option<(Hash, Arc<Vec<u8>>)>>,
}

impl Blobs {
    /// Those in the store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, room: Semaphore::new(SERVING), last: Mutex::default() }
    }

    /// A blob, from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, hash: Hash) -> Result<Option<Arc<Vec<u8>>>, store::Error> {
        {
            // Nothing panics while it is held.
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((known, bytes)) = &*last
                && *known == hash
            {
                return Ok(Some(Arc::clone(bytes)));
            }
        }
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || store.view()?.blob(hash)).await;
        // A read that panicked has found nothing.
        let Some(bytes) = read.unwrap_or(Ok(None))?.map(Arc::new) else { return Ok(None) };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((hash, Arc::clone(&bytes)));
        Ok(Some(bytes))
    }

    /// Answers a node that asks for a blob that is known to the cluster.
    pub async fn answer(&self, ask: Ask) -> Vec<u8> {
        // It is never closed.
        let Ok(_room) = self.room.acquire().await else { return told(&Told::NotHere, &[]) };
        let (hash, offset) = match ask {
            Ask::Has(hash) => (hash, None),
            Ask::Piece { hash, offset } => (hash, Some(offset)),
            _ => return told(&Told::Refused("that is not asked here".into()), &[]),
        };
        let bytes = match self.get(hash).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return told(&Told::NotHere, &[]),
            Err(error) => return told(&Told::Refused(error.to_string()), &[]),
        };
        let Some(offset) = offset else { return told(&Told::Holds(bytes.len() as u64), &[]) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = bytes.len().min(start + PIECE_BYTES);
        told(&Told::Piece, &bytes[start..end])
    }
}

/// The bytes of an answer. Only a head over the codec's limit has none.
pub fn told(told: &Told, raw: &[u8]) -> Vec<u8> {
    encode(told, raw).unwrap_or_default()
}

/// A blob of at most `limit` bytes, from the first of these nodes that says that it holds it and
/// gives it.
///
/// # Errors
/// Why none of them gave it.
pub async fn pull(
    fabric: &Arc<Fabric>,
    from: &[(u64, String)],
    hash: Hash,
    limit: usize,
) -> Result<Vec<u8>, String> {
    let mut why = Vec::new();
    for wave in from.chunks(ASKED) {
        let mut asking = JoinSet::new();
        for peer in wave.iter().cloned() {
            let fabric = Arc::clone(fabric);
            asking.spawn(async move {
                let held = ask(&fabric, &peer, Ask::Has(hash), HAS_TIME).await;
                (peer, held)
            });
        }
        while let Some(Ok((peer, held))) = asking.join_next().await {
            let given = match held {
                Ok((Told::Holds(length), _)) if length <= limit as u64 => {
                    pieces(fabric, &peer, hash, length as usize).await
                }
                Ok((Told::Holds(length), _)) => {
                    Err(format!("{length} bytes are over the limit of {limit}"))
                }
                Ok((Told::NotHere, _)) => Err("it does not hold it".into()),
                Ok((other, _)) => Err(format!("{other:?}")),
                Err(reason) => Err(reason),
            };
            match given {
                Ok(bytes) => return Ok(bytes),
                Err(reason) => why.push(format!("node {}: {reason}", peer.0)),
            }
        }
    }
    Err(if why.is_empty() { "there is no other node".into() } else { why.join("; ") })
}

async fn ask(
    fabric: &Fabric,
    (node, address): &(u64, String),
    ask: Ask,
    within: Duration,
) -> Result<(Told, Vec<u8>), String> {
    let body = encode(&ask, &[]).map_err(|e| e.to_string())?;
    let answer = fabric.ask(address, *node, Lane::Bulk, body, within).await;
    let answer = answer.map_err(|e| e.to_string())?;
    let (told, behind) = decode(&answer).map_err(|e| e.to_string())?;
    Ok((told, behind.to_vec()))
}

async fn pieces(
    fabric: &Fabric,
    peer: &(u64, String),
    hash: Hash,
    length: usize,
) -> Result<Vec<u8>, String> {
    // It grows as pieces come: what a node says of the length reserves nothing.
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < length {
        let next = Ask::Piece { hash, offset: bytes.len() as u64 };
        match ask(fabric, peer, next, PIECE_TIME).await? {
            (Told::Piece, piece) if piece.is_empty() => return Err("it ends too early".into()),
            (Told::Piece, piece) if bytes.len() + piece.len() <= length => bytes.extend(piece),
            (other, _) => return Err(format!("{other:?}")),
        }
    }
    if *blake3::hash(&bytes).as_bytes() != hash {
        return Err("it gave other bytes than the hash says".into());
    }
    Ok(bytes)
}
