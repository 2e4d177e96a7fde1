//! Checkpoints from the other nodes of the region, for one that begins to own workloads: whoever is
//! chosen to take over need not be the node that was sent them.

use super::checkpoints::{Checkpoints, Mark};
use super::limits::{ASK_HOLDERS_TIME, KEEP_TIME};
use super::message::{Ask, Told, decode_told, encode};
use super::view::{ClusterView, Peer};
use cluster::fabric::{Fabric, Lane};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Asks a node.
pub async fn ask(fabric: &Fabric, peer: &Peer, ask: &Ask, time: Duration) -> Result<Told, String> {
    let body = encode(ask, &[]).map_err(|e| e.to_string())?;
    let told = fabric.ask(&peer.address, peer.node, Lane::Data, body, time).await;
    decode_told(&told.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

/// Brings the checkpoints of these workloads here of which another node of the region has a newer
/// one. What does not come is not waited for: its entities are remembered by the older one.
///
/// # Errors
/// When the store fails.
pub async fn fetch(
    fabric: &Arc<Fabric>,
    view: &Arc<dyn ClusterView>,
    checkpoints: &Arc<Checkpoints>,
    workloads: &BTreeMap<u32, u64>,
) -> Result<(), store::Error> {
    let here = view.region();
    let mut asking = JoinSet::new();
    for peer in view.peers().into_iter().filter(|p| p.region == here) {
        let fabric = Arc::clone(fabric);
        asking.spawn(async move {
            let told = ask(&fabric, &peer, &Ask::Held, ASK_HOLDERS_TIME).await;
            (peer, told)
        });
    }
    let own = checkpoints.marks();
    let mut newest: BTreeMap<u32, (Mark, Peer)> = BTreeMap::new();
    while let Some(told) = asking.join_next().await {
        let Ok((peer, Ok(Told::Held(marks)))) = told else { continue };
        for (workload, mark) in marks.into_iter().filter(|(w, _)| workloads.contains_key(w)) {
            let known = newest.get(&workload).map(|(mark, _)| *mark);
            let known = known.or_else(|| own.get(&workload).copied()).unwrap_or_default();
            if mark > known {
                newest.insert(workload, (mark, peer.clone()));
            }
        }
    }
    for (workload, (_, peer)) in newest {
        let mut after = None;
        loop {
            let told = ask(fabric, &peer, &Ask::Fetch { workload, after }, KEEP_TIME).await;
            let Ok(Told::Part(part)) = told else { break };
            after = part.states.last().map(|s| (s.kind, s.key));
            let more = !part.last && after.is_some();
            match checkpoints.aside(move |checkpoints| checkpoints.hold(&part)).await {
                Ok(held) => held.map(drop)?,
                Err(error) => tracing::error!("a checkpoint is not kept: {error}"),
            }
            if !more {
                break;
            }
        }
    }
    Ok(())
}
