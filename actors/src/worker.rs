//! Threads for scoring that can be left behind.
//!
//! A busy loop cannot be killed. A [`ScoringThread`] runs jobs on an operating-system thread of its
//! own, bounded by a queue; when it is stuck it is abandoned and a fresh thread with fresh state
//! takes its place. An abandoned thread's late result is dropped. How many such threads may live is
//! limited. Deadlines are not here: whoever submits decides when to abandon.

use crate::ports::Clock;
use serde::Serialize;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Abandoned threads of a node that may be alive before no worker gets another. Each burns up to
/// a whole core and keeps its stack and its scorer's memory; with this many the node is past
/// mending itself.
pub const ABANDONED_THREADS: usize = 8;

/// Counts the abandoned threads of one node that have not ended. Shared by all of its workers.
#[derive(Debug, Default)]
pub struct Abandoned {
    alive: AtomicUsize,
    ever: AtomicU64,
    refused: AtomicU64,
}

impl Abandoned {
    /// Abandoned threads that have not ended.
    pub fn alive(&self) -> usize {
        self.alive.load(SeqCst)
    }

    /// Threads abandoned, ever.
    pub fn ever(&self) -> u64 {
        self.ever.load(SeqCst)
    }

    /// Times that a worker was left without a thread because of the limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(SeqCst)
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<Resp> {
    /// With an answer.
    Done(Resp),
    /// With a panic; the worker went on with fresh state.
    Panicked(String),
}

/// Why a job was not taken; it is handed back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused<Req> {
    /// The queue is full.
    #[error("the worker's queue is full")]
    Full(Req),
    /// There is no thread: too many were abandoned, or its state could not be made.
    #[error("the worker has no thread")]
    Dead(Req),
}

/// What an operator sees of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// It has a thread.
    pub alive: bool,
    /// Since when it works on one job, if it does.
    pub busy_since: Option<Duration>,
    /// How many threads it had before.
    pub generation: u64,
}

/// What does a job: made anew for every thread and after every panic.
pub type Scorer<Req, Resp> = Box<dyn FnMut(Req) -> Resp + Send>;

type Factory<Req, Resp> = Arc<dyn Fn() -> Scorer<Req, Resp> + Send + Sync>;
type Deliver<Resp> = Arc<dyn Fn(Outcome<Resp>) + Send + Sync>;

/// How a worker is made.
pub struct Settings<Req, Resp> {
    /// Name of its threads.
    pub name: String,
    /// Jobs that wait in its queue; further ones are refused.
    pub capacity: usize,
    /// Makes its state.
    pub factory: Factory<Req, Resp>,
    /// Takes its outcomes, on the worker's thread; must be quick, and must not drop the worker.
    pub deliver: Deliver<Resp>,
    /// For the heartbeat.
    pub clock: Arc<dyn Clock>,
    /// The node's count of abandoned threads.
    pub abandoned: Arc<Abandoned>,
}

/// A thread that scores, can be left behind, and is then replaced.
pub struct ScoringThread<Req, Resp> {
    settings: Settings<Req, Resp>,
    mode: Mode<Req, Resp>,
    generation: u64,
    running: Option<Running<Req>>,
}

struct Running<Req> {
    jobs: SyncSender<Req>,
    shared: Arc<Shared>,
}

type InlineScorer<Req, Resp> = Mutex<Option<Scorer<Req, Resp>>>;

/// How jobs are run.
enum Mode<Req, Resp> {
    /// On a thread of the worker's own.
    Thread,
    /// Where they are submitted, by this scorer; `None` until its factory made it.
    Inline(InlineScorer<Req, Resp>),
}

/// What a thread and its owner both see.
struct Shared {
    /// Microseconds of the clock plus one when the present job began; 0 when idle.
    busy_since: AtomicU64,
    /// Held while an outcome is delivered, so that none is delivered after the abandonment.
    life: Mutex<Life>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It has an owner.
    Attached,
    /// It was left behind; counted when it was busy then.
    Abandoned { counted: bool },
    /// It is no more, or is about to be.
    Ended,
}

impl Shared {
    fn life(&self) -> std::sync::MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Req: Send + 'static, Resp: Send + 'static> ScoringThread<Req, Resp> {
    /// Starts the first thread; without one the worker is down (see [`revive`](Self::revive)).
    pub fn start(settings: Settings<Req, Resp>) -> Self {
        let mut worker = Self { settings, mode: Mode::Thread, generation: 0, running: None };
        worker.revive();
        worker
    }

    /// A worker without a thread, which does a job while it is submitted: for simulation, where
    /// everything must happen in one order. It is never busy and cannot be left behind.
    pub fn inline(settings: Settings<Req, Resp>) -> Self {
        let mode = Mode::Inline(Mutex::new(fresh(&settings.factory)));
        Self { settings, mode, generation: 0, running: None }
    }

    fn submit_inline(
        &self,
        scorer: &InlineScorer<Req, Resp>,
        job: Req,
    ) -> Result<(), Refused<Req>> {
        let mut scorer = scorer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(score) = scorer.as_mut() else { return Err(Refused::Dead(job)) };
        let outcome = run(score, job);
        if matches!(outcome, Outcome::Panicked(_)) {
            *scorer = fresh(&self.settings.factory);
        }
        (self.settings.deliver)(outcome);
        Ok(())
    }

    fn spawn(&mut self) -> std::io::Result<()> {
        let Settings { name, capacity, factory, deliver, clock, abandoned } = &self.settings;
        let (jobs, queue) = sync_channel((*capacity).max(1));
        let life = Mutex::new(Life::Attached);
        let shared = Arc::new(Shared { busy_since: AtomicU64::new(0), life });
        let thread = Thread {
            shared: Arc::clone(&shared),
            factory: Arc::clone(factory),
            deliver: Arc::clone(deliver),
            clock: Arc::clone(clock),
            abandoned: Arc::clone(abandoned),
        };
        let builder = std::thread::Builder::new().name(name.clone());
        builder.spawn(move || thread.run(&queue))?;
        self.running = Some(Running { jobs, shared });
        Ok(())
    }

    /// Hands a job over. Never waits.
    pub fn submit(&self, job: Req) -> Result<(), Refused<Req>> {
        if let Mode::Inline(scorer) = &self.mode {
            return self.submit_inline(scorer, job);
        }
        let Some(running) = &self.running else { return Err(Refused::Dead(job)) };
        running.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) => Refused::Full(job),
            TrySendError::Disconnected(job) => Refused::Dead(job),
        })
    }

    /// Since when the present job runs, on the worker's clock. Takes no lock.
    pub fn busy_since(&self) -> Option<Duration> {
        let micros = self.running.as_ref()?.shared.busy_since.load(SeqCst);
        micros.checked_sub(1).map(Duration::from_micros)
    }

    /// Leaves the present thread behind with its queued jobs, none of which will be delivered, and
    /// starts a fresh one. Returns whether there is one: false when too many abandoned threads are
    /// alive or the operating system gives none, and then the worker stays down until
    /// [`revive`](Self::revive).
    pub fn abandon(&mut self) -> bool {
        self.leave();
        self.generation += 1;
        self.revive()
    }

    /// Starts a thread if there is none and the limit allows; returns whether there is one.
    pub fn revive(&mut self) -> bool {
        if let Mode::Inline(scorer) = &self.mode {
            let mut scorer = scorer.lock().unwrap_or_else(PoisonError::into_inner);
            if scorer.is_none() {
                *scorer = fresh(&self.settings.factory);
            }
            return scorer.is_some();
        }
        if self.running.as_ref().is_some_and(|r| *r.shared.life() == Life::Ended) {
            self.running = None;
            self.generation += 1;
        }
        if self.running.is_some() {
            return true;
        }
        if self.settings.abandoned.alive() >= ABANDONED_THREADS {
            self.settings.abandoned.refused.fetch_add(1, SeqCst);
            return false;
        }
        self.spawn().is_ok()
    }

    /// What an operator sees.
    pub fn view(&self) -> WorkerView {
        let alive = match &self.mode {
            Mode::Thread => self.running.as_ref().is_some_and(|r| *r.shared.life() != Life::Ended),
            Mode::Inline(scorer) => scorer.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
        };
        WorkerView {
            name: self.settings.name.clone(),
            alive,
            busy_since: self.busy_since(),
            generation: self.generation,
        }
    }
}

impl<Req, Resp> ScoringThread<Req, Resp> {
    /// Leaves the thread to itself. An idle one ends at once; a busy one counts as abandoned until
    /// it does.
    fn leave(&mut self) {
        let Some(Running { jobs, shared }) = self.running.take() else { return };
        let mut life = shared.life();
        if *life == Life::Attached {
            let counted = shared.busy_since.load(SeqCst) != 0;
            *life = Life::Abandoned { counted };
            if counted {
                self.settings.abandoned.alive.fetch_add(1, SeqCst);
                self.settings.abandoned.ever.fetch_add(1, SeqCst);
            }
        }
        drop(life);
        // With its queue closed the thread ends as soon as its present job does.
        drop(jobs);
    }
}

impl<Req, Resp> Drop for ScoringThread<Req, Resp> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<Req, Resp> fmt::Debug for ScoringThread<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScoringThread")
            .field("name", &self.settings.name)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// The thread's own side.
struct Thread<Req, Resp> {
    shared: Arc<Shared>,
    factory: Factory<Req, Resp>,
    deliver: Deliver<Resp>,
    clock: Arc<dyn Clock>,
    abandoned: Arc<Abandoned>,
}

impl<Req, Resp> Thread<Req, Resp> {
    fn run(self, queue: &Receiver<Req>) {
        let mut scorer = fresh(&self.factory);
        while let Some(score) = &mut scorer {
            let Ok(job) = queue.recv() else { break };
            let now = self.clock.now().as_micros() as u64;
            let life = self.shared.life();
            if *life != Life::Attached {
                break;
            }
            // Under the lock, so that an owner who leaves knows whether this is a busy thread.
            self.shared.busy_since.store(now + 1, SeqCst);
            drop(life);
            let outcome = run(score, job);
            self.shared.busy_since.store(0, SeqCst);
            let panicked = matches!(outcome, Outcome::Panicked(_));
            let life = self.shared.life();
            if *life != Life::Attached {
                break;
            }
            (self.deliver)(outcome);
            drop(life);
            if panicked {
                scorer = fresh(&self.factory);
            }
        }
    }
}

/// Does a job, catching its panic.
fn run<Req, Resp>(score: &mut Scorer<Req, Resp>, job: Req) -> Outcome<Resp> {
    match catch_unwind(AssertUnwindSafe(|| score(job))) {
        Ok(answer) => Outcome::Done(answer),
        Err(panic) => Outcome::Panicked(panic_text(panic.as_ref())),
    }
}

/// A fresh scorer; none when the factory panics.
fn fresh<Req, Resp>(factory: &Factory<Req, Resp>) -> Option<Scorer<Req, Resp>> {
    catch_unwind(AssertUnwindSafe(|| factory())).ok()
}

impl<Req, Resp> Drop for Thread<Req, Resp> {
    fn drop(&mut self) {
        let mut life = self.shared.life();
        if *life == (Life::Abandoned { counted: true }) {
            self.abandoned.alive.fetch_sub(1, SeqCst);
        }
        *life = Life::Ended;
    }
}

/// The text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panicked without a text".to_owned())
}
