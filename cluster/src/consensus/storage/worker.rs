//! Work on a disk off the runtime: on one thread, in order; or by the caller in simulations.

use super::Closed;
use std::sync::Arc;
use std::thread;
use tokio::sync::{mpsc, oneshot};

type Job<D> = Box<dyn FnOnce(&D) + Send>;

/// Jobs that may wait. There are checkpoints, snapshots, and reads of a snapshot: each waits for
/// its end before the next of its kind.
const WAITING: usize = 8;

/// Does jobs on a disk, one after the other.
pub(super) enum Worker<D> {
    /// On a thread, which ends when this is dropped.
    Thread(mpsc::Sender<Job<D>>, Arc<D>),
    /// By the caller.
    Inline(Arc<D>),
}

impl<D: Send + Sync + 'static> Worker<D> {
    pub fn inline(disk: D) -> Self {
        Self::Inline(Arc::new(disk))
    }

    pub fn thread(disk: D) -> Self {
        let disk = Arc::new(disk);
        let (jobs, mut queue) = mpsc::channel::<Job<D>>(WAITING);
        let its = Arc::clone(&disk);
        thread::spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&its);
            }
        });
        Self::Thread(jobs, disk)
    }

    /// The disk itself, for what is done before the runtime starts.
    pub fn disk(&self) -> &D {
        match self {
            Self::Thread(_, disk) | Self::Inline(disk) => disk,
        }
    }

    /// Does `job` and gives what it gives.
    pub async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&D) -> R + Send + 'static,
    ) -> Result<R, Closed> {
        match self {
            Self::Inline(disk) => Ok(job(disk)),
            Self::Thread(jobs, _) => {
                let (tell, told) = oneshot::channel();
                let job: Job<D> = Box::new(move |disk| {
                    // Who asked may be gone; the job counts.
                    let _ = tell.send(job(disk));
                });
                jobs.send(job).await.map_err(|_| Closed)?;
                told.await.map_err(|_| Closed)
            }
        }
    }
}
