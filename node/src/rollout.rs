//! Models from a file to the whole cluster: bundles that operators hand to any node are agreed on
//! by their hash, pulled by all nodes, tested, judged in shadow, used in one region, then in all;
//! and taken back without a person when they do worse. Playbooks travel in the same way.
//!
//! ```text
//! operator ─Hand, Register─> any node ─> control log ─> every node: pull, self-test, shadow
//! leader <─Report─ every node                              └─ uses what the log says
//!   └─ RollbackBundle, or a step forward where an operator said so ─> control log
//! ```
//! Nothing here is on the way of an event but what counts verdicts and takes samples of them, which
//! leaves out what has no room.

pub mod asking;
mod blobs;
mod fetching;
mod following;
mod handing;
mod leading;
pub mod limits;
pub mod message;
mod shadowing;
mod standing;
mod uploads;

pub use handing::playbook_name;

use actors::detection::models::ModelHost;
use actors::detection::watch::Watch;
use actors::ports::Clock;
use blobs::{Blobs, told};
use cluster::fabric::{Answer, BoxFuture, Caller, Fabric, Lane, Who};
use cluster::member::{Me, View};
use detection::bundle::Bundle;
use detection::calibration::Budget;
use leading::Heard;
use message::{Ask, Told};
use regions::control_log::{ControlLog, Hash};
use shadowing::Shadowing;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use store::Store;
use tokio::sync::Notify;
use uploads::Uploads;

/// What a rollout needs of its node.
pub struct Needs {
    /// Where blobs and bundles are kept.
    pub store: Arc<Store>,
    /// The way to other nodes.
    pub fabric: Arc<Fabric>,
    /// What is agreed on.
    pub view: View,
    /// Who this node is.
    pub me: Me,
    /// What its detection uses.
    pub host: ModelHost,
    /// How many false verdicts are accepted.
    pub budget: Budget,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// Why a rollout ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed: the node has to end.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Its node has ended.
    #[error("the node's part in the cluster has ended")]
    Ended,
}

/// A node's part in rollouts: it answers once it has begun.
#[derive(Default)]
pub struct Rollout {
    core: OnceLock<Core>,
    uploads: Uploads,
}

/// What this node has of a bundle.
#[derive(Clone, Debug)]
enum Held {
    /// Its bytes are here and passed their test; it is not needed in memory.
    Stored,
    /// It can be used.
    Ready(Arc<Bundle>),
    /// It is not here yet, for this reason.
    Missing(String),
    /// It does not pass its test here.
    Refused(String),
}

struct Core {
    needs: Needs,
    blobs: Blobs,
    held: Mutex<BTreeMap<u64, Held>>,
    /// The bundle of the cluster that is used here.
    using: Mutex<Option<(u64, Arc<Bundle>)>>,
    shadowing: Arc<Shadowing>,
    heard: Mutex<Heard>,
    /// Something was fetched.
    fetched: Notify,
}

impl Rollout {
    /// Begins with what a node has. What is given back is to see its verdicts.
    pub fn begin(&self, needs: Needs) -> Arc<dyn Watch> {
        let shadowing = Arc::new(Shadowing::new(needs.budget, Arc::clone(&needs.clock)));
        let core = Core {
            blobs: Blobs::new(Arc::clone(&needs.store)),
            held: Mutex::default(),
            using: Mutex::default(),
            shadowing: Arc::clone(&shadowing),
            heard: Mutex::default(),
            fetched: Notify::new(),
            needs,
        };
        // It begins once.
        let _ = self.core.set(core);
        shadowing
    }

    /// Follows what is agreed on, and leads rollouts while this node does, for as long as it is
    /// polled.
    ///
    /// # Errors
    /// When the disk fails or the node has ended.
    pub async fn run(&self) -> Result<Infallible, Error> {
        let Some(core) = self.core.get() else { return std::future::pending().await };
        tokio::select! {
            ended = core.fetch() => ended,
            ended = core.follow() => ended,
            ended = core.say_ready() => ended,
            ended = core.report() => ended,
            ended = core.lead() => ended,
            () = core.shadowing.run() => Err(Error::Ended),
        }
    }

    async fn answer_to(&self, caller: &Caller, request: &[u8]) -> Vec<u8> {
        let refused = |reason: String| told(&Told::Refused(reason), &[]);
        let Some(core) = self.core.get() else {
            return refused("this node's detection is starting; ask again".into());
        };
        let (ask, behind) = match message::decode(request) {
            Ok(decoded) => decoded,
            Err(error) => return refused(format!("not a message: {error}")),
        };
        let said = match ask {
            Ask::Has(hash) | Ask::Piece { hash, .. } => {
                let known = core.needs.view.read(|log| is_known(log, &hash));
                return match (caller.lane, known) {
                    (Lane::Bulk, Some(true)) => core.blobs.answer(ask).await,
                    (Lane::Bulk, _) => told(&Told::NotHere, &[]),
                    _ => refused("blobs are asked for by nodes".into()),
                };
            }
            _ if caller.lane != Lane::Control => {
                return refused("that is not asked here".into());
            }
            Ask::Hand { upload, offset } => {
                let now = core.needs.clock.now();
                self.uploads.hand(upload, offset, behind, now).map(|()| Told::Taken)
            }
            Ask::Register { upload, hash, auto } => match self.uploads.take(upload, hash) {
                Some(bytes) => core.register(hash, bytes, auto).await,
                None => Err("it did not come whole: hand it over again".into()),
            },
            Ask::Publish { upload, hash } => match self.uploads.take(upload, hash) {
                Some(bytes) => core.publish(hash, bytes).await,
                None => Err("it did not come whole: hand it over again".into()),
            },
            Ask::Standing => {
                core.standing().map(Box::new).map(Told::Standing).ok_or("it is about to end".into())
            }
            Ask::Report(reports) => match &caller.identity.who {
                Who::Node { name, .. } => core.hear(name, reports).map(|()| Told::Taken),
                Who::Operator { .. } => Err("an operator is no node".into()),
            },
        };
        told(&said.unwrap_or_else(Told::Refused), &[])
    }
}

impl Answer for Rollout {
    fn answer<'a>(&'a self, caller: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        Box::pin(async move { self.answer_to(caller, &request).await })
    }
}

/// Whether the control log names this hash.
fn is_known(log: &ControlLog, hash: &Hash) -> bool {
    let bundles = log.bundles().all().values().map(|b| &b.hash);
    let playbooks = log.playbooks().all().values().flat_map(|p| p.versions.values());
    bundles.chain(playbooks).any(|known| known == hash)
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
