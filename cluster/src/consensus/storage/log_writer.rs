//! Who writes the log: a thread that takes all that waits into one commit, so that a sync serves
//! everything that came during the last one; or the caller, in simulations.

use super::log_disk::{LogDisk, Write};
use super::log_store::Memory;
use super::{Closed, Fatal, broken};
use crate::consensus::limits::WRITES_WAITING;
use crate::consensus::types::{LogId, StorageError, Types};
use openraft::storage::LogFlushed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// Who is told that a write is on the disk.
pub(super) enum Tell {
    /// Nobody: it may wait for another write's sync.
    Nobody,
    /// Raft, for an append.
    Raft(LogFlushed<Types>),
    /// Who waits for it.
    Caller(oneshot::Sender<Result<(), StorageError>>),
}

pub(super) struct Job {
    write: Write,
    tell: Tell,
}

/// Writes the log in the order of the calls.
pub(super) enum Writer {
    Thread(mpsc::Sender<Job>),
    Inline(Mutex<Commits>),
}

/// Commits jobs.
pub(super) struct Commits {
    disk: Arc<LogDisk>,
    memory: Arc<Mutex<Memory>>,
    fatal: Fatal,
    /// The last one that needs no sync of its own.
    lazy: Option<Write>,
}

impl Writer {
    pub fn new(
        disk: Arc<LogDisk>,
        memory: Arc<Mutex<Memory>>,
        on_thread: bool,
        fatal: Fatal,
    ) -> Self {
        let mut commits = Commits { disk, memory, fatal, lazy: None };
        if !on_thread {
            return Self::Inline(Mutex::new(commits));
        }
        let (jobs, mut queue) = mpsc::channel::<Job>(WRITES_WAITING);
        thread::spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                let mut all = vec![first];
                while let Ok(next) = queue.try_recv() {
                    all.push(next);
                }
                commits.commit(all);
            }
        });
        Self::Thread(jobs)
    }

    /// Hands a write over; returns when it is in the queue, or done if there is none.
    pub async fn send(&self, write: Write, tell: Tell) -> Result<(), StorageError> {
        let job = Job { write, tell };
        match self {
            Self::Thread(jobs) => jobs.send(job).await.map_err(|_| broken(&Closed)),
            Self::Inline(commits) => {
                commits.lock().unwrap_or_else(PoisonError::into_inner).commit(vec![job]);
                Ok(())
            }
        }
    }

    /// Makes a write and returns when it is on the disk.
    pub async fn wait(&self, write: Write) -> Result<(), StorageError> {
        let (tell, told) = oneshot::channel();
        self.send(write, Tell::Caller(tell)).await?;
        told.await.unwrap_or_else(|_| Err(broken(&Closed)))
    }
}

impl Commits {
    fn commit(&mut self, jobs: Vec<Job>) {
        if jobs.iter().all(|j| matches!(j.tell, Tell::Nobody)) {
            self.lazy = jobs.into_iter().last().map(|j| j.write).or(self.lazy.take());
            return;
        }
        let lazy = self.lazy.take();
        let result = self.disk.commit(lazy.iter().chain(jobs.iter().map(|j| &j.write)));
        let told = result.map_err(|e| (self.fatal.tell(&e), e.to_string()));
        for job in jobs {
            if let (Write::Append(entries), Ok(())) = (&job.write, &told) {
                let ids: Vec<LogId> = entries.iter().map(|(id, _)| *id).collect();
                self.memory.lock().unwrap_or_else(PoisonError::into_inner).flushed(&ids);
            }
            match job.tell {
                Tell::Nobody => {}
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
}

impl Drop for Commits {
    fn drop(&mut self) {
        // Only saves work at the next start; if it fails, the next open will say so.
        if let Some(lazy) = self.lazy.take() {
            let _ = self.disk.commit(std::iter::once(&lazy));
        }
    }
}
