//! Threats of this node's detection as records that all nodes share.
//!
//! A record counts verdicts by log, up to an offset. Detection counts a threat over all logs, so
//! that what a job adds is the difference to what was counted before it; what the log had added
//! before, also at another node, is in the shared record.
//!
//! Most threats are of an entity that one node owns, and that node alone counts them. Those of an
//! account may be seen at the hosts of several owners: each of these counts as a part of the log.

use super::view::ClusterView;
use cluster::replication::Replication;
use regions::threats::{Count, Record};
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::entity::hash_bytes;
use threat::{Threat, ThreatId};

/// The part of a log that the owner of a threat's entity counts, whichever node that is; other
/// nodes count as themselves, whose ids begin at 1.
const OWNER: u64 = 0;

/// What was counted of the threats that are open here.
pub struct Sharing {
    view: Arc<dyn ClusterView>,
    /// Verdicts, of all logs.
    counted: BTreeMap<ThreatId, u64>,
    /// By threat and log, as it was shared last.
    shared: BTreeMap<(ThreatId, u64), Count>,
}

impl Sharing {
    /// Counted nothing yet.
    pub const fn new(view: Arc<dyn ClusterView>) -> Self {
        Self { view, counted: BTreeMap::new(), shared: BTreeMap::new() }
    }

    /// Goes on with threats that an earlier process counted.
    pub fn resume(&mut self, known: &[Threat]) {
        self.counted.extend(known.iter().map(|t| (t.id, t.count)));
    }

    /// The records of threats that a job changed, which goes up to `end` of `source`.
    pub fn records(
        &mut self,
        threats: &[Threat],
        source: &str,
        end: u64,
        known: &Replication,
    ) -> Vec<Record> {
        let source = hash_bytes(source.as_bytes());
        threats.iter().map(|threat| self.record(threat, source, end, known)).collect()
    }

    fn record(&mut self, threat: &Threat, source: u64, end: u64, known: &Replication) -> Record {
        let before = self.counted.insert(threat.id, threat.count).unwrap_or_default();
        let added = threat.count.saturating_sub(before);
        let view = &self.view;
        let shared = self.shared.entry((threat.id, source)).or_insert_with(|| {
            let owner = view.owner(threat.entity.id().shard(view.shards()));
            let own = owner.is_some_and(|o| o.node == view.me());
            let segment = if own { OWNER } else { view.me() };
            let record = known.get(threat.id);
            let mut counts = record.iter().flat_map(Record::counts);
            let before = counts.find(|c| (c.source, c.segment) == (source, segment));
            before.copied().unwrap_or(Count { source, segment, offset: 0, verdicts: 0 })
        });
        // What another node counted up to here or farther is the same verdicts.
        if end > shared.offset {
            (shared.offset, shared.verdicts) = (end, shared.verdicts + added);
        }
        Record::of(threat, *shared)
    }

    /// Forgets threats that are no longer open.
    pub fn forget(&mut self, closed: &[ThreatId]) {
        for id in closed {
            self.counted.remove(id);
            let logs: Vec<(ThreatId, u64)> =
                self.shared.range((*id, 0)..=(*id, u64::MAX)).map(|(key, _)| *key).collect();
            for log in logs {
                self.shared.remove(&log);
            }
        }
    }
}
