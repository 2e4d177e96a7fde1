//! The end of a run: what every node has, for the journal.

use super::{Outcome, World};
use crate::journal::What;
use regions::threats::Handling;

impl World<'_> {
    /// Queues of a node that ends start anew with it: their marks are told before.
    pub(super) fn tell_queues(&mut self, node: usize, run: &super::Running) {
        let detection = &run.detection;
        let (offered, accepted, shed) =
            (detection.tally.offered, detection.tally.accepted, detection.tally.shed);
        let counted = detection.counted();
        let (most, limit) = (detection.most as u64, detection.room() as u64);
        if offered > 0 {
            let rooms = detection.rooms();
            self.note(node, What::Admitted { offered, accepted, shed, counted, rooms });
            self.note(node, What::Queue { name: "detection", most, limit });
        }
    }

    /// Tells what every node has, and gives the journal.
    pub(super) fn finish(mut self) -> Outcome {
        for node in 0..self.nodes.len() {
            let Some(run) = self.nodes[node].run.take() else { continue };
            self.tell_queues(node, &run);
            match run.log.digest() {
                Ok(digest) => {
                    let mut first = [0; 8];
                    first.copy_from_slice(&digest[..8]);
                    let digest = u64::from_le_bytes(first);
                    self.note(node, What::State { index: run.applied, digest });
                }
                Err(error) => self.broken("X3", Some(node), format!("no digest: {error}")),
            }
            self.tell_threats(node, &run);
        }
        for node in 0..self.nodes.len() {
            let ledger = std::mem::take(&mut self.nodes[node].disk.ledger);
            for ((workload, source), judged) in ledger {
                self.note(node, What::Ledger { workload, source, end: judged.end });
            }
        }
        let (journal, trace, steps) = (self.journal, self.trace, self.steps);
        Outcome { journal, trace, steps, skipped: Vec::new() }
    }

    fn tell_threats(&mut self, node: usize, run: &super::Running) {
        self.tell_digest(node, run);
        for record in run.threats.iter() {
            if let Some(stamp) = record.handling().and_then(Handling::last) {
                self.note(node, What::Word { threat: record.id, stamp });
            }
            let threat::entity::Entity::Host(threat::Host::Ip(std::net::IpAddr::V4(address))) =
                record.entity
            else {
                continue;
            };
            let host = address.to_bits() - 0x0a00_0000;
            let known_bad = record.class == threat::ThreatClass::Scan;
            for count in record.counts() {
                let (source, verdicts) = (count.source as u32, count.verdicts);
                self.note(node, What::Counted { host, known_bad, source, verdicts });
            }
        }
    }

    /// One digest of all that a node knows of threats.
    pub(super) fn tell_digest(&mut self, node: usize, run: &super::Running) {
        let floor = run.threats.floor().map(threat::Timestamp::micros);
        let (digest, threats) = (run.threats.digests().all(), run.threats.len() as u64);
        self.note(node, What::Knows { digest, floor, threats });
    }
}

/// A node at a moment, for people.
#[derive(Clone, Debug, Default)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Whether it runs, stands still or is down.
    pub standing: &'static str,
    /// Its term, and whether it leads as it thinks.
    pub term: u64,
    /// Whether it thinks that it leads.
    pub leads: bool,
    /// Up to where it applied the log.
    pub applied: u64,
    /// For how many workloads it may act.
    pub acting: u32,
    /// Threats that it knows.
    pub threats: usize,
}

impl World<'_> {
    /// How all nodes are now.
    pub fn states(&self) -> Vec<NodeState> {
        let state = |(node, planned): (&super::Node, &crate::plan::PlannedNode)| {
            let run = node.run.as_ref();
            NodeState {
                name: planned.name.clone(),
                standing: match (node.paused, run) {
                    (Some(_), _) => "paused",
                    (None, Some(_)) => "up",
                    (None, None) => "down",
                },
                term: run.map_or(node.disk.hard.term, |run| run.raft.term()),
                leads: run.is_some_and(|run| run.raft.leads().is_some()),
                applied: run.map_or(0, |run| run.applied),
                acting: run.map_or(0, |run| run.acting),
                threats: run.map_or(node.disk.threats.len(), |run| run.threats.len()),
            }
        };
        self.nodes.iter().zip(&self.plan.nodes).map(state).collect()
    }
}
