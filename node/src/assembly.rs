//! The node's actors: declared as data, started, and handed out by reference.
//!
//! ```text
//! node
//! ├─ detection
//! │  ├─ threats
//! │  └─ shard[i]
//! │     ├─ ensemble
//! │     ├─ features
//! │     └─ detectors ── forest, sequence, bayes, neighbours, users, labelled
//! └─ response        (nodes of a cluster)
//!    └─ forecaster
//! ```
//! A detector's exit is mended by its supervisor: its shard's entities and all batches on their way
//! are elsewhere. Features, ensemble and threats hold batches that have no verdict yet, so their
//! exits escalate at once: the node ends, and its next start goes on from the last barrier. What is
//! done with findings is never a reason to stop finding: its actors are started again for ever.

use actors::detection::detector::Detector;
use actors::detection::ensemble::EnsembleActor;
use actors::detection::features::Features;
use actors::detection::models::{Learner, ModelHost};
use actors::detection::recorder::Recorder;
use actors::detection::threats::{Threats, ThreatsMessage};
use actors::detection::watch::Watch;
use actors::detection::{DetectorMessage, EnsembleMessage, FeaturesMessage};
use actors::mailbox::{CreditedRef, Inbox};
use actors::observe::{Directory, Observed};
use actors::ports::{Buggify, Clock, Threads};
use actors::response::forecaster::{Forecaster, ForecasterMessage, Hours};
use actors::supervise::{Child, Context, Message, root};
use actors::worker::Abandoned;
use detection::calibration::Budget;
use detection::features::Limits;
use detection::rules::RuleSet;
use flow::breaker;
use flow::supervision::{Backoff, Intensity, Policy, Strategy};
use flow::tree::Spec;
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use threat::limits::SHARD_CREDITS;
use threat::{DetectorKind, SourceNames, Threat};
use tokio::task::JoinHandle;

/// Any exit of these escalates: what they held has no verdict, and only a start from the last
/// barrier gives it one.
const FRAGILE: Policy = Policy {
    strategy: Strategy::OneForAll,
    intensity: Intensity { restarts: 0, window: Duration::from_secs(1) },
    backoff: Policy::new(Strategy::OneForAll).backoff,
};

/// A detector comes back within 100 ms of its first exit. One that dies again and again is slowed
/// down by its back-off to a restart every few seconds, at most 31 in the window: alone it never
/// escalates, since the two other voters go on without it. Two such leave no vote to be had, and
/// more than 40 restarts in the window escalate and end the node.
pub const DETECTORS: Policy = Policy {
    strategy: Strategy::OneForOne,
    intensity: Intensity { restarts: 40, window: Duration::from_secs(60) },
    backoff: Backoff {
        first: Duration::from_millis(20),
        factor: 2.0,
        max: Duration::from_secs(5),
        jitter: 0.5,
        healthy: Duration::from_secs(5),
    },
};

/// Comes back for ever: with such pauses there are never as many restarts within the window. Each
/// goes on from what was kept in the hour before.
pub const RESPONSE: Policy = Policy {
    strategy: Strategy::OneForOne,
    intensity: Intensity { restarts: 20, window: Duration::from_secs(60) },
    backoff: Backoff {
        first: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(300),
        jitter: 0.5,
        healthy: Duration::from_secs(600),
    },
};

/// What a node's forecasts are made from, and where the forecaster is asked.
#[derive(Clone)]
pub struct Forecasts {
    /// What was seen.
    pub hours: Arc<dyn Hours>,
    /// The forecaster.
    pub inbox: Inbox<ForecasterMessage>,
}

/// What a node's detection is made of.
#[derive(Clone)]
pub struct Parts {
    /// Slices of entities, each with its own state and threads.
    pub shards: usize,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// How many false verdicts the user accepts.
    pub budget: Budget,
    /// How long a detector may make no progress.
    pub patience: Duration,
    /// Names of the sources, by id.
    pub sources: SourceNames,
    /// Threats found before, to go on with.
    pub known: Vec<Threat>,
    /// Gives threats up when their hour is over.
    pub closes: bool,
    /// The models.
    pub models: ModelHost,
    /// Who learns from what is watched; `None` when nothing is to be learnt.
    pub learns: Option<Learner>,
    /// Makes records durable.
    pub recorder: Arc<dyn Recorder>,
    /// Sees verdicts as they are made.
    pub watch: Arc<dyn Watch>,
    /// What is forecast from; `None` outside of a cluster.
    pub forecasts: Option<Forecasts>,
    /// Planted faults.
    pub buggify: Arc<dyn Buggify>,
    /// Where scoring is done, and what waits for disks.
    pub threads: Threads,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

/// A running node.
pub struct Node {
    /// Where its actors are listed.
    pub directory: Directory,
    /// The features actor of each shard.
    pub shards: Vec<CreditedRef<FeaturesMessage>>,
    /// The threats actor.
    pub threats: Inbox<ThreatsMessage>,
    /// Threads left behind.
    pub abandoned: Arc<Abandoned>,
    root: ActorRef<Message>,
    /// Done when the tree has ended.
    pub ended: JoinHandle<()>,
}

/// The declared tree; `forecasts` for nodes of a cluster.
pub fn declared(shards: usize, forecasts: bool) -> Spec {
    let detectors = DetectorKind::ALL.map(|kind| Spec::worker(kind.name()));
    let shard = |i: usize| {
        Spec::supervisor(
            format!("shard[{i}]"),
            FRAGILE,
            [
                Spec::worker("ensemble"),
                Spec::worker("features"),
                Spec::supervisor("detectors", DETECTORS, detectors.clone()),
            ],
        )
    };
    let children = [Spec::worker("threats")].into_iter().chain((0..shards).map(shard));
    let mut branches = vec![Spec::supervisor("detection", FRAGILE, children)];
    if forecasts {
        branches.push(Spec::supervisor("response", RESPONSE, [Spec::worker("forecaster")]));
    }
    Spec::supervisor("node", FRAGILE, branches)
}

/// The references of one shard, which outlive its actors' incarnations.
#[derive(Clone)]
struct Shard {
    features: Inbox<FeaturesMessage>,
    ensemble: Inbox<EnsembleMessage>,
    detectors: BTreeMap<DetectorKind, Inbox<DetectorMessage>>,
}

impl Shard {
    fn new() -> Self {
        let detectors = DetectorKind::ALL.into_iter().map(|kind| (kind, Inbox::new())).collect();
        Self { features: Inbox::new(), ensemble: Inbox::new(), detectors }
    }
}

/// Starts all actors.
///
/// # Errors
/// When an actor does not start.
pub async fn start(parts: Parts) -> Result<Node, ractor::SpawnErr> {
    let directory = Directory::new();
    let context =
        Context { clock: Arc::clone(&parts.clock), directory: directory.clone(), seed: 1 };
    let threats: Inbox<ThreatsMessage> = Inbox::new();
    let abandoned = Arc::new(Abandoned::default());
    let shards: Vec<Shard> = (0..parts.shards).map(|_| Shard::new()).collect();
    let dealt_to = shards.iter().map(|s| s.features.credited(SHARD_CREDITS)).collect();
    let detection = {
        let (parts, threats, abandoned) = (parts.clone(), threats.clone(), Arc::clone(&abandoned));
        Child::supervisor("detection", FRAGILE, move || {
            let mut children = vec![threats_child(&parts, &threats)];
            for (i, shard) in shards.iter().enumerate() {
                children.push(shard_child(i, shard, &parts, &threats, &abandoned));
            }
            children
        })
    };
    let mut branches = vec![detection];
    branches.extend(parts.forecasts.clone().map(|forecasts| response(forecasts, &parts)));
    let (root, ended) = root("node", FRAGILE, branches, context).await?;
    Ok(Node { directory, shards: dealt_to, threats, abandoned, root, ended })
}

impl Node {
    /// Stops all actors, children first, and waits for their end.
    pub async fn stop(mut self) {
        self.root.stop(None);
        // A tree that panicked while it stopped has stopped.
        let _panicked = (&mut self.ended).await.is_err();
    }
}

impl Drop for Node {
    /// Nobody deals to its actors any more: they stop, and let go of the store.
    fn drop(&mut self) {
        self.root.stop(None);
    }
}

fn response(forecasts: Forecasts, parts: &Parts) -> Child {
    let (clock, threads) = (Arc::clone(&parts.clock), parts.threads);
    Child::supervisor("response", RESPONSE, move || {
        let (Forecasts { hours, inbox }, clock) = (forecasts.clone(), Arc::clone(&clock));
        vec![Child::worker("forecaster", &inbox.clone(), move |place| {
            let observed = Observed::new(Arc::clone(&clock), Default::default());
            place.context.directory.attach(&place.path, observed.clone());
            let actor = Forecaster {
                hours: Arc::clone(&hours),
                settings: forecast::Settings::default(),
                clock: Arc::clone(&clock),
                threads,
                observed,
            };
            (actor, inbox.clone())
        })]
    })
}

fn threats_child(parts: &Parts, inbox: &Inbox<ThreatsMessage>) -> Child {
    let parts = parts.clone();
    Child::worker("threats", inbox, move |place| {
        let observed = Observed::new(Arc::clone(&parts.clock), Default::default());
        place.context.directory.attach(&place.path, observed.clone());
        let actor = Threats {
            rules: Arc::clone(&parts.rules),
            budget: parts.budget,
            sources: parts.sources.clone(),
            known: parts.known.clone(),
            closes: parts.closes,
            learns: parts.learns.clone(),
            recorder: Arc::clone(&parts.recorder),
            watch: Arc::clone(&parts.watch),
            clock: Arc::clone(&parts.clock),
            observed,
        };
        (actor, ())
    })
}

fn shard_child(
    index: usize,
    shard: &Shard,
    parts: &Parts,
    threats: &Inbox<ThreatsMessage>,
    abandoned: &Arc<Abandoned>,
) -> Child {
    let (shard, parts, threats) = (shard.clone(), parts.clone(), threats.clone());
    let abandoned = Arc::clone(abandoned);
    Child::supervisor(format!("shard[{index}]"), FRAGILE, move || {
        let detectors = {
            let (shard, parts, abandoned) = (shard.clone(), parts.clone(), Arc::clone(&abandoned));
            Child::supervisor("detectors", DETECTORS, move || {
                shard
                    .detectors
                    .iter()
                    .map(|(&kind, inbox)| {
                        detector_child(kind, index, inbox, &shard.ensemble, &parts, &abandoned)
                    })
                    .collect()
            })
        };
        vec![ensemble_child(&shard, &parts, &threats), features_child(&shard, &parts), detectors]
    })
}

fn ensemble_child(shard: &Shard, parts: &Parts, threats: &Inbox<ThreatsMessage>) -> Child {
    let (inbox, shard, parts, threats) =
        (shard.ensemble.clone(), shard.clone(), parts.clone(), threats.clone());
    Child::worker("ensemble", &inbox.clone(), move |place| {
        let observed = Observed::new(Arc::clone(&parts.clock), Default::default());
        place.context.directory.attach(&place.path, observed.clone());
        let actor = EnsembleActor {
            budget: parts.budget,
            patience: parts.patience,
            breaker: breaker::Settings::default(),
            detectors: shard.detectors.clone(),
            threats: threats.clone(),
            clock: Arc::clone(&parts.clock),
            observed,
        };
        (actor, inbox.clone())
    })
}

fn features_child(shard: &Shard, parts: &Parts) -> Child {
    let (ensemble, parts) = (shard.ensemble.clone(), parts.clone());
    Child::worker("features", &shard.features, move |place| {
        let observed = Observed::new(Arc::clone(&parts.clock), Default::default());
        place.context.directory.attach(&place.path, observed.clone());
        let actor = Features {
            limits: Limits::per_shard(parts.shards),
            rules: Arc::clone(&parts.rules),
            ensemble: ensemble.clone(),
            observed,
        };
        (actor, ())
    })
}

fn detector_child(
    kind: DetectorKind,
    shard: usize,
    inbox: &Inbox<DetectorMessage>,
    ensemble: &Inbox<EnsembleMessage>,
    parts: &Parts,
    abandoned: &Arc<Abandoned>,
) -> Child {
    let (ensemble, parts, abandoned) = (ensemble.clone(), parts.clone(), Arc::clone(abandoned));
    Child::worker(kind.name(), inbox, move |place| {
        let observed = Observed::new(Arc::clone(&parts.clock), None);
        place.context.directory.attach(&place.path, observed.clone());
        let actor = Detector {
            kind,
            name: format!("{}-{shard}", kind.name()),
            ensemble: ensemble.clone(),
            clock: Arc::clone(&parts.clock),
            abandoned: Arc::clone(&abandoned),
            buggify: Arc::clone(&parts.buggify),
            threads: parts.threads,
            observed,
        };
        (actor, ())
    })
}
