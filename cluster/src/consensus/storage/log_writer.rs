//! Who writes the log: takes all that waits into one frame of the journal, so that a sync serves
//! everything that came during the last one. What an area of the journal holds is moved into the
//! database while the other one is written.

use super::folding::Folding;
use super::frame;
use super::log_disk::{LogDisk, Write};
use super::log_store::Memory;
use super::{Closed, Fatal, broken};
use crate::consensus::limits::WRITES_WAITING;
use crate::consensus::runtime::Runtime;
use crate::consensus::types::{StorageError, Types};
use openraft::AsyncRuntime;
use openraft::storage::LogFlushed;
use rand::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use store::journal::Journal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

/// Who is told that a write is on the disk.
pub(super) enum Tell {
    /// Nobody: it may wait for another write's sync.
    Nobody,
    /// Those who look at [`Stored`](super::stored::Stored), as after every append.
    Watchers,
    /// Raft as well, for an append that it waits for.
    Raft(LogFlushed<Types>),
    /// Who waits for it.
    Caller(oneshot::Sender<Result<(), StorageError>>),
}

pub(super) struct Job {
    write: Write,
    tell: Tell,
}

/// Where writes are made.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// On a thread.
    Thread,
    /// In a task, in simulations: each takes up to so long, drawn anew.
    Task { slowest: Slowest },
}

/// The longest time that a write of a simulated disk takes, which may change while it is used.
#[derive(Clone, Debug, Default)]
pub struct Slowest(Arc<AtomicU64>);

impl Slowest {
    /// It is this from now on.
    pub fn set(&self, time: Duration) {
        self.0.store(time.as_micros() as u64, Ordering::Relaxed);
    }

    fn draw(&self) -> Duration {
        let most = Duration::from_micros(self.0.load(Ordering::Relaxed));
        if most.is_zero() { most } else { most.mul_f64(Runtime::thread_rng().r#gen()) }
    }
}

impl From<Duration> for Slowest {
    fn from(time: Duration) -> Self {
        let slowest = Self::default();
        slowest.set(time);
        slowest
    }
}

/// Writes the log in the order of the calls.
pub(super) struct Writer(mpsc::Sender<Job>);

/// Commits jobs.
struct Commits {
    journal: Journal,
    /// What its area holds.
    area: Vec<Write>,
    folding: Folding,
    memory: Arc<Mutex<Memory>>,
    fatal: Fatal,
    /// The last one that needs no sync of its own.
    lazy: Option<Write>,
}

impl Writer {
    pub fn new(
        disk: Arc<LogDisk>,
        journal: Journal,
        memory: Arc<Mutex<Memory>>,
        place: Place,
        fatal: Fatal,
    ) -> Self {
        let on_thread = matches!(place, Place::Thread);
        let folding = Folding::new(disk, Arc::clone(&memory), on_thread);
        let mut commits = Commits { journal, area: Vec::new(), folding, memory, fatal, lazy: None };
        let (jobs, mut queue) = mpsc::channel::<Job>(WRITES_WAITING);
        match place {
            Place::Thread => {
                thread::spawn(move || {
                    while let Some(first) = queue.blocking_recv() {
                        commits.commit(with_all_that_waits(first, &mut queue));
                    }
                });
            }
            Place::Task { slowest } => {
                tokio::spawn(async move {
                    while let Some(first) = queue.recv().await {
                        let all = with_all_that_waits(first, &mut queue);
                        let takes = slowest.draw();
                        if !takes.is_zero() {
                            sleep(takes).await;
                        }
                        commits.commit(all);
                    }
                });
            }
        }
        Self(jobs)
    }

    /// Hands a write over; returns when it is in the queue.
    pub async fn send(&self, write: Write, tell: Tell) -> Result<(), StorageError> {
        self.0.send(Job { write, tell }).await.map_err(|_| broken(&Closed))
    }

    /// Makes a write and returns when it is on the disk.
    pub async fn wait(&self, write: Write) -> Result<(), StorageError> {
        let (tell, told) = oneshot::channel();
        self.send(write, Tell::Caller(tell)).await?;
        told.await.unwrap_or_else(|_| Err(broken(&Closed)))
    }
}

fn with_all_that_waits(first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut all = vec![first];
    while let Ok(next) = queue.try_recv() {
        all.push(next);
    }
    all
}

impl Commits {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // No code that holds it can leave it half changed.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        let (mut writes, tells): (Vec<Write>, Vec<Tell>) =
            jobs.into_iter().map(|j| (j.write, j.tell)).unzip();
        if tells.iter().all(|tell| matches!(tell, Tell::Nobody)) {
            self.lazy = writes.pop().or(self.lazy.take());
            return;
        }
        if let Some(lazy) = self.lazy.take() {
            writes.insert(0, lazy);
        }
        let appended = writes.iter().rev().find_map(|write| match write {
            Write::Append(entries) => entries.last().map(|(id, _)| *id),
            _ => None,
        });
        let told = self.store(writes).map_err(|e| {
            self.memory().fail();
            (self.fatal.tell(&e), e.to_string())
        });
        if told.is_ok() {
            self.memory().stored(appended);
        }
        for tell in tells {
            match tell {
                Tell::Nobody | Tell::Watchers => {}
                Tell::Raft(flushed) => {
                    let io = told.as_ref().map_err(|(_, e)| std::io::Error::other(e.clone()));
                    flushed.log_io_completed(io.copied());
                }
                Tell::Caller(tell) => {
                    // Who waited may be gone.
                    let _ = tell.send(told.as_ref().copied().map_err(|(e, _)| e.clone()));
                }
            }
        }
    }

    /// Returns when the changes are on the disk.
    fn store(&mut self, mut writes: Vec<Write>) -> store::Result<()> {
        if self.memory().failed() {
            return Err(store::Error::Fatal(Box::new(redb::Error::PreviousIo)));
        }
        let frame = frame::pack(&writes)?;
        if self.journal.append(&frame)? {
            self.area.append(&mut writes);
            return Ok(());
        }
        self.turn()?;
        let fits = self.journal.append(&frame)?;
        self.area.append(&mut writes);
        if !fits {
            // Larger than an area: it goes where an area goes.
            self.turn()?;
            self.folding.wait()?;
        }
        Ok(())
    }

    /// Begins the other area, once that is folded, and folds what this one holds.
    fn turn(&mut self) -> store::Result<()> {
        self.folding.wait()?;
        let next = self.journal.generation() + 1;
        self.folding.start(std::mem::take(&mut self.area), next)?;
        self.journal.begin(next);
        Ok(())
    }
}
