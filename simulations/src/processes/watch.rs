//! Asks every node how it is, four times a second, and notes what changed.

use super::seen::Shared;
use crate::experiment::{Moment, kibibytes};
use crate::journal::What;
use cluster::control::{Ask, NodeStatus, Told, ask};
use cluster::fabric::Fabric;
use cluster::replication::Query;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at a node.
const EVERY: Duration = Duration::from_millis(250);

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Threats that analysts are told of at most.
const KNOWN: u32 = 64;

/// Looks at the node at a place until it is ended.
pub async fn watch(shared: Arc<Shared>, fabric: Arc<Fabric>, place: usize, address: String) {
    let mut looks = 0u32;
    loop {
        tokio::time::sleep(EVERY).await;
        memory(&shared, place);
        let told = ask(&fabric, &address, &Ask::Status { digest: false }, PATIENCE).await;
        let Ok(Told::Status(status)) = told else { continue };
        stands(&shared, place, &status);
        let told = ask(&fabric, &address, &Ask::Regions, PATIENCE).await;
        if let Ok(Told::Regions(view)) = told {
            let acts = view.leases.values().filter(|held| held.left_ms > 0).count() as u32;
            let owners = view.workloads.iter().filter_map(|(n, w)| Some((*n, w.owner?)));
            let mut seen = shared.seen();
            // Who leads is the first to know.
            if view.leads {
                seen.owners = owners.collect();
            }
            // A node that was ended meanwhile acts for nothing.
            if seen.nodes[place].process.is_some() && seen.nodes[place].acts != acts {
                if acts > seen.nodes[place].acts {
                    seen.moments.push((Moment::Owner, place));
                }
                seen.nodes[place].acts = acts;
                shared.record.note(place, What::Acts { workloads: acts });
            }
        }
        looks += 1;
        if looks % 4 == 1 {
            let query = Query { most: KNOWN, ..Query::default() };
            let told = ask(&fabric, &address, &Ask::Threats(Box::new(query)), PATIENCE).await;
            if let Ok(Told::Threats(page)) = told
                && !page.records.is_empty()
            {
                shared.seen().threats = page.records.iter().map(|record| record.id).collect();
            }
        }
    }
}

fn stands(shared: &Shared, place: usize, status: &NodeStatus) {
    let mut seen = shared.seen();
    if seen.nodes[place].process.is_none() {
        return;
    }
    seen.nodes[place].id = status.id;
    if status.role == "leader" && seen.nodes[place].led < status.term {
        seen.nodes[place].led = status.term;
        if seen.leader.is_none_or(|(term, _)| term < status.term) {
            seen.leader = Some((status.term, place));
            seen.moments.push((Moment::Leader, place));
        }
        shared.record.note(place, What::Leads { term: status.term });
    }
}

/// The most memory that a node's process had, as the kernel counts it.
fn memory(shared: &Shared, place: usize) {
    let Some(process) = shared.seen().nodes[place].process else { return };
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let most = kibibytes(&text, "VmHWM:").unwrap_or_default();
    let known = &mut shared.seen().nodes[place].memory;
    *known = most.max(*known);
}
