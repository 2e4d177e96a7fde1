//! A thread that lives in namespaces of its own and does there what it is told. Processes that it
//! starts live there, too. Nothing has a name: with the thread and its children all of it is gone.

use super::Error;
use super::sys;
use rustix::mount::{MountPropagationFlags, mount_change};
use std::sync::mpsc;
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// The thread. Dropping it waits for what it does.
pub struct Space {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer that is on its way.
pub struct Coming<T>(mpsc::Receiver<T>);

impl<T> Coming<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// [`Error::Gone`] when the thread has ended.
    pub fn get(self) -> Result<T, Error> {
        self.0.recv().map_err(|_| Error::Gone)
    }
}

impl Space {
    /// Opens one, with its own view of what is mounted if `mounts`.
    ///
    /// # Errors
    /// [`Error::Host`] when the host lets no namespace be made.
    pub fn open(name: &str, mounts: bool) -> Result<Self, Error> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let work = move || todo.into_iter().for_each(|job| job());
        let host = |error| Error::host("a thread of its own", error);
        let thread = std::thread::Builder::new().name(name.into()).spawn(work).map_err(host)?;
        let space = Self { jobs: Some(jobs), thread: Some(thread) };
        let left = space.run(move || {
            sys::leave(mounts)?;
            if mounts {
                // What is mounted here is nobody else's business.
                let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                mount_change("/", all)?;
            }
            Ok(())
        });
        left.get()?.map_err(|error| Error::host("a network namespace", error))?;
        Ok(space)
    }

    /// Has something done there; it is done after what it was told before.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Coming<T> {
        let (tell, told) = mpsc::sync_channel(1);
        // Who does not wait for the answer does not want it.
        let job = move || drop(tell.send(job()));
        if let Some(jobs) = &self.jobs {
            let _gone = jobs.send(Box::new(job));
        }
        Coming(told)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
