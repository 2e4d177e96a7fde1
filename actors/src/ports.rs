//! The ports: the traits through which actors reach everything outside of them.
//!
//! They are implemented by the node's host adapters and by tests, and wired together in `node`.
//! Each is object safe and as small as its users need. Two that a single actor uses stand with it:
//! [`Recorder`](crate::detection::recorder::Recorder) makes what was judged durable, and
//! [`BundleKeeper`](crate::detection::models::BundleKeeper) keeps what was learnt.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use threat::Timestamp;
use tokio::task::JoinError;

/// A boxed future that may cross threads: what the asynchronous methods of a port return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a port could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage failed. The node ends: a failed write is never tried again.
    #[error("storage: {0}")]
    Storage(String),
    /// The bytes are not what their hash or checksum says.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// The work that was handed over panicked.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// The two clocks.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since the node's start; never goes back. Deadlines and ages are made of it.
    fn now(&self) -> Duration;

    /// Wall time, for people and for records. May jump: nothing is decided by it.
    fn wall(&self) -> Timestamp;
}

/// Where work goes that would hold up other tasks: scoring, and what waits for a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// To threads of its own: production.
    #[default]
    Own,
    /// Nowhere: it is done where it comes up, so that all that happens does so in one order. For
    /// simulations, in which nothing takes any time that is not asked for.
    Caller,
}

impl Threads {
    /// Does work that waits for a disk.
    ///
    /// # Errors
    /// When the work panicked, or the runtime ends.
    pub async fn wait<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self {
            Self::Own => tokio::task::spawn_blocking(work).await,
            Self::Caller => Ok(work()),
        }
    }
}

/// Faults planted in the code itself, so that chaos runs reach what outside faults cannot.
pub trait Buggify: Send + Sync {
    /// Whether the fault at this named point happens now.
    fn fires(&self, point: &'static str) -> bool;
}

/// No planted fault ever happens: production.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

impl Buggify for Off {
    fn fires(&self, _point: &'static str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_object_safe_and_nothing_fires_in_production() {
        fn _takes(_: &dyn Clock, _: &dyn Buggify) {}
        assert!(!Off.fires("anything"));
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread_or_on_this_one() {
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_ne!(Threads::default().wait(thread).await.unwrap(), here);
        assert_eq!(Threads::Caller.wait(thread).await.unwrap(), here);
    }
}
