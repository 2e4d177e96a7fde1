//! What runs in a node's process: its part in the cluster, and its detection.

use super::detection::Detecting;
use cluster::control::NodeStatus;
use cluster::coordinator::Ownership;
use cluster::fabric::Fabric;
use cluster::member::{self, Me, Member, Parts, View};
use cluster::replication::Replication;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a new node tries to get an id.
const ID_TIME: Duration = Duration::from_secs(60);

/// A node that takes part, as the world sees it.
#[derive(Clone)]
pub struct Part {
    pub view: View,
    pub ownership: Ownership,
    pub replication: Arc<Replication>,
    pub fabric: Arc<Fabric>,
    /// Tells how it is, with the digest of its control log.
    pub status: Arc<dyn Fn() -> Option<NodeStatus> + Send + Sync>,
}

/// What a process tells the world.
#[derive(Default)]
pub struct Told {
    pub part: Mutex<Option<Part>>,
    /// Its id in the cluster, once it has one.
    pub id: Mutex<Option<u64>>,
    /// Its disk failed: it has to end.
    pub fatal: AtomicBool,
    /// Why it did not start.
    pub failed: Mutex<Option<String>>,
}

impl Told {
    /// The node, once it takes part.
    pub fn part(&self) -> Option<Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Takes part in the cluster until its process ends. The first node of all `founds` it; a new one
/// asks others for an id, `known` ones.
pub async fn take_part(
    mut me: Me,
    parts: Parts,
    (founds, known): (bool, Vec<String>),
    detecting: Option<Detecting>,
    told: Arc<Told>,
) {
    let fabric = Arc::clone(&parts.fabric);
    let id = match me.id {
        0 if founds => Ok(1),
        0 => member::ask_for_id(&fabric, &known, &me.address, ID_TIME).await,
        known => Ok(known),
    };
    let started = match id {
        Ok(id) => {
            me.id = id;
            *told.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
            Member::start(me, parts, founds).await
        }
        Err(error) => Err(error),
    };
    let member = match started {
        Ok(member) => Arc::new(member),
        Err(error) => {
            let mut failed = told.failed.lock().unwrap_or_else(PoisonError::into_inner);
            *failed = Some(error.to_string());
            return;
        }
    };
    let weak = Arc::downgrade(&member);
    let part = Part {
        view: member.view(),
        ownership: member.ownership(),
        replication: Arc::clone(member.replication()),
        fabric: Arc::clone(&fabric),
        status: Arc::new(move || Some(weak.upgrade()?.status())),
    };
    *told.part.lock().unwrap_or_else(PoisonError::into_inner) = Some(part);
    // It takes part until the process ends.
    if let Some(detecting) = detecting {
        detecting.run(&member, fabric, told).await;
    }
    std::future::pending::<()>().await;
    drop(member);
}
