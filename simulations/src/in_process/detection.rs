//! Detection of a node in this world: the data path and the supervised actors of production, over a
//! simulated disk, without learned models. It judges what clients send, and each verdict is seen.

use super::host::Common;
use super::part::Told;
use super::seen::{Seen, seen};
use crate::ingest::{LINE, about, client_of};
use crate::journal::{Judged, Source, What};
use crate::plan::Micros;
use actors::detection::models::ModelHost;
use actors::detection::watch::Watch;
use actors::ports::{Clock, Off, Threads};
use cluster::coordinator::{self, TokioClock};
use cluster::fabric::Fabric;
use cluster::member::Member;
use detection::calibration::Budget;
use detection::features::FeatureBatch;
use detection::rules::RuleSet;
use node::assembly::Parts;
use node::datapath::{ClusterView, DataPath, Needs};
use node::membership::cluster_view;
use node::{recorder, run};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use threat::{Ballot, SourceNames, Timestamp, Verdict, VerdictSource};

/// What it takes to judge.
pub struct Detecting {
    pub at: usize,
    pub data: Arc<DataPath>,
    pub store: Arc<Store>,
    pub rules: Arc<RuleSet>,
    pub seen: Arc<Mutex<Seen>>,
    pub wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub checkpoint_every: Duration,
}

/// The rules of all nodes: those that come with the program.
pub fn rules() -> Arc<RuleSet> {
    Arc::new(RuleSet::load(true, &[]).0)
}

impl Detecting {
    /// Opens what its disk has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(
        (at, data): (usize, Arc<DataPath>),
        disk: &store::sim::SimDisk,
        common: &Common,
        wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> store::Result<Self> {
        Ok(Self {
            at,
            data,
            store: Arc::new(Store::with_backend(disk.backend())?),
            rules: Arc::clone(&common.rules),
            seen: Arc::clone(&common.seen),
            wall,
            checkpoint_every: Duration::from_micros(common.plan.tuning.compare_every),
        })
    }

    /// Judges until the process ends, which it has to when this gives up.
    pub async fn run(self, member: &Member, fabric: Arc<Fabric>, told: Arc<Told>) {
        let view: Arc<dyn ClusterView> = Arc::new(cluster_view(member));
        let sources = SourceNames::default();
        let clock = Arc::new(Virtual { steady: TokioClock::start(), wall: self.wall });
        let watch = Watcher {
            at: self.at,
            seen: Arc::clone(&self.seen),
            sources: sources.clone(),
            view: Arc::clone(&view),
        };
        let known = recorder::known_threats(&self.store);
        let parts = known.map(|known| Parts {
            shards: 1,
            rules: self.rules,
            budget: Budget::PerMillion(10.0),
            patience: run::LIVE_PATIENCE,
            sources,
            known,
            closes: true,
            models: ModelHost::new(None),
            learns: None,
            // The data path puts its own in its place.
            recorder: Arc::new(recorder::Nowhere),
            watch: Arc::new(watch),
            // So is what it forecasts from.
            forecasts: None,
            buggify: Arc::new(Off),
            threads: Threads::Caller,
            clock,
        });
        if let Ok(parts) = parts {
            let needs = Needs {
                parts,
                store: self.store,
                output: None,
                fabric,
                view,
                threats: Arc::clone(member.replication()),
                checkpoint_every: self.checkpoint_every,
                processor_time: || Duration::ZERO,
            };
            // As a node's main program does: without detection there is no node.
            if let Err(error) = self.data.run(needs).await {
                let what = format!("detection ended: {error}");
                seen(&self.seen).note(self.at, What::Broken { invariant: "X1", what });
            }
        }
        told.fatal.store(true, Ordering::Relaxed);
    }
}

/// A process's clocks, as the world turns them.
struct Virtual {
    steady: TokioClock,
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl std::fmt::Debug for Virtual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Virtual")
    }
}

impl Clock for Virtual {
    fn now(&self) -> Duration {
        coordinator::Clock::now(&self.steady)
    }

    fn wall(&self) -> Timestamp {
        (self.wall)()
    }
}

/// Writes verdicts down as they are made.
struct Watcher {
    at: usize,
    seen: Arc<Mutex<Seen>>,
    sources: SourceNames,
    view: Arc<dyn ClusterView>,
}

impl Watch for Watcher {
    fn decided(&self, features: &Arc<FeatureBatch>, verdicts: &[Verdict], took: Duration) {
        let batch = &features.batch;
        let Some(client) = self.sources.get(batch.source).and_then(|s| client_of(&s)) else {
            return;
        };
        let mut seen = seen(&self.seen);
        let (plan, now) = (Arc::clone(&seen.plan), seen.now());
        let Some(workload) = plan.workload_of(client as usize) else { return };
        let epochs: BTreeMap<u32, u64> = self.view.acting();
        for verdict in verdicts {
            let Some(event) = batch.events.get(verdict.event as usize) else { continue };
            let shard = event.entity().id().shard(self.view.shards());
            let Some(owner) = self.view.owner(shard) else { continue };
            let line = event.position.offset / LINE;
            let (host, truth) = about(&plan, (client as usize, workload), line);
            let voted = |ballot: &Ballot| matches!(ballot, Ballot::Voted { .. });
            let dealt = now.saturating_sub(took.as_micros() as Micros);
            seen.note(
                self.at,
                What::Verdict(Judged {
                    source: client,
                    offset: line + 1,
                    workload: owner.workload,
                    epoch: epochs.get(&owner.workload).copied().unwrap_or_default(),
                    taken: dealt,
                    dealt,
                    decided: now,
                    bundle: verdict.bundle,
                    host,
                    truth,
                    voted: verdict.votes.iter().filter(|vote| voted(&vote.ballot)).count() as u32,
                    by: match verdict.source {
                        VerdictSource::Ml => Source::Ml,
                        VerdictSource::Rules => Source::Rules,
                    },
                    threat: verdict.threat,
                }),
            );
        }
    }
}
