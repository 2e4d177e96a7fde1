//! One run of detection: from what a user asked for to the report of what was found.

use crate::assembly::{self, Node, Parts};
use crate::dealer::{self, Dealer, Done, Open, Shards};
use crate::host::output::Output;
use crate::host::{Datagrams, Place, SystemClock};
use crate::inputs::{Input, datagrams_name};
use crate::learn;
use crate::recorder::{self, OUTPUT_CHECKPOINT, SOURCE_CHECKPOINT, Shared, StoreRecorder, Telling};
use crate::report::model::RunReport;
use crate::reporting::{self, Story};
use actors::detection::models::{Learner, ModelHost, keep};
use actors::detection::threats::{Final, ThreatsMessage, View};
use actors::detection::watch::Nobody;
use actors::observe::Observed;
use actors::ports::{Buggify, Clock, Off, Threads};
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::rules::RuleSet;
use learning::{CLASS_MIN_ROWS, Settings};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use threat::{Label, SourceId, Text, Threat};
use tokio::sync::{oneshot, watch};

/// How long a detector may make no progress when events come live: rules take over within 100 ms,
/// of which the rest is for the ensemble's tick and for a busy machine's scheduler.
pub const LIVE_PATIENCE: Duration = Duration::from_millis(60);

/// The same when files are read to their end: a busy machine must not cost a file its votes.
pub const FILE_PATIENCE: Duration = Duration::from_secs(2);

/// Why a run did not complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The baseline cannot be learnt from.
    #[error("cannot learn from the baseline: {0}")]
    Baseline(#[from] learn::Error),
    /// The output cannot be written.
    #[error("{path}: {source}")]
    Output {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An input's position cannot be used.
    #[error(transparent)]
    Input(#[from] crate::inputs::Error),
    /// An actor did not start.
    #[error("the node did not start: {0}")]
    Start(String),
    /// The supervision tree gave up.
    #[error(
        "detection gave up: {0}; what was acknowledged is kept, and --follow goes on from there"
    )]
    GaveUp(String),
}

/// What a user asked for.
pub struct Request {
    /// What to read.
    pub places: Vec<(Place, Option<u64>)>,
    /// Streams to read beside them, by name: pipes of a caller in this process.
    pub readers: Vec<(String, Box<dyn Read + Send>)>,
    /// Sockets to take datagrams from beside them, without an end.
    pub listeners: Vec<Datagrams>,
    /// What could not be read, found before the run: name and reason.
    pub problems: Vec<(String, String)>,
    /// Keep reading.
    pub follow: bool,
    /// How to decode.
    pub options: intake::Options,
    /// Learn from these first.
    pub baseline: Vec<Place>,
    /// Use this bundle.
    pub bundle: Option<Arc<Bundle>>,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// How many false verdicts are accepted.
    pub budget: Budget,
    /// Where findings go.
    pub output: Option<PathBuf>,
    /// The state file; `None` keeps nothing.
    pub state: Option<PathBuf>,
    /// Shards; 0 is one for each processor.
    pub shards: usize,
    /// Seed of training.
    pub seed: u64,
    /// Learn while watching when there is no bundle.
    pub learns: bool,
    /// The command line, for the report.
    pub command: Vec<String>,
    /// Planted faults; [`Off`] in production.
    pub buggify: Arc<dyn Buggify>,
    /// Overrides how long a detector may make no progress.
    pub patience: Option<Duration>,
}

impl Request {
    /// Reads `places` to their end with the shipped rules and nothing else.
    pub fn new(places: Vec<(Place, Option<u64>)>, rules: Arc<RuleSet>, budget: Budget) -> Self {
        Self {
            places,
            readers: Vec::new(),
            listeners: Vec::new(),
            problems: Vec::new(),
            follow: false,
            options: intake::Options::default(),
            baseline: Vec::new(),
            bundle: None,
            rules,
            budget,
            output: None,
            state: None,
            shards: 0,
            seed: 0,
            learns: true,
            command: Vec::new(),
            buggify: Arc::new(Off),
            patience: None,
        }
    }

    /// Names of all sources, by their id.
    fn source_names(&self) -> Vec<String> {
        let places = self.places.iter().map(|(place, _)| place.to_string());
        let readers = self.readers.iter().map(|(name, _)| name.clone());
        places.chain(readers).chain(self.listeners.iter().map(datagrams_name)).collect()
    }
}

/// What can be watched while a run goes on.
#[derive(Clone)]
pub struct Progress {
    /// What was read.
    pub reading: Observed<dealer::View>,
    /// Where the node's actors are listed.
    pub directory: actors::observe::Directory,
    /// The models.
    pub models: ModelHost,
}

impl Progress {
    /// What was judged so far.
    pub fn judged(&self) -> Option<View> {
        self.directory.read::<View>("node/detection/threats").map(|(v, _)| *v)
    }
}

/// Runs until the inputs end or `stop` turns true. `watcher` is told once how to watch.
///
/// # Errors
/// When the run could not complete; what was acknowledged before is kept.
pub async fn run(
    mut request: Request,
    stop: watch::Receiver<bool>,
    watcher: impl FnOnce(Progress),
) -> Result<RunReport, Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let store = request.state.as_deref().map(Store::open).transpose()?.map(Arc::new);
    let started = clock.wall();
    let recorder = Shared(Arc::new(recorder_of(&request, store.clone(), started)?));
    let (models, labels) = models_of(&mut request, store.as_deref(), &recorder).await?;
    let known = match &store {
        Some(store) if request.follow => recorder::known_threats(store)?,
        _ => Vec::new(),
    };
    recorder.0.resume(&known);
    let node = assembly::start(parts(&request, &recorder, (&models, labels), known, &clock))
        .await
        .map_err(|e| Error::Start(e.to_string()))?;
    let reading = Observed::new(Arc::clone(&clock), dealer::View::default());
    watcher(Progress {
        reading: reading.clone(),
        directory: node.directory.clone(),
        models: models.clone(),
    });
    let shards = Shards {
        shards: node.shards.clone(),
        threats: node.threats.clone(),
        models: models.clone(),
    };
    let inputs = openers(&mut request, store.as_deref())?;
    let mut dealer =
        Dealer::new(inputs, !request.follow, shards, Arc::clone(&clock), reading.clone());
    let (found, node) = deal_all(&mut dealer, node, stop).await?;
    node.stop().await;
    let mut done: Vec<Done> = request
        .problems
        .iter()
        .map(|(name, why)| Done {
            name: name.clone(),
            problems: vec![why.clone()],
            ..Done::default()
        })
        .collect();
    done.extend(dealer.into_done());
    Ok(reporting::report(Story {
        request: &request,
        started,
        finished: clock.wall(),
        elapsed: clock.now(),
        done,
        found,
        kept: recorder.0.take_kept(),
        bundle: models.current(),
        held_back: reading.read().0.held_back,
    }))
}

/// The bundle to begin with, put into the request, and the labels that later ones are taught, too.
async fn models_of(
    request: &mut Request,
    store: Option<&Store>,
    recorder: &Shared,
) -> Result<(ModelHost, Arc<[Label]>), Error> {
    if !request.baseline.is_empty() {
        let origin =
            request.baseline.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let class_rows = CLASS_MIN_ROWS;
        let settings = Settings { seed: request.seed, version: 1, origin, class_rows };
        let (bundle, _) = learn::bundle(&request.baseline, &request.options, settings).await?;
        request.bundle = Some(Arc::new(bundle));
    }
    if let (None, true, Some(store)) = (&request.bundle, request.follow, store) {
        request.bundle = recorder::latest_bundle(store)?.map(Arc::new);
    }
    let labels: Arc<[Label]> = match store {
        Some(store) => store.view()?.labels()?.into(),
        None => Arc::default(),
    };
    if let Some(bundle) = request.bundle.take() {
        let kept = keep(recorder, bundle, &labels).await;
        request.bundle = Some(kept.map_err(|e| Error::GaveUp(e.to_string()))?);
    }
    let models = match &request.bundle {
        None if request.learns => ModelHost::learning(None),
        bundle => ModelHost::new(bundle.clone()),
    };
    Ok((models, labels))
}

/// Deals everything, then asks the threats actor what was found. Ends early when the tree does.
async fn deal_all(
    dealer: &mut Dealer,
    mut node: Node,
    stop: watch::Receiver<bool>,
) -> Result<(Final, Node), Error> {
    let dealt = tokio::select! {
        dealt = dealer.run(stop) => dealt?,
        _ended = &mut node.ended => return Err(gave_up(&node)),
    };
    let (reply, answer) = oneshot::channel();
    if node.threats.send(ThreatsMessage::Finish(dealt, reply)).is_err() {
        return Err(gave_up(&node));
    }
    tokio::select! {
        answer = answer => match answer {
            Ok(found) => Ok((found, node)),
            Err(_) => Err(gave_up(&node)),
        },
        _ended = &mut node.ended => Err(gave_up(&node)),
    }
}

fn gave_up(node: &Node) -> Error {
    let failures = node.directory.list().into_iter().flat_map(|l| {
        let path = l.path;
        l.failures.into_iter().map(move |f| (f.at, format!("{path}: {:?}", f.reason)))
    });
    let first = failures.min_by_key(|(at, _)| *at).map(|(_, what)| what);
    Error::GaveUp(first.unwrap_or_else(|| "the supervision tree ended".into()))
}

fn recorder_of(
    request: &Request,
    store: Option<Arc<Store>>,
    started: threat::Timestamp,
) -> Result<StoreRecorder, Error> {
    let telling = if request.follow { Telling::AsTheyCome } else { Telling::AtTheEnd };
    let output = match &request.output {
        None => None,
        Some(path) if path.as_os_str() == "-" => Some(Output::stdout()),
        Some(path) => {
            let stored = match &store {
                Some(store) if request.follow => {
                    store.view()?.checkpoint(&format!("{OUTPUT_CHECKPOINT}{}", path.display()))?
                }
                _ => None,
            };
            let length = stored.and_then(|b| Some(u64::from_le_bytes(b.try_into().ok()?)));
            let opened = match length {
                Some(length) => Output::resume(path, length),
                None => Output::create(path),
            };
            Some(opened.map_err(|source| Error::Output { path: path.clone(), source })?)
        }
    };
    let run = if request.follow { String::new() } else { format!("run {}/", started.micros()) };
    Ok(StoreRecorder::new(store, output, run, request.source_names(), telling))
}

fn parts(
    request: &Request,
    recorder: &Shared,
    (models, labels): (&ModelHost, Arc<[Label]>),
    known: Vec<Threat>,
    clock: &Arc<dyn Clock>,
) -> Parts {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = if request.shards == 0 { processors.min(MAX_SHARDS) } else { request.shards };
    let learns = request.learns && request.bundle.is_none();
    let patience = if request.follow { LIVE_PATIENCE } else { FILE_PATIENCE };
    Parts {
        shards: shards.clamp(1, MAX_SHARDS),
        rules: Arc::clone(&request.rules),
        budget: request.budget,
        patience: request.patience.unwrap_or(patience),
        sources: request.source_names().into_iter().map(Text::from).collect(),
        known,
        closes: request.follow,
        models: models.clone(),
        learns: learns.then(|| Learner {
            host: models.clone(),
            keeper: Arc::new(recorder.clone()),
            seed: request.seed,
            labels,
        }),
        recorder: Arc::new(recorder.clone()),
        watch: Arc::new(Nobody),
        forecasts: None,
        buggify: Arc::clone(&request.buggify),
        threads: Threads::default(),
        clock: Arc::clone(clock),
    }
}

/// Shards at most: more threads than this wait for the one that reads and the one that folds.
pub const MAX_SHARDS: usize = 16;

/// What opens each input when its turn comes.
fn openers(request: &mut Request, store: Option<&Store>) -> Result<Vec<Open>, Error> {
    let mut openers: Vec<Open> = Vec::new();
    for (number, (place, _)) in request.places.iter().enumerate() {
        let (id, options) = (SourceId(number as u32), request.options.clone());
        let place = place.clone();
        let stored = match (store, request.follow) {
            (Some(store), true) => {
                store.view()?.checkpoint(&format!("{SOURCE_CHECKPOINT}{place}"))?
            }
            _ => None,
        };
        let follow = request.follow;
        openers.push(Box::new(move || {
            let name = place.to_string();
            let opened = match &place {
                Place::File(path) if follow => Input::follow(id, path, &options, stored.as_deref()),
                _ => Input::once(id, &place, &options),
            };
            opened.map_err(|e| (name, e))
        }));
    }
    for (number, (name, reader)) in std::mem::take(&mut request.readers).into_iter().enumerate() {
        let id = SourceId((request.places.len() + number) as u32);
        let options = request.options.clone();
        openers.push(Box::new(move || {
            Input::reader(id, name.clone(), reader, &options).map_err(|e| (name, e))
        }));
    }
    let before = openers.len();
    for (number, datagrams) in std::mem::take(&mut request.listeners).into_iter().enumerate() {
        let id = SourceId((before + number) as u32);
        let options = request.options.clone();
        openers.push(Box::new(move || Ok(Input::datagrams(id, datagrams, &options))));
    }
    Ok(openers)
}
