//! Who writes: a thread that takes all that changed into one commit, so that a sync serves all
//! who came during the last one; or the caller, in simulations.

use super::disk::{self, Changes, ThreatDisk};
use super::limits::WAITING;
use super::{Error, Held, lock};
use crate::consensus::Fatal;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// What the thread is asked.
pub(super) enum Job {
    /// Say when all that had changed is on the disk.
    Store(oneshot::Sender<()>),
    /// The same, and close the file.
    Close(oneshot::Sender<()>),
}

/// Stores what changed in the state.
pub(super) enum Writer {
    Thread(mpsc::Sender<Job>),
    Inline(Mutex<Option<Commits>>),
}

/// Commits.
pub(super) struct Commits {
    pub disk: ThreatDisk,
    pub held: Arc<Mutex<Held>>,
    pub fatal: Fatal,
}

impl Writer {
    pub fn thread(commits: Commits) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(WAITING);
        thread::spawn(move || {
            let mut waiting = Vec::new();
            while let Some(first) = queue.blocking_recv() {
                let mut close = None;
                let mut next = Some(first);
                while let Some(job) = next {
                    match job {
                        Job::Store(tell) => waiting.push(tell),
                        Job::Close(tell) => close = Some(tell),
                    }
                    next = queue.try_recv().ok();
                }
                // Whoever still waits then learns by the end of its channel.
                if commits.commit().is_err() {
                    return;
                }
                waiting.drain(..).for_each(|tell| _ = tell.send(()));
                if let Some(tell) = close {
                    drop(commits);
                    let _ = tell.send(());
                    return;
                }
            }
        });
        Self::Thread(jobs)
    }

    pub fn inline(commits: Commits) -> Self {
        Self::Inline(Mutex::new(Some(commits)))
    }

    /// Returns when all that had changed is on the disk.
    pub async fn stored(&self) -> Result<(), Error> {
        self.run(Job::Store).await
    }

    /// [`Self::stored`], and closes the file.
    pub async fn close(&self) -> Result<(), Error> {
        self.run(Job::Close).await
    }

    async fn run(&self, job: fn(oneshot::Sender<()>) -> Job) -> Result<(), Error> {
        let (tell, told) = oneshot::channel();
        let job = job(tell);
        match self {
            Self::Thread(jobs) => {
                jobs.send(job).await.map_err(|_| Error::Stopped)?;
                told.await.map_err(|_| Error::Stopped)
            }
            Self::Inline(commits) => {
                let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
                let done = commits.as_ref().ok_or(Error::Stopped)?.commit();
                if done.is_err() || matches!(job, Job::Close(_)) {
                    *commits = None;
                }
                done
            }
        }
    }
}

impl Commits {
    /// Stores what changed. After an error nothing more may be stored: what did not reach the disk
    /// is not kept for another try.
    fn commit(&self) -> Result<(), Error> {
        let (mut changes, mut failed) = (Changes::default(), None);
        {
            // All at once: a note of what others have must not be stored before the records.
            let state = &mut lock(&self.held).state;
            changes.gone = state.take_gone();
            state.take_unstored(|record, sequence| match disk::seal(record, sequence) {
                Ok(one) => changes.records.push(one),
                Err(error) => failed = Some(error),
            });
            changes.marks = state.take_marks();
        }
        let stored = match failed {
            Some(error) => Err(error),
            None if changes.is_empty() => Ok(()),
            None => self.disk.store(&changes),
        };
        stored.map_err(|error| {
            self.fatal.end(&error);
            Error::Stopped
        })
    }
}
