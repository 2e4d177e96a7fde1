//! The detection of a node of a cluster, from its configuration to a running data path.

use super::config::NodeConfig;
use super::view::cluster_view;
use super::{Error, Running};
use crate::assembly::Parts;
use crate::datapath::{self, Bundles, Needs};
use crate::host::SystemClock;
use crate::host::output::Output;
use crate::host::usage;
use crate::recorder::{self, OUTPUT_CHECKPOINT};
use crate::rollout;
use crate::run::{LIVE_PATIENCE, MAX_SHARDS};
use actors::detection::models::{Learner, ModelHost, keep};
use actors::ports::{Clock, Off, Threads};
use detection::rules::RuleSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use store::Store;
use threat::{Label, SourceNames};

/// The file of threats, examples, models and the ledger of verdicts.
const EVENTS: &str = "events.redb";

/// Detection that runs until its node has to end.
pub type Detecting = Pin<Box<dyn Future<Output = Result<(), datapath::Error>> + Send>>;

/// Opens what a node's detection keeps, and makes it ready. What is given back judges events for as
/// long as it is polled; when it ends, the node has to.
///
/// # Errors
/// [`Error::Store`], [`Error::Output`].
pub async fn detect(
    config: &NodeConfig,
    running: &Running,
    rules: Arc<RuleSet>,
) -> Result<Detecting, Error> {
    let path = config.data.join(EVENTS);
    let store = Arc::new(Store::open(&path).map_err(|error| match error {
        store::Error::Corrupt { what } => Error::Events { path, what },
        other => other.into(),
    })?);
    let settings = &config.detection;
    let labels: Arc<[Label]> = store.view()?.labels()?.into();
    let keeper = Arc::new(Bundles(Arc::clone(&store)));
    let bundle = match recorder::latest_bundle(&store)? {
        None => None,
        Some(bundle) => {
            let kept = keep(keeper.as_ref(), Arc::new(bundle), &labels).await;
            kept.inspect_err(|e| tracing::error!("the last models are not used: {e}")).ok()
        }
    };
    let models = ModelHost::learning(bundle);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = if settings.shards == 0 { processors } else { settings.shards };
    let host = models.clone();
    let watch = running.models.begin(rollout::Needs {
        store: Arc::clone(&store),
        fabric: Arc::clone(&running.fabric),
        view: running.member.view(),
        me: running.member.me().clone(),
        host: models.clone(),
        budget: settings.budget,
        clock: Arc::clone(&clock),
    });
    let parts = Parts {
        shards: shards.clamp(1, MAX_SHARDS),
        rules,
        budget: settings.budget,
        patience: LIVE_PATIENCE,
        sources: SourceNames::default(),
        known: recorder::known_threats(&store)?,
        closes: true,
        models,
        learns: Some(Learner { host, keeper, seed: settings.seed, labels }),
        // The data path puts its own in its place.
        recorder: Arc::new(recorder::Nowhere),
        watch,
        // So is what it forecasts from.
        forecasts: None,
        buggify: Arc::new(Off),
        threads: Threads::default(),
        clock,
    };
    let needs = Needs {
        parts,
        output: output(config, &store)?,
        store,
        fabric: Arc::clone(&running.fabric),
        view: Arc::new(cluster_view(&running.member)),
        threats: Arc::clone(running.member.replication()),
        checkpoint_every: datapath::limits::CHECKPOINT_EVERY,
        processor_time: usage::processor_time,
    };
    let (data, models) = (Arc::clone(&running.data), Arc::clone(&running.models));
    Ok(Box::pin(async move {
        tokio::select! {
            ended = data.run(needs) => ended,
            ended = models.run() => match ended {
                Err(rollout::Error::Store(error)) => Err(error.into()),
                Err(error) => Err(datapath::Error::Ended(error.to_string())),
            },
        }
    }))
}

/// Findings go on where the store knows that they stood.
fn output(config: &NodeConfig, store: &Store) -> Result<Option<Output>, Error> {
    let Some(path) = &config.detection.output else { return Ok(None) };
    let name = format!("{OUTPUT_CHECKPOINT}{}", path.display());
    let known = store.view()?.checkpoint(&name)?.and_then(|b| b.try_into().ok());
    let opened = Output::resume(path, known.map_or(0, u64::from_le_bytes));
    Ok(Some(opened.map_err(|error| Error::Output { path: path.clone(), error })?))
}
