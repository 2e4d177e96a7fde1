//! Events over several nodes: whoever takes bytes of a source decodes them and hands each event to
//! the node that owns its entity; that judges it, keeps the verdict, has copies of it placed, and
//! answers. What is acknowledged has a verdict as durable as was asked.
//!
//! ```text
//! sender ─Append─> ingest ─Part─> engine ──> detection ──> keeper ──> placing ─Keep─> other nodes
//!        <─how far─        <─judged──────────────────────────────────────┘
//! ```
//! Everything on the way is bounded, and what is full holds back what comes before it, up to the
//! sender. Each request may be repeated: what was judged before is known by its offset.

mod carrying;
mod checkpoints;
mod copies;
mod engine;
mod events;
mod fetching;
mod handled;
mod hours;
mod ingest;
mod keeper;
pub mod limits;
pub mod message;
mod sharing;
mod split;
mod view;

pub use engine::Error;
pub use events::read as read_events;
pub use hours::history;
pub use keeper::Bundles;
pub use split::{Portion, Route, messages, split};
pub use view::{ClusterView, Owner, Peer};

use crate::assembly::{Forecasts, Parts};
use crate::host::output::Output;
use actors::mailbox::Inbox;
use actors::ports::Threads;
use actors::response::forecaster::{ForecasterMessage, Wanted};
use carrying::Carrying;
use checkpoints::Checkpoints;
use cluster::fabric::{Answer, BoxFuture, Caller, Fabric, Lane, Who};
use cluster::replication::Replication;
use copies::Placing;
use engine::{Engine, Making};
use hours::Counted;
use ingest::{Append, Ingest};
use keeper::{Keeper, Shared};
use limits::{APPENDS, FORECASTS, HEADS, JUDGED, PRICED, SOURCE_BYTES, TAKEN};
use message::{Ask, Told};
use regions::control_log::limits::WORKLOADS;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::Store;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

/// The data path of a node: answers on the data lane once it runs.
pub struct DataPath {
    running: OnceLock<Running>,
    appends: Semaphore,
}

struct Running {
    ingest: Arc<Ingest>,
    store: Arc<Store>,
    threats: Arc<Replication>,
    checkpoints: Arc<Checkpoints>,
    keeper: Arc<Keeper>,
    processor_time: fn() -> Duration,
    forecaster: Inbox<ForecasterMessage>,
    forecasts: Semaphore,
    threads: Threads,
}

/// What a data path needs to run.
pub struct Needs {
    /// The actors' parts but for the recorder, which the data path brings.
    pub parts: Parts,
    /// Where verdicts are kept.
    pub store: Arc<Store>,
    /// Where findings are told, if anywhere.
    pub output: Option<Output>,
    /// The way to other nodes.
    pub fabric: Arc<Fabric>,
    /// The cluster.
    pub view: Arc<dyn ClusterView>,
    /// The threats that all nodes share.
    pub threats: Arc<Replication>,
    /// How often what detection remembers of entities is taken and sent on.
    pub checkpoint_every: Duration,
    /// How much processor time this process has used.
    pub processor_time: fn() -> Duration,
}

impl Default for DataPath {
    fn default() -> Self {
        Self { running: OnceLock::new(), appends: Semaphore::new(APPENDS) }
    }
}

impl DataPath {
    /// Runs until it is dropped or fails. Until then, and before, what is asked is refused.
    ///
    /// # Errors
    /// When an actor gives up or the disk fails: the node has to end.
    pub async fn run(self: Arc<Self>, needs: Needs) -> Result<(), Error> {
        let Needs { mut parts, store, output, fabric, view, threats, .. } = needs;
        let Needs { checkpoint_every, processor_time, .. } = needs;
        let threads = parts.threads;
        let checkpoints = Arc::new(Checkpoints::open(Arc::clone(&store), threads)?);
        let (judged, placed) = mpsc::channel(JUDGED);
        let keeper = Arc::new(Keeper::new(
            Arc::clone(&store),
            Arc::clone(&threats),
            Arc::clone(&view),
            output,
            judged,
            (threads, Arc::clone(&parts.clock)),
        ));
        keeper.resume(&parts.known);
        parts.recorder = Arc::new(Shared(Arc::clone(&keeper)));
        let forecaster = Inbox::new();
        let hours = Counted::of(&store, &fabric, &view, threads);
        parts.forecasts = Some(Forecasts { hours: Arc::new(hours), inbox: forecaster.clone() });
        let mut placing = JoinSet::new();
        let (way, around) = (Arc::clone(&fabric), Arc::clone(&view));
        placing.spawn(Placing::new(way, around, Arc::clone(&threats)).run(placed));
        let (taken, carried) = mpsc::channel(TAKEN);
        let carrying = Carrying {
            fabric: Arc::clone(&fabric),
            view: Arc::clone(&view),
            keeper: Arc::clone(&keeper),
            checkpoints: Arc::clone(&checkpoints),
            clock: Arc::clone(&parts.clock),
        };
        let mut carries = JoinSet::new();
        carries.spawn(carrying.run(carried));
        let making = Making {
            parts,
            keeper: Arc::clone(&keeper),
            store: Arc::clone(&store),
            threats: Arc::clone(&threats),
            view: Arc::clone(&view),
            fabric: Arc::clone(&fabric),
            checkpoints: Arc::clone(&checkpoints),
            checkpoint_every,
            taken,
        };
        let (engine, dealing) = Engine::start(making).await?;
        let ingest = Arc::new(Ingest { engine, fabric, view, under_way: Default::default() });
        // It runs once.
        let forecasts = Semaphore::new(FORECASTS);
        let running = Running {
            ingest,
            store,
            threats,
            checkpoints,
            keeper,
            processor_time,
            forecaster,
            forecasts,
            threads,
        };
        let _ = self.running.set(running);
        tokio::select! {
            ended = dealing => ended,
            Some(ended) = carries.join_next() => match ended {
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(())) => Err(Error::Ended("nothing takes the state of entities".into())),
                Err(error) => Err(Error::Ended(error.to_string())),
            },
        }
    }

    async fn answer(&self, caller: &Caller, request: Vec<u8>) -> Told {
        let Some(running) = self.running.get() else {
            return Told::Waits("this node's detection is starting".into());
        };
        let (ask, behind) = match message::decode(&request) {
            Ok(decoded) => decoded,
            Err(error) => return Told::Refused(format!("not a message: {error}")),
        };
        let is_node = matches!(caller.identity.who, Who::Node { .. });
        match ask {
            Ask::Append { source, durability, options, at, last } => {
                // It is never closed.
                let Ok(_room) = self.appends.acquire().await else {
                    return Told::Refused("this node is about to end".into());
                };
                let append = Append { source, durability, options, at, last };
                running.ingest.append(append, behind).await
            }
            Ask::Ledger { source } => running.ledger(source.to_string()).await,
            Ask::Part { .. }
            | Ask::Keep(_)
            | Ask::Checkpoint(_)
            | Ask::Held
            | Ask::Fetch { .. }
            | Ask::HourHeads { .. }
            | Ask::Hours(_)
                if !is_node =>
            {
                Told::Refused("this is between nodes".into())
            }
            Ask::Part { source, .. } if source.len() > SOURCE_BYTES => {
                Told::Refused(format!("a source's name has at most {SOURCE_BYTES} bytes"))
            }
            Ask::Part { source, durability } => match events::read(behind) {
                Ok(batches) => running.ingest.judge_here(source, durability, batches).await,
                Err(error) => Told::Refused(format!("not a message: {error}")),
            },
            Ask::Keep(copies) => running.keep(copies).await,
            Ask::Checkpoint(part) => running.hold(part).await,
            Ask::Held => Told::Held(running.checkpoints.marks().into_iter().collect()),
            Ask::Fetch { workload, after } => running.part(workload, after).await,
            Ask::HourHeads { after } => {
                let heads = move |view: store::View| view.hour_heads(after, false, HEADS);
                running.read(heads, Told::HourHeads).await
            }
            Ask::Hours(of) => running.read(move |view| view.hours(&of), Told::Hours).await,
            Ask::Forecasts(wanted) => running.forecasts(wanted).await,
        }
    }
}

impl Running {
    async fn keep(&self, copies: message::Copies) -> Told {
        // Before the ledger, which says that they are there.
        if let Err(error) = self.threats.fold(copies.threats).await {
            return Told::Refused(error.to_string());
        }
        let (store, ledger) = (Arc::clone(&self.store), copies.ledger);
        let kept = self.threads.wait(move || copies::keep(&store, ledger)).await;
        match kept {
            Ok(Ok(())) => Told::Kept,
            Ok(Err(error)) => Told::Refused(error.to_string()),
            Err(error) => Told::Refused(error.to_string()),
        }
    }

    async fn hold(&self, part: Box<message::Checkpoint>) -> Told {
        if part.workload as usize >= WORKLOADS {
            return Told::Refused(format!("there is no workload {}", part.workload));
        }
        let whole = part.last.then_some((part.epoch, part.sequence));
        match self.checkpoints.aside(move |checkpoints| checkpoints.hold(&part)).await {
            Ok(Ok(mark)) => {
                if whole == Some(mark) {
                    self.ingest.view.held();
                }
                Told::Stands(mark.0, mark.1)
            }
            Ok(Err(error)) => Told::Refused(error.to_string()),
            Err(error) => Told::Refused(error.to_string()),
        }
    }

    async fn part(&self, workload: u32, after: Option<(u8, u64)>) -> Told {
        match self.checkpoints.aside(move |checkpoints| checkpoints.part(workload, after)).await {
            Ok(Ok(part)) => Told::Part(Box::new(part)),
            Ok(Err(error)) => Told::Refused(error.to_string()),
            Err(error) => Told::Refused(error.to_string()),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(store::View) -> store::Result<T> + Send + 'static,
        told: impl FnOnce(T) -> Told,
    ) -> Told {
        let store = Arc::clone(&self.store);
        match self.threads.wait(move || read(store.view()?)).await {
            Ok(Ok(found)) => told(found),
            Ok(Err(error)) => Told::Refused(error.to_string()),
            Err(error) => Told::Refused(error.to_string()),
        }
    }

    /// All that this process has used, by the events that it judged.
    fn core_micros(&self) -> Option<f64> {
        let events = self.keeper.judged();
        let used = (self.processor_time)().as_secs_f64();
        (events >= PRICED && used > 0.0).then(|| used * 1e6 / events as f64)
    }

    async fn forecasts(&self, wanted: Wanted) -> Told {
        let Ok(_room) = self.forecasts.try_acquire() else {
            return Told::Refused("others ask this node for forecasts: ask again".into());
        };
        let (reply, told) = oneshot::channel();
        if self.forecaster.send(ForecasterMessage::Ask(wanted, reply)).is_err() {
            return Told::Waits("this node's forecaster is starting".into());
        }
        match told.await {
            Ok(outlooks) => {
                let core_micros = self.core_micros();
                let minutes_per_threat = handled::minutes(&self.threats).await;
                Told::Forecasts { outlooks, core_micros, minutes_per_threat }
            }
            Err(_) => Told::Refused("this node's forecaster failed: its log says why".into()),
        }
    }

    async fn ledger(&self, source: String) -> Told {
        self.read(move |view| keeper::known(&view, &source), Told::Ledger).await
    }
}

impl Answer for DataPath {
    fn answer<'a>(&'a self, caller: &'a Caller, request: Vec<u8>) -> BoxFuture<'a, Vec<u8>> {
        debug_assert_eq!(caller.lane, Lane::Data);
        Box::pin(async move { message::encode_told(&self.answer(caller, request).await) })
    }
}

#[cfg(test)]
mod tests;
