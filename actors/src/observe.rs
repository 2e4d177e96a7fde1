//! Observation: what an actor last published, and the node's directory of its actors.
//!
//! Observing never sends to the actor: a reader gets the last value and its age, even from an
//! actor that hangs. The directory belongs to one node, so that several nodes may share a process.
//! Supervisors enter their children and the statuses (see [`supervise`](crate::supervise)); an
//! actor adds only its observation. Nothing is rendered here: an observation serialises into
//! whatever format its reader brings.

use crate::ports::Clock;
use flow::supervision::{Exit, FAILURES_KEPT};
use flow::tree::{Live, Status};
use ractor::{ActorCell, ActorStatus};
use serde::Serialize;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Paths that a directory holds: a node has some hundreds of actors; a leak of dynamic names must
/// not eat its memory.
pub const DIRECTORY_PATHS: usize = 65_536;

/// A cell with the last value that an actor published.
#[derive(Debug)]
pub struct Observed<T> {
    cell: Arc<RwLock<(Duration, Arc<T>)>>,
    clock: Arc<dyn Clock>,
}

impl<T> Clone for Observed<T> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), clock: Arc::clone(&self.clock) }
    }
}

impl<T: Serialize + Clone + Send + Sync + 'static> Observed<T> {
    /// A cell that shows `value` until something is published.
    pub fn new(clock: Arc<dyn Clock>, value: T) -> Self {
        let now = clock.now();
        Self { cell: Arc::new(RwLock::new((now, Arc::new(value)))), clock }
    }

    /// Replaces the value.
    pub fn publish(&self, value: T) {
        let fresh = (self.clock.now(), Arc::new(value));
        *self.cell.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// The last value and its age.
    pub fn read(&self) -> (Arc<T>, Duration) {
        let (at, value) = &*self.cell.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(value), self.clock.now().saturating_sub(*at))
    }
}

/// An [`Observed`] whose type is forgotten.
trait Erased: Send + Sync {
    fn view(&self) -> Observation;
    fn as_any(&self) -> &dyn Any;
}

impl<T: Serialize + Clone + Send + Sync + 'static> Erased for Observed<T> {
    fn view(&self) -> Observation {
        let (value, age) = self.read();
        Observation { age, value: Arc::new(Shared(value)) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Shared<T>(Arc<T>);

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A published value and its age; the value is serialised only when a reader asks for it.
#[derive(Clone, Serialize)]
pub struct Observation {
    /// How long ago it was published.
    pub age: Duration,
    /// The value.
    #[serde(serialize_with = "erased")]
    pub value: Arc<dyn erased_serde::Serialize + Send + Sync>,
}

fn erased<S: serde::Serializer>(
    value: &Arc<dyn erased_serde::Serialize + Send + Sync>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    erased_serde::serialize(value.as_ref(), serializer)
}

impl std::fmt::Debug for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observation").field("age", &self.age).finish_non_exhaustive()
    }
}

/// A kept exit of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastFailure {
    /// When, since the node's start.
    pub at: Duration,
    /// How.
    pub reason: Exit,
}

/// What the directory shows of one actor.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Where: names from the root, joined by `/`.
    pub path: String,
    /// It supervises.
    pub supervisor: bool,
    /// Whether it is up.
    pub status: Status,
    /// Times that it was started again.
    pub restarts: u64,
    /// Its last failures, oldest first, at most [`FAILURES_KEPT`].
    pub failures: Vec<LastFailure>,
    /// What it last published.
    pub observation: Option<Observation>,
}

struct Entry {
    /// Orders siblings as they were declared.
    place: usize,
    supervisor: bool,
    status: Status,
    starts: u64,
    failures: VecDeque<LastFailure>,
    cell: Option<ActorCell>,
    observed: Option<Arc<dyn Erased>>,
}

impl Entry {
    /// The entered status, unless the actor itself has ended since.
    fn status(&self) -> Status {
        let running = self.cell.as_ref().is_some_and(|c| c.get_status() <= ActorStatus::Upgrading);
        match self.status {
            Status::Up if !running => Status::Restarting,
            ref entered => entered.clone(),
        }
    }
}

/// The actors of one node by path.
#[derive(Clone, Default)]
pub struct Directory {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Directory({} paths)", self.lock().len())
    }
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a declared actor that is not up yet; one that is known keeps its history.
    pub(crate) fn declare(&self, path: &str, place: usize, supervisor: bool) {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(path) {
            (entry.place, entry.supervisor) = (place, supervisor);
            entry.status = if entry.starts == 0 { Status::Starting } else { Status::Restarting };
        } else if entries.len() < DIRECTORY_PATHS {
            entries.insert(
                path.to_owned(),
                Entry {
                    place,
                    supervisor,
                    status: Status::Starting,
                    starts: 0,
                    failures: VecDeque::new(),
                    cell: None,
                    observed: None,
                },
            );
        } else {
            tracing::error!(path, "the directory is full: this actor is not listed");
        }
    }

    pub(crate) fn up(&self, path: &str, cell: ActorCell) {
        if let Some(entry) = self.lock().get_mut(path) {
            entry.status = Status::Up;
            entry.starts += 1;
            entry.cell = Some(cell);
        }
    }

    /// Takes note that an actor is not up, nor anything below it.
    pub(crate) fn down(&self, path: &str, status: Status) {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(path) {
            entry.status = status;
        }
        let below = format!("{path}/");
        for (_, entry) in entries.range_mut(below.clone()..).take_while(|e| e.0.starts_with(&below))
        {
            if entry.status != Status::Finished {
                entry.status = Status::Down;
            }
        }
    }

    pub(crate) fn failed(&self, path: &str, failure: LastFailure) {
        if let Some(entry) = self.lock().get_mut(path) {
            if entry.failures.len() == FAILURES_KEPT {
                entry.failures.pop_front();
            }
            entry.failures.push_back(failure);
        }
    }

    /// Forgets an actor that was removed for good, and all below it.
    pub(crate) fn remove(&self, path: &str) {
        let below = format!("{path}/");
        self.lock().retain(|p, _| p != path && !p.starts_with(&below));
    }

    /// The actors at and below a path that have not ended: what a new incarnation must outwait.
    pub(crate) fn alive(&self, path: &str) -> Vec<ActorCell> {
        let below = format!("{path}/");
        let entries = self.lock();
        let cells = entries.iter().filter(|(p, _)| *p == path || p.starts_with(&below));
        let cells = cells.filter_map(|(_, entry)| entry.cell.clone());
        cells.filter(|cell| cell.get_status() != ActorStatus::Stopped).collect()
    }

    /// Attaches an actor's observation to its path, replacing that of an earlier incarnation.
    pub fn attach<T>(&self, path: &str, observed: Observed<T>)
    where
        T: Serialize + Clone + Send + Sync + 'static,
    {
        if let Some(entry) = self.lock().get_mut(path) {
            entry.observed = Some(Arc::new(observed));
        }
    }

    /// What the actor at a path last published, and its age, when it publishes a `T`.
    pub fn read<T>(&self, path: &str) -> Option<(Arc<T>, Duration)>
    where
        T: Serialize + Clone + Send + Sync + 'static,
    {
        let observed = Arc::clone(self.lock().get(path)?.observed.as_ref()?);
        Some(observed.as_any().downcast_ref::<Observed<T>>()?.read())
    }

    /// The actor at a path, while it is up.
    pub fn actor(&self, path: &str) -> Option<ActorCell> {
        let entries = self.lock();
        let entry = entries.get(path)?;
        if entry.status() == Status::Up { entry.cell.clone() } else { None }
    }

    /// All actors, by path.
    pub fn list(&self) -> Vec<Listing> {
        let entries = self.lock();
        let listing = |(path, entry): (&String, &Entry)| Listing {
            path: path.clone(),
            supervisor: entry.supervisor,
            status: entry.status(),
            restarts: entry.starts.saturating_sub(1),
            failures: entry.failures.iter().cloned().collect(),
            observation: entry.observed.as_ref().map(|o| o.view()),
        };
        entries.iter().map(listing).collect()
    }

    /// The live tree under a root, siblings in declared order.
    pub fn tree(&self, root: &str) -> Option<Live> {
        fn node(entries: &BTreeMap<String, Entry>, path: &str) -> Option<Live> {
            let entry = entries.get(path)?;
            let below = format!("{path}/");
            let mut children: Vec<(usize, &String)> = entries
                .range(below.clone()..)
                .take_while(|(p, _)| p.starts_with(&below))
                .filter(|(p, _)| !p[below.len()..].contains('/'))
                .map(|(p, entry)| (entry.place, p))
                .collect();
            children.sort_unstable();
            Some(Live {
                name: path.rsplit('/').next().unwrap_or(path).to_owned(),
                supervisor: entry.supervisor,
                status: entry.status(),
                restarts: entry.starts.saturating_sub(1),
                children: children.into_iter().filter_map(|(_, p)| node(entries, p)).collect(),
            })
        }
        node(&self.lock(), root)
    }
}
